//! A binary value inside the arguments: serialised as an attachment, deserialised from one.
//!
//! Serde knows no attachments, so [`Payload`](super::Payload) lends them to [`Binary`] in a variable of the
//! thread for the time of one conversion.

use std::{cell::RefCell, mem};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Bytes at any place in the arguments. JavaScript clients send and get a `Buffer`, `ArrayBuffer` or typed
/// array there.
///
/// ```
/// use bytes::Bytes;
/// use roomful_wire::packet::{Binary, Payload};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Upload {
///     name: String,
///     content: Binary,
/// }
///
/// let upload = Upload { name: "cat.png".into(), content: Binary(Bytes::from_static(b"\x89PNG")) };
/// let payload = Payload::one(&upload)?;
/// assert_eq!(payload.attachments(), [&b"\x89PNG"[..]]);
/// assert_eq!(payload.arg::<Upload>(0)?, upload);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Converting it outside a [`Payload`](super::Payload) is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binary(pub Bytes);

/// The JSON that stands for an attachment (Socket.IO protocol 5, "Binary event").
#[derive(Serialize, Deserialize)]
pub(super) struct Placeholder {
    #[serde(rename = "_placeholder")]
    pub(super) is_placeholder: bool,
    pub(super) num: usize,
}

thread_local! {
    /// The attachments of the payload that is being converted on this thread.
    static LENT: RefCell<Option<Vec<Bytes>>> = const { RefCell::new(None) };
}

/// Runs `convert`, in which each [`Binary`] adds to or reads from `attachments`.
pub(super) fn lend<T>(attachments: &mut Vec<Bytes>, convert: impl FnOnce() -> T) -> T {
    /// Restores the variable, also if the application's `Serialize` panics.
    struct Lent<'a> {
        attachments: &'a mut Vec<Bytes>,
        outer: Option<Vec<Bytes>>,
    }
    impl Drop for Lent<'_> {
        fn drop(&mut self) {
            let lent = LENT.with_borrow_mut(|lent| mem::replace(lent, self.outer.take()));
            *self.attachments = lent.unwrap_or_default();
        }
    }
    let outer = LENT.replace(Some(mem::take(attachments)));
    let lent = Lent { attachments, outer };
    let converted = convert();
    drop(lent);
    converted
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let num = LENT.with_borrow_mut(|lent| {
            let attachments = lent.as_mut()?;
            attachments.push(self.0.clone());
            Some(attachments.len() - 1)
        });
        let num = num.ok_or_else(|| ser::Error::custom("binary data belongs into a Payload"))?;
        Placeholder {
            is_placeholder: true,
            num,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let placeholder = Placeholder::deserialize(deserializer)?;
        LENT.with_borrow(|lent| {
            let attachments = lent.as_ref().filter(|_| placeholder.is_placeholder)?;
            attachments.get(placeholder.num).cloned().map(Binary)
        })
        .ok_or_else(|| de::Error::custom("expected binary data"))
    }
}

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Binary(bytes)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Binary(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_values_need_a_payload() {
        assert!(serde_json::to_string(&Binary::from(vec![1])).is_err());
        assert!(serde_json::from_str::<Binary>(r#"{"_placeholder":true,"num":0}"#).is_err());
    }

    #[test]
    fn a_panic_while_converting_leaves_no_attachments_behind() {
        let panicked = std::panic::catch_unwind(|| lend(&mut vec![Bytes::new()], || panic!("a bug")));
        assert!(panicked.is_err());
        assert!(LENT.with_borrow(Option::is_none));
    }
}
