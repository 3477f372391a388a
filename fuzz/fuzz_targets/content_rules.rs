//! Content rules: a file of words, a pattern and a text, separated by NUL. Matches are whole characters of
//! the text, a masked text has no match left, and plain words are found as the obvious search finds them.
#![no_main]

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use regex::RegexBuilder;
use roomful_chat::fuzzing::{WordList, find_pattern_in, mask};

const PATTERN_BYTES: usize = 1 << 16;

fn check_ranges(text: &str, ranges: &[Range<usize>]) {
    for range in ranges {
        let matched = text.get(range.clone()).expect("a match is whole characters of the text");
        assert!(!matched.is_empty());
    }
}

/// A masked text has at most as many characters, and the others stay in their order.
fn check_mask(text: &str, ranges: Vec<Range<usize>>) -> String {
    let is_matched = |at: usize| ranges.iter().any(|range| range.contains(&at));
    let others: String = text
        .char_indices()
        .filter(|(at, c)| !is_matched(*at) && *c != '*')
        .map(|(_, c)| c)
        .collect();
    let masked = mask(text, ranges);
    assert!(masked.chars().count() <= text.chars().count());
    assert_eq!(masked.replace('*', ""), others);
    masked
}

/// The obvious search for one word of ASCII letters and digits in an ASCII text.
fn plainly_contains(text: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_letter(c))
        .any(|part| part.eq_ignore_ascii_case(word))
}

fn check_words(lines: &str, text: &str) {
    let Some(words) = WordList::new(lines) else { return };
    let found = words.find(text);
    check_ranges(text, &found);
    let word = lines.trim();
    let is_plain = !word.is_empty() && word.len() <= 256 && word.chars().all(|c| c.is_ascii_alphanumeric());
    if is_plain && text.is_ascii() {
        assert_eq!(!found.is_empty(), plainly_contains(text, word));
    }
    let masked = check_mask(text, found);
    if !lines.contains('*') {
        assert!(words.find(&masked).is_empty(), "{masked:?}");
    }
}

fn check_pattern(pattern: &str, text: &str) {
    let Ok(regex) = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build() else {
        return;
    };
    let found = find_pattern_in(&regex, text);
    check_ranges(text, &found);
    check_mask(text, found);
}

fuzz_target!(|data: &str| {
    let mut parts = data.splitn(3, '\0');
    let (Some(lines), Some(pattern), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    check_words(lines, text);
    check_pattern(pattern, text);
});
