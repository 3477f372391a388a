//! The position of an entry in the log: its number in the order over all rooms.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of an entry in the order over all rooms, from 1. Zero stands before the first entry.
///
/// Two positions can only be compared within one epoch of the log, see [`LogHead`](crate::LogHead).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// The position before the first entry.
    pub const ZERO: Self = Self(0);
    /// A position that no entry reaches.
    pub const MAX: Self = Self(u64::MAX);

    /// The position right after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The position right before this one; zero for zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The position `entries` further on.
    #[must_use]
    pub const fn plus(self, entries: u64) -> Self {
        Self(self.0.saturating_add(entries))
    }

    /// This position and all after it, in ascending order.
    pub fn and_following(self) -> impl Iterator<Item = Self> {
        (self.0..=u64::MAX).map(Self)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
