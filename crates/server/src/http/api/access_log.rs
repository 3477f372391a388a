//! The access log of the API: one log line and one count per call. It omits headers and query, which may hold
//! secrets.

use std::sync::Arc;

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use metrics::{Counter, counter};
use tokio::time::Instant;

use super::super::client_address::client_address;
use crate::log::{LogThrottle, truncated};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that a client may choose.
const MAX_REQUEST_ID: usize = 64;

/// Marks the response to a client without the key, who must not fill the log.
#[derive(Clone, Copy)]
struct Stranger;

/// Marks the response to a client without the key. Log lines of such clients are limited.
pub(super) fn of_stranger(mut response: Response) -> Response {
    response.extensions_mut().insert(Stranger);
    response
}

/// Counts calls by the first digit of their response status. Cheap to clone.
#[derive(Clone)]
pub(super) struct AccessLog {
    answers: [Counter; 3],
    strangers: Arc<LogThrottle>,
}

impl AccessLog {
    pub(super) fn new() -> Self {
        let answers =
            ["2xx", "4xx", "5xx"].map(|status| counter!("roomful_api_requests_total", "status" => status));
        Self {
            answers,
            strangers: Arc::new(LogThrottle::new()),
        }
    }

    /// Runs the call, logs it and adds `X-Request-Id` to its response: the client's own id if it sent one.
    pub(super) async fn pass(&self, request: Request, next: Next) -> Response {
        let (method, path) = (request.method().clone(), truncated(request.uri().path()));
        let address = client_address(request.extensions());
        let request_id = request_id(request.headers());
        let began = Instant::now();
        let mut response = next.run(request).await;
        let status = response.status();
        let [good, refused, failed] = &self.answers;
        let counter = match status.as_u16() {
            ..400 => good,
            400..500 => refused,
            500.. => failed,
        };
        counter.increment(1);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let suppressed = match response.extensions().get::<Stranger>() {
            Some(Stranger) => self.strangers.admit(),
            None => Some(0),
        };
        if let Some(suppressed) = suppressed {
            let (method, status) = (truncated(method.as_str()), status.as_u16());
            tracing::info!(method, path, status, micros, %address, request_id, suppressed, "API call");
        }
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

/// The client's request id if it is short and plain, or else a random one.
fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    match given.filter(is_plain) {
        Some(id) => id.to_owned(),
        None => format!("{:016x}", rand::random::<u64>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_request_id_of_the_client_is_used() {
        let id = |given: &str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, given.parse().unwrap())]);
            request_id(&headers)
        };
        assert_eq!(id("req-1.a_B"), "req-1.a_B");
        for given in ["", "a b", "a\"b", &"x".repeat(65)] {
            let random = id(given);
            assert!(random != given && random.len() == 16, "{given:?}: {random}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
