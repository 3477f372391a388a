//! Conversions between Rust values and columns.
//!
//! PostgreSQL's text holds no NUL, so bytes 0 and 1 are stored as 1 1 and 1 2. The encoding is reversible
//! and keeps the order of texts.

use std::borrow::Cow;

use tokio_postgres::Row;

use super::failure::Failure;
use crate::{StoreError, numbers::Numbered};

const ESCAPE: char = '\u{1}';

/// Encodes a text for a column.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte > 1) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            '\0' => escaped.extend([ESCAPE, '\u{1}']),
            ESCAPE => escaped.extend([ESCAPE, '\u{2}']),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

pub(super) fn opt_text(value: Option<&str>) -> Option<Cow<'_, str>> {
    value.map(text)
}

/// Decodes a text from a column.
pub(crate) fn plain(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            ESCAPE if chars.next() == Some('\u{1}') => plain.push('\0'),
            other => plain.push(other),
        }
    }
    plain
}

pub(crate) use crate::numbers::column as num;

/// Typed access to columns by index.
pub(super) trait Columns {
    fn int(&self, at: usize) -> Result<i64, Failure>;
    fn opt_int(&self, at: usize) -> Result<Option<i64>, Failure>;
    fn num(&self, at: usize) -> Result<u64, Failure>;
    fn opt_num(&self, at: usize) -> Result<Option<u64>, Failure>;
    /// An ordinality, which counts from 1, as an index from 0.
    fn ordinal(&self, at: usize) -> Result<usize, Failure>;
    fn flag(&self, at: usize) -> Result<bool, Failure>;
    fn text(&self, at: usize) -> Result<String, Failure>;
    fn opt_text(&self, at: usize) -> Result<Option<String>, Failure>;
    fn kind<T: Numbered>(&self, at: usize) -> Result<T, Failure>;
}

impl Columns for Row {
    fn int(&self, at: usize) -> Result<i64, Failure> {
        Ok(self.try_get(at)?)
    }

    fn opt_int(&self, at: usize) -> Result<Option<i64>, Failure> {
        Ok(self.try_get(at)?)
    }

    fn num(&self, at: usize) -> Result<u64, Failure> {
        positive(self.int(at)?)
    }

    fn opt_num(&self, at: usize) -> Result<Option<u64>, Failure> {
        self.opt_int(at)?.map(positive).transpose()
    }

    fn ordinal(&self, at: usize) -> Result<usize, Failure> {
        let index = self.num(at)?.saturating_sub(1);
        Ok(usize::try_from(index).unwrap_or(usize::MAX))
    }

    fn flag(&self, at: usize) -> Result<bool, Failure> {
        Ok(self.try_get(at)?)
    }

    fn text(&self, at: usize) -> Result<String, Failure> {
        Ok(plain(self.try_get(at)?))
    }

    fn opt_text(&self, at: usize) -> Result<Option<String>, Failure> {
        Ok(self.try_get::<_, Option<String>>(at)?.map(plain))
    }

    fn kind<T: Numbered>(&self, at: usize) -> Result<T, Failure> {
        let number = self.int(at)?;
        T::of_number(number).ok_or_else(|| {
            StoreError::Internal(format!("column {at} holds {number}, which is no valid value")).into()
        })
    }
}

fn positive(number: i64) -> Result<u64, Failure> {
    u64::try_from(number)
        .map_err(|_| StoreError::Internal(format!("{number} is not a valid number of an entry")).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn escaping_keeps_text_and_order(one in "[\\x00-\\x03a]{0,6}", other in "[\\x00-\\x03a]{0,6}") {
            let column = text(&one).into_owned();
            prop_assert!(!column.contains('\0'));
            prop_assert_eq!(column.cmp(&text(&other).into_owned()), one.cmp(&other));
            prop_assert_eq!(plain(column), one);
        }
    }
}
