//! A digest of rows. It detects mistakes, not attacks: both sides are ours.

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
    /// Adds the next rows, ordered by key.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Value]]) -> Digest {
        let mut digest = Digest::default();
        digest.add(&rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
        digest
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn bytes(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.into())
    }

    #[test]
    fn similar_rows_have_different_digests() {
        use Value::{Int, Null};
        let rows: [&[&[Value]]; 22] = [
            &[],
            &[&[]],
            &[&[Null]],
            &[&[text("")]],
            &[&[bytes(b"")]],
            &[&[Int(0)]],
            &[&[Int(1)]],
            &[&[text("1")]],
            &[&[bytes(b"1")]],
            &[&[text("1 ")]],
            &[&[text("1\u{0}")]],
            &[&[text("NULL")]],
            &[&[Null, Null]],
            &[&[Null], &[Null]],
            // The same values in other columns, or in other rows.
            &[&[Int(1), Int(2)]],
            &[&[Int(2), Int(1)]],
            &[&[Int(1)], &[Int(2)]],
            &[&[Int(2)], &[Int(1)]],
            &[&[Int(1), Null]],
            // The same characters, divided otherwise.
            &[&[text("ab"), text("")]],
            &[&[text("a"), text("b")]],
            &[&[text(""), text("ab")]],
        ];
        for (at, one) in rows.iter().enumerate() {
            assert!(digest(one) == digest(one), "{one:?}");
            for other in &rows[at + 1..] {
                assert!(digest(one) != digest(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_batches() {
        let row = |n: i64| vec![Value::Int(n), Value::Null, text("a")];
        let (mut one_by_one, mut at_once) = (Digest::default(), Digest::default());
        at_once.add(&[row(1), row(2), row(3)]);
        for n in 1..=3 {
            one_by_one.add(&[row(n)]);
            one_by_one.add(&[]);
        }
        assert!(one_by_one == at_once);
        assert_eq!(
            (one_by_one.rows(), one_by_one.to_string()),
            (3, at_once.to_string())
        );
    }
}
