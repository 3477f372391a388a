//! Marks: strings that belong to one user of the workload and stand nowhere else, so that a search finds
//! them.

use std::collections::BTreeSet;
use std::fmt;
use std::str;

/// What every mark begins with.
const PREFIX: &str = "court-";
/// Digits of a case's number. A fixed width, so that no mark is the beginning of another.
const DIGITS: usize = 5;

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// The user's id. Client ids and device names contain it.
    User,
    /// The user's display name. Reasons of mutes contain it.
    Name,
    /// A word in the texts and the metadata of the user's messages.
    Word,
}

impl MarkKind {
    const ALL: [Self; 3] = [Self::User, Self::Name, Self::Word];

    const fn text(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Name => "name",
            Self::Word => "word",
        }
    }
}

/// A mark of the user of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Its meaning.
    pub kind: MarkKind,
    /// The number of the case.
    pub case: u32,
}

impl Mark {
    pub(super) fn user(case: u32) -> Self {
        let kind = MarkKind::User;
        Self { kind, case }
    }

    pub(super) fn name(case: u32) -> Self {
        let kind = MarkKind::Name;
        Self { kind, case }
    }

    pub(super) fn word(case: u32) -> Self {
        let kind = MarkKind::Word;
        Self { kind, case }
    }

    /// The mark after [`PREFIX`].
    fn parse(rest: &[u8]) -> Option<Self> {
        MarkKind::ALL.into_iter().find_map(|kind| {
            let digits = rest.strip_prefix(kind.text().as_bytes())?.strip_prefix(b"-")?;
            let case = str::from_utf8(digits.get(..DIGITS)?).ok()?.parse().ok()?;
            Some(Self { kind, case })
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{:0DIGITS$}", self.kind.text(), self.case)
    }
}

/// The marks in a text, or in the bytes of a file.
pub(super) fn marks_in(bytes: &[u8]) -> BTreeSet<Mark> {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'c');
    let rests = starts.filter_map(|(at, _)| bytes.get(at..)?.strip_prefix(PREFIX.as_bytes()));
    rests.filter_map(Mark::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let text = format!(
            "{{\"by\":\"{}-3\",\"text\":\"{} says court-word-1 and court-wo\"}}\0{}",
            Mark::user(17),
            Mark::word(17),
            Mark::name(99_999)
        );
        let found: Vec<_> = marks_in(text.as_bytes()).into_iter().collect();
        assert_eq!(found, [Mark::user(17), Mark::name(99_999), Mark::word(17)]);
        assert_eq!(marks_in(b"court-user-0001"), BTreeSet::new());
    }
}
