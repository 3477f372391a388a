//! Why an event was not sent, and the check of event names.

use roomful_wire::parser;

/// Why an event was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// Socket.IO reserves the name.
    #[error("the event name {0:?} is reserved by Socket.IO; use another one")]
    Reserved(String),
    /// The data cannot be converted to JSON, for example a map with keys that are not strings.
    #[error("the event's data can't be JSON: {0}")]
    Json(#[from] serde_json::Error),
}

pub(super) fn check_name(event: &str) -> Result<(), EmitError> {
    if parser::is_reserved(event) {
        Err(EmitError::Reserved(event.to_owned()))
    } else {
        Ok(())
    }
}
