//! Types for values in settings: durations, sizes and secrets.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// A duration, written as `"25s"`, `"500ms"` or `"1h 30m"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    /// Parses a duration; the error is one line for the user.
    pub(crate) fn parse(text: &str) -> Result<Span, String> {
        humantime::parse_duration(text).map(Span).map_err(|_| {
            format!(
                "{text:?} is not a duration; write a number with a unit, such as \"500ms\", \"25s\", \
                \"5m\" or \"90d\""
            )
        })
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&humantime::format_duration(self.0), f)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration as a string, such as \"25s\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A number of bytes, written as an integer or as `"16KB"`. Units are powers of 1024, with or without the
/// `i`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) usize);

impl Size {
    /// Parses a size; the error is one line for the user.
    pub(crate) fn parse(text: &str) -> Result<Size, String> {
        let wrong = || {
            format!(
                "{text:?} is not a size; write bytes as a number, or with a unit, such as \"16KB\" or \"1MB\""
            )
        };
        let digits = text.trim().trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text.trim().get(digits.len()..).unwrap_or_default().trim();
        let shift = match unit.to_ascii_uppercase().as_str() {
            "" | "B" => 0,
            "K" | "KB" | "KIB" => 10,
            "M" | "MB" | "MIB" => 20,
            "G" | "GB" | "GIB" => 30,
            _ => return Err(wrong()),
        };
        let number: usize = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << shift).map(Size).ok_or_else(wrong)
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B", self.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size in bytes, or a string such as \"16KB\"")
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                usize::try_from(bytes)
                    .map(Size)
                    .map_err(|_| E::custom("a size can't be negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A string that never appears in logs or debug output.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret, or `None` if it is empty, which means not set.
    pub(crate) fn expose(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "(not set)"
        } else {
            "(hidden)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(Span::parse("25s").unwrap().0, Duration::from_secs(25));
        assert_eq!(Span::parse("500ms").unwrap().0, Duration::from_millis(500));
        assert_eq!(Span::parse("1h 30m").unwrap().0, Duration::from_mins(90));
        assert_eq!(Span::parse("90d").unwrap().0, Duration::from_hours(90 * 24));
        for wrong in ["", "25", "s", "-1s", "1 parsec", "99999999999999999999d"] {
            assert!(Span::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(Size::parse("0").unwrap().0, 0);
        assert_eq!(Size::parse("100KB").unwrap().0, 102_400);
        assert_eq!(Size::parse("16 kib").unwrap().0, 16_384);
        assert_eq!(Size::parse("1MB").unwrap().0, 1_048_576);
        for wrong in [
            "",
            "KB",
            "-1",
            "1.5KB",
            "1 XB",
            "99999999999999999999",
            "99999999999999GB",
            "é",
        ] {
            assert!(Size::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn debug_output_hides_a_secret() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(
            format!("{secret:?} {:?}", Secret::default()),
            "(hidden) (not set)"
        );
    }
}
