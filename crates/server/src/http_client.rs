//! Parts that the HTTP clients of this process share: their `User-Agent`, and bounded answers.

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

/// The value of `User-Agent`.
pub(crate) const USER_AGENT: &str = concat!("Roomful/", env!("CARGO_PKG_VERSION"));

/// Why an answer has no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// It exceeds the limit.
    TooLarge,
    /// The connection broke.
    Broken,
}

/// Reads a body of at most `max` bytes.
pub(crate) async fn read_body(body: Incoming, max: usize) -> Result<Bytes, NoBody> {
    match Limited::new(body, max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(NoBody::TooLarge),
        Err(_) => Err(NoBody::Broken),
    }
}
