//! A webhook endpoint, and one attempt to post a record to it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use roomful_store::Record;
use tokio::time::timeout;

use super::{
    client::{Client, PostError, Target},
    signature::SigningKeys,
};
use crate::{
    clock,
    config::Webhook,
    outbox::{Attempt, Cause, Delivery, Payload, Sink},
};

/// How to post to all endpoints.
#[derive(Clone)]
pub(super) struct Posting {
    pub(super) client: Client,
    /// The limit of a whole attempt, from connecting to the end of the response.
    pub(super) timeout: Duration,
    /// The number of attempts at a time for each endpoint.
    pub(super) concurrency: usize,
}

/// An endpoint.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) name: String,
    target: Target,
    posting: Posting,
}

impl Endpoint {
    /// The endpoint of a validated setting; `None` if the setting is invalid.
    pub(super) fn new(webhook: &Webhook, posting: &Posting) -> Option<Self> {
        Some(Self {
            name: webhook.name(),
            target: Target::new(webhook.uri()?, SigningKeys::new(&webhook.keys()?)),
            posting: posting.clone(),
        })
    }

    /// The signing keys, shared with this endpoint.
    pub(super) fn keys(&self) -> SigningKeys {
        self.target.keys()
    }
}

impl Sink for Endpoint {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Concurrent {
            concurrency: self.posting.concurrency,
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
        let body = match Payload::of(record) {
            Ok(payload) => Bytes::from(payload.body),
            Err(error) => return Attempt::Invalid(error),
        };
        let limit = self.posting.timeout;
        let posted = self.posting.client.post(&self.target, &record.id, body);
        let answer = match timeout(limit, posted).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(PostError::Invalid(error))) => return Attempt::Invalid(error),
            Ok(Err(PostError::Unreachable(error))) => return Attempt::failed(Cause::Unreachable, error),
            Err(_) => {
                let limit = humantime::format_duration(limit);
                return Attempt::failed(Cause::Timeout, format!("no answer within {limit}"));
            }
        };
        // Only the status counts.
        match answer.status {
            status if status.is_success() => Attempt::Delivered,
            StatusCode::GONE => Attempt::Gone,
            status => Attempt::Failed {
                cause: Cause::Refused,
                error: format!("answered {}", status.as_u16()),
                retry_after_ms: retry_after(&answer.headers, clock::unix_seconds()),
            },
        }
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
