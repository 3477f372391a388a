//! A text in a normal form, with the way back from its bytes to the characters of the original.

use std::{borrow::Cow, ops::Range};

use unicode_normalization::{UnicodeNormalization as _, char::canonical_combining_class};

use crate::types::is_ignorable;

/// A normalised text. Its segments are the base characters with everything that belongs to them.
pub(crate) struct NormalText<'a> {
    text: Cow<'a, str>,
    /// Where each segment begins: in the normal form and in the original. Empty if both have the same bytes.
    segments: Vec<(usize, usize)>,
    original: &'a str,
}

impl<'a> NormalText<'a> {
    /// The form in which words are compared: decomposed (NFKD), case folded, without invisible characters.
    pub(crate) fn for_words(original: &'a str) -> Self {
        if original.is_ascii() {
            return Self::same(original, original.to_ascii_lowercase().into());
        }
        Self::by_segment(original, u8::to_ascii_lowercase, |segment, text| {
            // Before and after: the forms of some invisible characters are letters.
            let visible = segment.chars().filter(|c| !is_ignorable(*c));
            let visible = visible.nfkd().filter(|c| !is_ignorable(*c));
            // Upper case first: it unites letters such as "ß" and "ss", and "ς" and "σ".
            text.extend(visible.flat_map(char::to_uppercase).flat_map(char::to_lowercase));
        })
    }

    /// The form in which patterns are matched: composed (NFKC), without invisible characters.
    pub(crate) fn for_patterns(original: &'a str) -> Self {
        if original.is_ascii() {
            return Self::same(original, original.into());
        }
        Self::by_segment(original, u8::clone, |segment, text| {
            text.extend(segment.chars().filter(|c| !is_ignorable(*c)).nfkc());
        })
    }

    fn same(original: &'a str, text: Cow<'a, str>) -> Self {
        Self {
            text,
            segments: Vec::new(),
            original,
        }
    }

    /// Normalises segment by segment. Most are one ASCII character, which `ascii` normalises without a table.
    fn by_segment(
        original: &'a str,
        ascii: impl Fn(&u8) -> u8,
        normalise: impl Fn(&str, &mut String),
    ) -> Self {
        let mut text = String::with_capacity(original.len());
        let mut segments: Vec<(usize, usize)> = Vec::with_capacity(original.len() / 2);
        let begins = original
            .char_indices()
            .filter(|(at, c)| *at == 0 || !continues(*c))
            .map(|(at, _)| at);
        let mut begins = begins.peekable();
        while let Some(begin) = begins.next() {
            let end = begins.peek().copied().unwrap_or(original.len());
            let at = text.len();
            // Invisible characters at the beginning have no segment in the normal form.
            segments.pop_if(|(before, _)| *before == at);
            segments.push((at, begin));
            let segment = original.get(begin..end).unwrap_or_default();
            match segment.as_bytes() {
                [one] => text.push(char::from(ascii(one))),
                _ => normalise(segment, &mut text),
            }
        }
        Self {
            text: text.into(),
            segments,
            original,
        }
    }

    /// The normal form.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The bytes of the original that became `range`; `None` unless it consists of whole segments: an "e" is
    /// no match in an "é".
    pub(crate) fn whole_segments(&self, range: Range<usize>) -> Option<Range<usize>> {
        let begin = self.original_at(range.start)?;
        let end = self.original_at(range.end)?;
        Some(begin..end)
    }

    /// The bytes of the original that became `range`, with all of the segments at its ends.
    pub(crate) fn covering_segments(&self, range: Range<usize>) -> Range<usize> {
        if self.segments.is_empty() {
            return range;
        }
        let first = self.segments.partition_point(|(at, _)| *at <= range.start);
        let next = self.segments.partition_point(|(at, _)| *at < range.end);
        let begin = first.checked_sub(1).and_then(|first| self.segments.get(first));
        let end = self
            .segments
            .get(next)
            .map_or(self.original.len(), |(_, original)| *original);
        begin.map_or(0, |(_, original)| *original)..end
    }

    fn original_at(&self, at: usize) -> Option<usize> {
        if self.segments.is_empty() {
            return Some(at);
        }
        if at == self.text.len() {
            return Some(self.original.len());
        }
        let found = self.segments.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        self.segments.get(found).map(|(_, original)| *original)
    }
}

/// The text with a `*` in place of each character of `ranges`. Marks and invisible characters go with the
/// character that they belong to.
pub(crate) fn mask(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut ranges = ranges.into_iter().peekable();
    let mut masked = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        while ranges.next_if(|range| range.end <= at).is_some() {}
        match ranges.peek() {
            Some(range) if range.contains(&at) => {
                if at == range.start || !continues(c) {
                    masked.push('*');
                }
            }
            _ => masked.push(c),
        }
    }
    masked
}

/// Whether a character belongs to the one before it: a combining mark, an invisible character, or the vowel
/// or final consonant of a Korean syllable.
fn continues(c: char) -> bool {
    !c.is_ascii()
        && (canonical_combining_class(c) != 0 || is_ignorable(c) || matches!(c, '\u{1160}'..='\u{11ff}'))
}
