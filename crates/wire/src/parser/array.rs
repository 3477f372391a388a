//! A packet's JSON array, checked and cut in one pass without building its values.

use std::fmt;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The items of an array, by their places in its text.
#[derive(Debug, Default)]
pub(super) struct Array<'a> {
    /// The first item.
    pub(super) first: Option<&'a RawValue>,
    /// The second item.
    pub(super) second: Option<&'a RawValue>,
    last: Option<&'a RawValue>,
    /// How many items there are.
    pub(super) len: usize,
}

impl<'a> Array<'a> {
    /// Reads `text`, which has to be one array and nothing else.
    pub(super) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let array = json.deserialize_seq(Items)?;
        json.end()?;
        Ok(array)
    }

    /// The text from the start of item `from` to the end of the last item.
    pub(super) fn slice(&self, text: &'a str, from: Option<&'a RawValue>) -> &'a str {
        let (Some(from), Some(last)) = (from, self.last) else {
            return "";
        };
        let base = text.as_ptr().addr();
        let start = from.get().as_ptr().addr().wrapping_sub(base);
        let end = last
            .get()
            .as_ptr()
            .addr()
            .wrapping_sub(base)
            .wrapping_add(last.get().len());
        text.get(start..end).unwrap_or_default()
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Array<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Array<'de>, A::Error> {
        let mut array = Array::default();
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            match array.len {
                0 => array.first = Some(item),
                1 => array.second = Some(item),
                _ => {}
            }
            array.last = Some(item);
            array.len += 1;
        }
        Ok(array)
    }
}
