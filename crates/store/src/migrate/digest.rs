//! Rows as one number. It tells mistakes, not malice: both sides are ours.

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use super::tables::Value;

#[derive(Default)]
pub(super) struct Digest {
    rows: u64,
    hasher: DefaultHasher,
}

impl Digest {
    /// The next rows, in the order of their keys.
    pub(super) fn add(&mut self, rows: &[Vec<Value>]) {
        for row in rows {
            self.rows += 1;
            row.hash(&mut self.hasher);
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.hasher.finish() == other.hasher.finish()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows ({:016x})", self.rows, self.hasher.finish())
    }
}
