//! A webhook endpoint, and one attempt to post a record to it.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use roomful_store::Record;
use tokio::time::timeout;

use super::signature::SigningKeys;
use crate::{
    clock,
    config::Webhook,
    outbox::{Attempt, Cause, Delivery, Payload, Sink, causes},
};

/// Bytes of a response body to read, so that the connection can be reused.
const RESPONSE_BYTES: usize = 64 << 10;
/// Idle connections kept for each host, and how long.
const IDLE_CONNECTIONS: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(30);

/// The HTTP client of all endpoints. Follows no redirects and uses no proxies.
#[derive(Clone)]
pub(super) struct Client {
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    concurrency: usize,
}

impl Client {
    /// `timeout` limits a whole attempt, from connecting to the end of the response. `concurrency` is the
    /// number of attempts at a time for each endpoint.
    pub(super) fn new(timeout: Duration, concurrency: usize) -> io::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .build();
        let http = HyperClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Ok(Self {
            http,
            timeout,
            concurrency,
        })
    }

    /// The endpoint of a validated setting; `None` if the setting is invalid.
    pub(super) fn endpoint(&self, webhook: &Webhook) -> Option<Endpoint> {
        Some(Endpoint {
            name: webhook.name(),
            uri: webhook.uri()?,
            keys: SigningKeys::new(&webhook.keys()?),
            client: self.clone(),
        })
    }
}

/// An endpoint. Never logs its URL or its key.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) name: String,
    uri: Uri,
    pub(super) keys: SigningKeys,
    client: Client,
}

impl Sink for Endpoint {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Concurrent {
            concurrency: self.client.concurrency,
        }
    }

    async fn send(&self, records: &[Record]) -> Vec<Attempt> {
        let mut attempts = Vec::with_capacity(records.len());
        for record in records {
            attempts.push(self.post(record).await);
        }
        attempts
    }
}

impl Endpoint {
    /// Posts a record once.
    async fn post(&self, record: &Record) -> Attempt {
        let request = match self.request(record) {
            Ok(request) => request,
            Err(error) => return Attempt::Invalid(error),
        };
        let limit = self.client.timeout;
        match timeout(limit, self.exchange(request)).await {
            Ok(attempt) => attempt,
            Err(_) => Attempt::failed(
                Cause::Timeout,
                format!("no answer within {}", humantime::format_duration(limit)),
            ),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Attempt {
        let answer = match self.client.http.request(request).await {
            Ok(answer) => answer,
            Err(error) => return Attempt::failed(Cause::Unreachable, causes(&error)),
        };
        let (head, body) = answer.into_parts();
        // Only the status counts. Read the body to reuse the connection.
        let _ = Limited::new(body, RESPONSE_BYTES).collect().await;
        match head.status {
            status if status.is_success() => Attempt::Delivered,
            StatusCode::GONE => Attempt::Gone,
            status => Attempt::Failed {
                cause: Cause::Refused,
                error: format!("answered {}", status.as_u16()),
                retry_after_ms: retry_after(&head.headers, clock::unix_seconds()),
            },
        }
    }

    fn request(&self, record: &Record) -> Result<Request<Full<Bytes>>, String> {
        let body = Bytes::from(Payload::of(record)?.body);
        let timestamp = clock::unix_seconds();
        Request::post(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("Roomful/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &record.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.keys.sign(&record.id, timestamp, &body))
            .body(Full::new(body))
            .map_err(|error| format!("failed to build the request: {error}"))
    }
}

/// The delay of a `Retry-After` header, in milliseconds.
fn retry_after(headers: &HeaderMap, now: u64) -> Option<i64> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse::<u64>().ok().or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        let date = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(date.as_secs().saturating_sub(now))
    })?;
    i64::try_from(seconds.saturating_mul(1_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let parse = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, http::HeaderValue::from_static(text))]);
            retry_after(&headers, 784_111_777)
        };
        assert_eq!(parse("120"), Some(120_000));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10_000));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:17 GMT"), Some(0));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
    }
}
