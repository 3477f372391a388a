//! The arguments of an event or ack: JSON text as sent, and its binary attachments.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::binary::{Placeholder, lend};

/// Arguments as JSON text: forwarded without parsing, and parsed only on request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// The arguments' JSON joined by commas, no brackets.
    text: String,
    len: usize,
    attachments: Vec<Bytes>,
}

/// An argument is not of the requested kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgError {
    /// There are fewer arguments.
    #[error("argument {index} is missing: there are {len}")]
    Missing {
        /// The index asked for, from 0.
        index: usize,
        /// How many arguments there are.
        len: usize,
    },
    /// The argument does not have the requested form.
    #[error("argument {index} has another form: {source}")]
    Form {
        /// The index asked for, from 0.
        index: usize,
        /// The mismatch and its position.
        source: serde_json::Error,
    },
    /// The argument is not binary.
    #[error("argument {index} is not binary")]
    NotBinary {
        /// The index asked for, from 0.
        index: usize,
    },
}

impl Payload {
    /// No arguments.
    pub const fn empty() -> Self {
        Self {
            text: String::new(),
            len: 0,
            attachments: Vec::new(),
        }
    }

    /// One argument.
    ///
    /// # Errors
    /// `value` cannot be converted to JSON, for example a map whose keys are not strings.
    pub fn one<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        let mut attachments = Vec::new();
        let text = lend(&mut attachments, || serde_json::to_string(value))?;
        Ok(Self {
            text,
            len: 1,
            attachments,
        })
    }

    /// The elements of a tuple or another sequence, each as one argument. `()` means no arguments.
    ///
    /// ```
    /// # use roomful_wire::packet::Payload;
    /// let payload = Payload::args(&("hello", 1, [true]))?;
    /// assert_eq!((payload.len(), payload.text()), (3, r#""hello",1,[true]"#));
    /// assert_eq!(payload.to_args::<(String, u8, Vec<bool>)>()?, ("hello".into(), 1, vec![true]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `values` is not a sequence, or cannot be converted to JSON.
    pub fn args<T: Serialize + ?Sized>(values: &T) -> Result<Self, serde_json::Error> {
        let mut attachments = Vec::new();
        let array = lend(&mut attachments, || serde_json::to_string(values))?;
        let text = match array.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(elements) => elements.to_owned(),
            None if array == "null" => String::new(),
            None => {
                return Err(serde::ser::Error::custom(
                    "the arguments must be a tuple or another sequence",
                ));
            }
        };
        let len = (Args { rest: &text }).count();
        Ok(Self {
            text,
            len,
            attachments,
        })
    }

    /// Arguments that are JSON already: `len` values in `text`, joined by commas, without brackets. The
    /// caller guarantees this, and that all placeholders refer to `attachments`.
    pub const fn from_parts(text: String, len: usize, attachments: Vec<Bytes>) -> Self {
        Self {
            text,
            len,
            attachments,
        }
    }

    /// Appends an argument.
    ///
    /// # Errors
    /// `value` cannot be converted to JSON. Nothing is appended then.
    pub fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), serde_json::Error> {
        let kept = self.attachments.len();
        let json = lend(&mut self.attachments, || serde_json::to_string(value))
            .inspect_err(|_| self.attachments.truncate(kept))?;
        self.push_text(&json);
        Ok(())
    }

    /// Appends a binary argument: an attachment, and its placeholder in the text.
    pub fn push_binary(&mut self, bytes: Bytes) {
        let num = self.attachments.len();
        self.push_text(&format!(r#"{{"_placeholder":true,"num":{num}}}"#));
        self.attachments.push(bytes);
    }

    fn push_text(&mut self, json: &str) {
        if self.len > 0 {
            self.text.push(',');
        }
        self.text.push_str(json);
        self.len += 1;
    }

    /// Number of arguments.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no arguments.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The arguments' JSON joined by commas, no brackets.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Size in bytes: the JSON and all attachments.
    pub fn size(&self) -> usize {
        self.text.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// The attachments in order.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Adds the attachments that a parser has collected.
    pub(crate) fn attach(&mut self, attachments: Vec<Bytes>) {
        self.attachments = attachments;
    }

    /// Argument `index`, from 0, as a `T`. Attachments inside it become [`Binary`](super::Binary) values;
    /// other types see their placeholder. For an argument that is an attachment itself, see
    /// [`binary`](Self::binary).
    ///
    /// # Errors
    /// There are fewer arguments, or the argument does not deserialize as `T`.
    pub fn arg<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgError> {
        self.read(self.arg_text(index)?)
            .map_err(|source| ArgError::Form { index, source })
    }

    /// All arguments as a tuple or another sequence.
    ///
    /// # Errors
    /// Their number or a type differs.
    pub fn to_args<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.read(&format!("[{}]", self.text))
    }

    fn read<T: DeserializeOwned>(&self, json: &str) -> Result<T, serde_json::Error> {
        if self.attachments.is_empty() {
            return serde_json::from_str(json);
        }
        lend(&mut self.attachments.clone(), || serde_json::from_str(json))
    }

    /// The bytes of argument `index`, from 0.
    ///
    /// # Errors
    /// There are fewer arguments, or that argument is not an attachment.
    pub fn binary(&self, index: usize) -> Result<Bytes, ArgError> {
        match serde_json::from_str(self.arg_text(index)?) {
            Ok(Placeholder {
                is_placeholder: true,
                num,
            }) => self.attachments.get(num).cloned(),
            _ => None,
        }
        .ok_or(ArgError::NotBinary { index })
    }

    /// The JSON of each argument.
    ///
    /// # Errors
    /// The text given to [`from_parts`](Self::from_parts) was not JSON.
    pub fn raw_args(&self) -> Result<Vec<&RawValue>, serde_json::Error> {
        Args { rest: &self.text }.collect()
    }

    fn arg_text(&self, index: usize) -> Result<&str, ArgError> {
        let missing = || ArgError::Missing { index, len: self.len };
        if index >= self.len {
            return Err(missing());
        }
        if self.len == 1 {
            return Ok(&self.text);
        }
        match (Args { rest: &self.text }).nth(index) {
            Some(Ok(raw)) => Ok(raw.get()),
            Some(Err(source)) => Err(ArgError::Form { index, source }),
            None => Err(missing()),
        }
    }
}

/// Iterates over JSON values joined by commas.
struct Args<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Args<'a> {
    type Item = Result<&'a RawValue, serde_json::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<&RawValue>();
        let value = values.next()?;
        let after = self.rest.get(values.byte_offset()..).unwrap_or_default();
        let after = after.trim_start_matches([' ', '\t', '\r', '\n']);
        // After an error, the start of the next value is unknown.
        self.rest = if value.is_ok() {
            after.strip_prefix(',').unwrap_or_default()
        } else {
            ""
        };
        Some(value)
    }
}
