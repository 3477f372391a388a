//! Finding the words of a long list in a text.

use std::{collections::BTreeSet, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::normal_text::NormalText;

/// The longest word, in bytes of its normal form. It bounds the matches at one place of a text.
const WORD_BYTES: usize = 256;

/// A list of words as one automaton: its size hardly changes the time that a text takes.
#[derive(Debug)]
pub(crate) struct Words(AhoCorasick);

impl Words {
    /// Words by line. Ignores empty lines and white space around words.
    ///
    /// # Errors
    /// The fault of the list.
    pub(crate) fn new(lines: &str) -> Result<Self, String> {
        let mut words = BTreeSet::new();
        for (number, line) in lines.trim_start_matches('\u{feff}').lines().enumerate() {
            let word = NormalText::for_words(line.trim()).as_str().to_owned();
            if word.len() > WORD_BYTES {
                return Err(format!("line {} is longer than {WORD_BYTES} bytes", number + 1));
            }
            if !word.is_empty() {
                words.insert(word);
            }
        }
        AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            // Other kinds take several times the memory for long lists.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(words)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// The bytes of the original text where words stand.
    pub(crate) fn find<'t>(&'t self, text: &'t NormalText<'_>) -> impl Iterator<Item = Range<usize>> + 't {
        self.0
            .find_overlapping_iter(text.as_str())
            .filter(|found| stands_alone(text.as_str(), found.range()))
            .filter_map(|found| text.whole_segments(found.range()))
    }
}

/// Whether the text's letters before and after `range` do not belong to the same word.
fn stands_alone(text: &str, range: Range<usize>) -> bool {
    let (before, rest) = text.split_at(range.start);
    let (word, after) = rest.split_at(range.len());
    let joined = |left: Option<char>, right: Option<char>| {
        left.zip(right)
            .is_some_and(|(left, right)| is_spaced_letter(left) && is_spaced_letter(right))
    };
    !joined(before.chars().next_back(), word.chars().next())
        && !joined(word.chars().next_back(), after.chars().next())
}

/// Whether the character belongs to words that spaces separate. Chinese, Japanese, Thai, Lao, Tibetan,
/// Burmese and Khmer have no spaces between words, and Korean words have endings.
fn is_spaced_letter(c: char) -> bool {
    let unspaced = matches!(
        c,
        '\u{e00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    );
    (c.is_alphanumeric() || c == '_') && !unspaced
}
