//! The HTTP client of webhooks and hooks: posts JSON, signed by the Standard Webhooks specification.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::signature::SigningKeys;
use crate::{
    clock,
    http_client::{NoBody, USER_AGENT, read_body},
    outbox::causes,
};

/// The most bytes read of a webhook's answer. A hook sets a larger limit, since its answer may repeat the
/// user's text.
pub(crate) const RESPONSE_BYTES: usize = 64 << 10;
/// How long an idle connection is kept.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// A client without redirects and proxies. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    response_bytes: usize,
}

/// Where to post, and the keys that sign a post. Never logs its URL or its keys.
#[derive(Clone)]
pub(crate) struct Target {
    uri: Uri,
    keys: SigningKeys,
}

/// The answer to a post.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body, or why there is none.
    pub(crate) body: Result<Bytes, NoBody>,
}

/// Why a post has no answer, as one line without URLs and secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PostError {
    /// The request can't be built.
    Invalid(String),
    /// The connection failed.
    Unreachable(String),
}

impl Client {
    /// Keeps up to `idle` unused connections to each host. Reads response bodies of up to `response_bytes`.
    pub(crate) fn new(idle: usize, response_bytes: usize) -> io::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .build();
        let http = HyperClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(idle)
            .build(connector);
        Ok(Self { http, response_bytes })
    }

    /// Posts a JSON body once. `id` tells the receiver whether it has seen the post before. Takes as long as
    /// the receiver does.
    pub(crate) async fn post(&self, target: &Target, id: &str, body: Bytes) -> Result<Answer, PostError> {
        let request = target.request(id, body)?;
        let answer = self.http.request(request).await;
        let (head, body) = answer
            .map_err(|error| PostError::Unreachable(causes(&error)))?
            .into_parts();
        // Read the body also if nobody needs it: the connection can then be reused.
        let body = read_body(body, self.response_bytes).await;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

impl Target {
    pub(crate) fn new(uri: Uri, keys: SigningKeys) -> Self {
        Self { uri, keys }
    }

    /// The signing keys, shared with this target.
    pub(crate) fn keys(&self) -> SigningKeys {
        self.keys.clone()
    }

    fn request(&self, id: &str, body: Bytes) -> Result<Request<Full<Bytes>>, PostError> {
        let timestamp = clock::unix_seconds();
        Request::post(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.keys.sign(id, timestamp, &body))
            .body(Full::new(body))
            .map_err(|error| PostError::Invalid(format!("failed to build the request: {error}")))
    }
}
