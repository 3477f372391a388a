//! The shape of every refusal over HTTP: `{"error": {"code", "message"}}`, with CONTRACT's codes.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request can't be understood or breaks a rule; the text says which, and what is allowed.
    Invalid(String),
    /// There is nothing here.
    NotFound,
    /// The path is right, the method is not.
    Method,
    /// Not now; later perhaps.
    Unavailable(&'static str),
    /// The fault is ours.
    Internal,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, message) = match &self {
            Problem::Invalid(what) => (StatusCode::BAD_REQUEST, "invalid_request", what.as_str()),
            Problem::NotFound => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing at this address.",
            ),
            Problem::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "invalid_request",
                "This method has no meaning here.",
            ),
            Problem::Unavailable(what) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", *what),
            Problem::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong in the server.",
            ),
        };
        (status, Json(json!({"error": {"code": code, "message": message}}))).into_response()
    }
}
