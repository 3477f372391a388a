//! The access log of the API: one log line and one count per call. It omits headers and query, which may hold
//! secrets.

use axum::{extract::Request, middleware::Next, response::Response};
use metrics::{Counter, counter};
use tokio::time::Instant;

/// Counts calls by the first digit of their response status. Cheap to clone.
#[derive(Clone)]
pub(super) struct AccessLog {
    answers: [Counter; 3],
}

impl AccessLog {
    pub(super) fn new() -> Self {
        let answers =
            ["2xx", "4xx", "5xx"].map(|status| counter!("roomful_api_requests_total", "status" => status));
        Self { answers }
    }

    pub(super) async fn pass(&self, request: Request, next: Next) -> Response {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let began = Instant::now();
        let response = next.run(request).await;
        let status = response.status();
        let [good, refused, failed] = &self.answers;
        let counter = match status.as_u16() {
            ..400 => good,
            400..500 => refused,
            500.. => failed,
        };
        counter.increment(1);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        // hyper accepts only paths of printable ASCII, so this cannot break the log line.
        tracing::info!(%method, path, status = status.as_u16(), micros, "API call");
        response
    }
}
