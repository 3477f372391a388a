//! Errors of Engine.IO requests and their HTTP responses.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

use super::registry::CapacityError;

/// Why a request is refused. The numbers come from the Engine.IO protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HttpError {
    UnknownTransport,
    UnknownSession,
    BadHandshakeMethod,
    BadRequest,
    Forbidden,
    /// The application's check refused the client, with this message.
    Refused(Box<str>),
    UnsupportedVersion,
    TooLarge,
    TimedOut,
    TooMany(CapacityError),
}

impl HttpError {
    fn status(&self) -> StatusCode {
        match self {
            HttpError::Forbidden | HttpError::Refused(_) => StatusCode::FORBIDDEN,
            HttpError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            HttpError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            HttpError::TooMany(CapacityError::Server) => StatusCode::SERVICE_UNAVAILABLE,
            HttpError::TooMany(CapacityError::Address) => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn code(&self) -> usize {
        match self {
            HttpError::UnknownTransport => 0,
            HttpError::UnknownSession => 1,
            HttpError::BadHandshakeMethod => 2,
            HttpError::BadRequest | HttpError::TooLarge | HttpError::TimedOut => 3,
            HttpError::Forbidden | HttpError::Refused(_) | HttpError::TooMany(_) => 4,
            HttpError::UnsupportedVersion => 5,
        }
    }

    fn message(&self) -> &str {
        match self {
            HttpError::UnknownTransport => "Transport unknown",
            HttpError::UnknownSession => "Session ID unknown",
            HttpError::BadHandshakeMethod => "Bad handshake method",
            HttpError::BadRequest => "Bad request",
            HttpError::Forbidden => "Forbidden",
            HttpError::Refused(message) => message,
            HttpError::UnsupportedVersion => "Unsupported protocol version",
            HttpError::TooLarge => "Payload too large",
            HttpError::TimedOut => "The request body took too long",
            HttpError::TooMany(CapacityError::Server) => {
                "The server takes no more connections right now; try again later"
            }
            HttpError::TooMany(CapacityError::Address) => {
                "Too many connections from this address; try again later"
            }
        }
    }

    /// JSON, or plain text for WebSocket requests.
    pub(super) fn respond(&self, upgrade: bool) -> Response<Body> {
        if *self == HttpError::TooLarge {
            // Like the stock server: no body.
            let mut response = Response::new(Body::empty());
            *response.status_mut() = self.status();
            return response;
        }
        let body = if upgrade {
            self.message().to_owned()
        } else {
            serde_json::json!({ "code": self.code(), "message": self.message() }).to_string()
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let kind = if upgrade { "text/html" } else { "application/json" };
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if upgrade {
            // RFC 6455, 4.4: name the supported version.
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
