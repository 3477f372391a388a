//! One GET request to an issuer: only to allowed addresses, without redirects, and with a bounded answer.

use std::{error::Error, io};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::address::{AddressScope, ResolveError, Resolver, check_literal};
use crate::{
    http_client::{NoBody, USER_AGENT, read_body},
    outbox::causes,
};

/// Why an issuer's document is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Address(String),
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(std::time::Duration),
    #[error("{0}")]
    Unreachable(String),
    #[error("answered {0} and a redirect; set the URL that it redirects to")]
    Redirect(u16),
    #[error("answered {0}")]
    Status(u16),
    #[error("the answer has more than {0} bytes, the limit of auth.issuer_max_size")]
    TooLarge(usize),
    #[error("{0}")]
    Invalid(String),
}

impl FetchError {
    /// Every outcome of a fetch, as metric labels; the first is success.
    pub(super) const OUTCOMES: [&'static str; 8] = [
        "fetched",
        "address",
        "timeout",
        "unreachable",
        "redirect",
        "status",
        "too_large",
        "invalid",
    ];

    /// The metric label.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::Timeout(_) => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "status",
            Self::TooLarge(_) => "too_large",
            Self::Invalid(_) => "invalid",
        }
    }
}

/// The HTTP client for one issuer. Follows no redirects, uses no proxies and keeps no connections.
#[derive(Clone)]
pub(super) struct Client {
    https: HyperClient<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>,
    /// Addresses for `https:` URLs.
    scope: AddressScope,
    /// For `http:` URLs, which need `allow_private`.
    http: Option<HyperClient<HttpConnector<Resolver>, Empty<Bytes>>>,
    max_bytes: usize,
}

impl Client {
    /// # Errors
    /// If the system's CA certificates cannot be loaded.
    pub(super) fn new(allow_private: bool, max_bytes: usize) -> io::Result<Self> {
        let scope = if allow_private {
            AddressScope::Any
        } else {
            AddressScope::Public
        };
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new(scope));
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        let plain = HttpConnector::new_with_resolver(Resolver::new(AddressScope::Private));
        let mut client = HyperClient::builder(TokioExecutor::new());
        client.pool_max_idle_per_host(0);
        Ok(Self {
            https: client.build(https),
            scope,
            http: allow_private.then(|| client.build(plain)),
            max_bytes,
        })
    }

    /// The body of a 200 answer. The caller limits the time.
    pub(super) async fn get(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let request = Request::get(url.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .body(Empty::new())
            .map_err(|error| FetchError::Invalid(error.to_string()))?;
        let host = url.host().unwrap_or_default();
        let refused = |error: ResolveError| FetchError::Address(error.to_string());
        let answer = match (url.scheme_str(), &self.http) {
            (Some("https"), _) => {
                check_literal(host, self.scope).map_err(refused)?;
                self.https.request(request).await
            }
            (Some("http"), Some(http)) => {
                check_literal(host, AddressScope::Private).map_err(refused)?;
                http.request(request).await
            }
            _ => {
                let what = "the URL must be https:, or http: with allow_private = true";
                return Err(FetchError::Address(what.to_owned()));
            }
        };
        let (head, body) = answer.map_err(|error| connect_error(&error))?.into_parts();
        let status = head.status.as_u16();
        if head.status.is_redirection() {
            return Err(FetchError::Redirect(status));
        }
        if head.status != StatusCode::OK {
            return Err(FetchError::Status(status));
        }
        read_body(body, self.max_bytes)
            .await
            .map_err(|no_body| match no_body {
                NoBody::TooLarge => FetchError::TooLarge(self.max_bytes),
                NoBody::Broken => {
                    FetchError::Unreachable("the connection broke within the answer".to_owned())
                }
            })
    }
}

/// The error of a failed request. A refused address has its own kind, since the operator has to fix it.
fn connect_error(error: &hyper_util::client::legacy::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(found) = cause {
        if let Some(ResolveError::Refused(_)) = found.downcast_ref() {
            return FetchError::Address(found.to_string());
        }
        cause = found.source();
    }
    FetchError::Unreachable(causes(error))
}
