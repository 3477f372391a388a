//! Check of a binary packet's placeholders against the number of its attachments.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Whether every placeholder in `array`, JSON that was checked already, refers to one of `count`
/// attachments.
///
/// As in the reference parser, a placeholder is an object with `_placeholder: true`, at any depth, and its
/// `num` must be an index. Text nested more than 128 levels deep, or with half a surrogate pair in it, is
/// refused: its placeholders cannot be located reliably.
pub(super) fn are_valid(array: &str, count: usize) -> bool {
    let mut json = serde_json::Deserializer::from_str(array);
    Walk { count }.deserialize(&mut json).is_ok()
}

/// The part that a value plays in its object.
enum Seen {
    True,
    Index(u64),
    Other,
}

#[derive(Clone, Copy)]
struct Walk {
    count: usize,
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Seen, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Seen, E> {
        Ok(if value { Seen::True } else { Seen::Other })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Seen, E> {
        Ok(Seen::Index(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_unit<E>(self) -> Result<Seen, E> {
        Ok(Seen::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Seen, A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(Seen::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Seen, A::Error> {
        let mut is_placeholder = false;
        let mut points_inside = false;
        // Keys are compared unescaped. Of equal keys the last one counts, as in JavaScript.
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            match key.as_str() {
                "_placeholder" => is_placeholder = matches!(value, Seen::True),
                "num" => {
                    points_inside = matches!(value, Seen::Index(num) if num < self.count as u64);
                }
                _ => {}
            }
        }
        if is_placeholder && !points_inside {
            return Err(A::Error::custom("a placeholder points to no attachment"));
        }
        Ok(Seen::Other)
    }
}
