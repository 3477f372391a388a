//! The loader's stamp in each message: its due time and its number.
//!
//! The stamp is plain letters in the message's text, so that it survives every server and encoding.

/// Marks both ends; no other part of a message contains this character.
const EDGE: u8 = b'~';
const DIGITS: usize = 24;

/// The due time of a message, in [`clock`](crate::clock) nanoseconds, and its number within the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) due: u64,
    pub(crate) number: u32,
}

impl Stamp {
    /// A text of `length` characters, at least 26, that contains the stamp.
    pub(crate) fn text(self, length: usize) -> String {
        let mut text = format!("~{:016x}{:08x}~", self.due, self.number);
        text.extend(std::iter::repeat_n('x', length.saturating_sub(text.len())));
        text
    }

    /// The stamp of a delivered message.
    pub(crate) fn find(payload: &[u8]) -> Option<Self> {
        let start = memchr::memchr(EDGE, payload)? + 1;
        let digits = payload.get(start..start + DIGITS)?;
        if payload.get(start + DIGITS) != Some(&EDGE) {
            return None;
        }
        let digits = std::str::from_utf8(digits).ok()?;
        Some(Self {
            due: u64::from_str_radix(digits.get(..16)?, 16).ok()?,
            number: u32::from_str_radix(digits.get(16..)?, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_within_other_text() {
        let stamp = Stamp {
            due: 123_456_789_012,
            number: 77,
        };
        let text = stamp.text(120);
        assert_eq!(text.len(), 120);
        let payload = format!("42[\"message\",{{\"room\":\"room-1\",\"text\":\"{text}\"}}]");
        assert_eq!(Stamp::find(payload.as_bytes()), Some(stamp));
        assert_eq!(Stamp::find(b"42[\"message\",{\"text\":\"~none~\"}]"), None);
    }
}
