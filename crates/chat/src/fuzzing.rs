//! Entry points of the fuzz targets: `cargo fuzz` compiles them with `--cfg fuzzing`, and nothing else does.

use std::ops::Range;

use roomful_store::{LogHead, LogPosition};

use crate::{
    content_rules::{
        find_pattern,
        normal_text::{self, NormalText},
        words::Words,
    },
    log::position::LogCursor,
};

/// A log of which entries up to some position are applied.
pub struct Offsets(LogCursor);

impl Offsets {
    /// A log with this epoch.
    pub fn new(epoch: &str, applied: u64) -> Self {
        let at = LogHead {
            epoch: epoch.to_owned(),
            position: LogPosition(applied),
        };
        Self(LogCursor::starting(at, true))
    }

    /// The offset of a position.
    pub fn write(&self, position: u64) -> Option<String> {
        self.0.offset(LogPosition(position))
    }

    /// The position of an offset.
    pub fn read(&self, offset: &str) -> Option<u64> {
        self.0.parse_offset(offset).map(|position| position.0)
    }
}

/// A list of words of a content rule.
pub struct WordList(Words);

impl WordList {
    /// The list of the words in these lines; `None` if a rule cannot have it.
    pub fn new(lines: &str) -> Option<Self> {
        Words::new(lines).ok().map(Self)
    }

    /// The bytes of the text where words stand.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        self.0.find(&NormalText::for_words(text)).collect()
    }
}

/// The bytes of the text that a content rule with this pattern matches.
pub fn find_pattern_in(regex: &regex::Regex, text: &str) -> Vec<Range<usize>> {
    find_pattern(regex, &NormalText::for_patterns(text)).collect()
}

/// The text with a `*` in place of each character of `ranges`.
pub fn mask(text: &str, ranges: Vec<Range<usize>>) -> String {
    normal_text::mask(text, ranges)
}
