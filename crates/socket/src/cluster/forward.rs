//! Forwarding of a request to the node that owns its session, over plain HTTP/1.1.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header, uri::Scheme};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{sync::watch, time::Instant};

use super::{
    Cluster, NodeTag,
    forward_error::ForwardError,
    forward_permit::ForwardPermit,
    metrics::Metrics,
    peer_cache::{Peer, PeerCache},
    request_signature::{self, InvalidSignature, RequestSigner},
    response_body::ResponseBody,
    tunnel::{self, DRAINED},
};
use crate::{
    engine::{CapacityError, Forwarding, HttpError, Peers},
    settings::Settings,
    throttled_log::ThrottledLog,
};

/// How long a connection to a peer may stay idle. Shorter than the peer's own limit
/// ([`crate::HttpLimits::keep_alive`]), so that no request meets a closing connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// TCP keepalive. A parked poll is silent, and so is a connection that the peer has lost. Without probes
/// its client would wait for its own time-out.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(2);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(1);
const KEEPALIVE_PROBES: u32 = 4;
/// Extra time for the owner beyond its own deadlines before it counts as dead.
const EXTRA_TIME: Duration = Duration::from_secs(10);
/// Shortest time between two log lines about forged or misdirected requests.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// The node is closing and forwards nothing any more.
const CLOSED: u16 = DRAINED + 1;

/// Connections to the other nodes.
pub(crate) struct ForwardingPeers {
    own: NodeTag,
    request_signature: RequestSigner,
    peer_cache: PeerCache,
    client: Client<HttpConnector, Body>,
    prefix: Box<str>,
    /// Longest duration of a parked poll. Within it the owner sends a ping or ends the session.
    poll: Duration,
    /// Longest duration of a POST, including its body and the events queued before it.
    post: Duration,
    metrics: Arc<Metrics>,
    /// Throttles the log of requests with a forged header. Anyone can send these.
    forged: ThrottledLog,
    /// Throttles the log of requests that another node forwarded here by mistake. A wrong address
    /// misdirects every request.
    misdirected: ThrottledLog,
    /// Progress of this node's drain, in thousandths.
    drained: watch::Sender<u16>,
}

impl ForwardingPeers {
    pub(super) fn new(cluster: &Cluster, settings: &Settings) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(cluster.bounds.connect_timeout));
        connector.set_keepalive(Some(KEEPALIVE_AFTER));
        connector.set_keepalive_interval(Some(KEEPALIVE_EVERY));
        connector.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(cluster.bounds.max_idle)
            .http1_max_headers(64)
            .build(connector);
        let silence = settings.heartbeat.interval + settings.heartbeat.timeout;
        ForwardingPeers {
            own: cluster.address.tag,
            request_signature: RequestSigner::new(&cluster.secret, &cluster.also_accepted),
            peer_cache: PeerCache::new(
                Arc::clone(&cluster.directory),
                cluster.bounds.max_per_peer,
                cluster.bounds.refresh_every,
            ),
            client,
            prefix: cluster.prefix.as_str().into(),
            poll: silence + EXTRA_TIME,
            post: settings.body_timeout + silence + EXTRA_TIME,
            metrics: Arc::new(Metrics::new(settings.metric_prefix)),
            forged: ThrottledLog::new(LOG_EVERY),
            misdirected: ThrottledLog::new(LOG_EVERY),
            drained: watch::Sender::new(0),
        }
    }

    async fn forward_to_owner(
        &self,
        owner: NodeTag,
        path: &str,
        mut request: Request<Body>,
        client: IpAddr,
        upgrade: bool,
    ) -> Result<Response<Body>, ForwardError> {
        let peer = self
            .peer_cache
            .find(owner)
            .await
            .ok_or(ForwardError::UnknownNode)?;
        let permit = self.acquire(&peer)?;
        let here = upgrade.then(|| hyper::upgrade::on(&mut request));
        let patience = match *request.method() {
            http::Method::POST => self.post,
            // The owner switches protocols at once.
            _ if upgrade => EXTRA_TIME,
            _ => self.poll,
        };
        let request = self.prepare(&peer, path, request, client, upgrade)?;
        let mut response = match tokio::time::timeout(patience, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::debug!(owner = %owner, %error, "failed to forward a request");
                let unreachable = error.is_connect();
                if unreachable {
                    self.peer_cache.invalidate(&peer);
                }
                return Err(if unreachable {
                    ForwardError::Unreachable
                } else {
                    ForwardError::Broken
                });
            }
            Err(_) => return Err(ForwardError::TimedOut),
        };
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched != upgrade && switched {
            return Err(ForwardError::Broken);
        }
        let there = switched.then(|| hyper::upgrade::on(&mut response));
        let (mut parts, body) = response.into_parts();
        strip(&mut parts.headers);
        parts.version = http::Version::HTTP_11;
        parts.extensions.clear();
        if let (Some(here), Some(there)) = (here, there) {
            ask_for_upgrade(&mut parts.headers);
            tokio::spawn(tunnel::run(
                here,
                there,
                self.poll,
                self.drained.subscribe(),
                permit,
            ));
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        Ok(Response::from_parts(
            parts,
            Body::new(ResponseBody::new(body, permit)),
        ))
    }

    fn acquire(&self, peer: &Peer) -> Result<ForwardPermit, ForwardError> {
        let permit = Arc::clone(&peer.permits)
            .try_acquire_owned()
            .map_err(|_| ForwardError::Full)?;
        Ok(ForwardPermit::new(Arc::clone(&self.metrics), permit))
    }

    /// Rewrites the request for the owner.
    fn prepare(
        &self,
        peer: &Peer,
        path: &str,
        request: Request<Body>,
        client: IpAddr,
        upgrade: bool,
    ) -> Result<Request<Body>, ForwardError> {
        let request_signature = self.request_signature.header(&request, client);
        let (mut parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        parts.uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(peer.authority.clone())
            .path_and_query(format!("{}{path}?{query}", self.prefix))
            .build()
            .map_err(|_| ForwardError::Broken)?;
        parts.version = http::Version::HTTP_11;
        parts.extensions.clear();
        strip(&mut parts.headers);
        // The HTTP client sets the owner's host. This node has already checked the origin.
        parts.headers.remove(header::HOST);
        parts.headers.remove(header::ORIGIN);
        parts.headers.insert(request_signature::HEADER, request_signature);
        if upgrade {
            ask_for_upgrade(&mut parts.headers);
        }
        Ok(Request::from_parts(parts, body))
    }
}

impl Peers for ForwardingPeers {
    fn own(&self) -> NodeTag {
        self.own
    }

    fn verified_client(&self, request: &Request<Body>) -> Result<Option<IpAddr>, HttpError> {
        self.request_signature.check(request).map_err(|InvalidSignature| {
            self.metrics.forged.increment(1);
            if let Some(requests) = self.forged.record(Instant::now()) {
                tracing::warn!(
                    requests,
                    "refused requests with an invalid signature of another node"
                );
            }
            HttpError::Forbidden
        })
    }

    fn misdirected(&self) {
        self.metrics.misdirected.increment(1);
        if let Some(requests) = self.misdirected.record(Instant::now()) {
            tracing::warn!(
                requests,
                "refused requests forwarded here by mistake: check cluster.advertise of all nodes"
            );
        }
    }

    fn drain(&self, progress: u16) {
        self.drained.send_replace(progress);
    }

    fn close(&self) {
        self.drained.send_replace(CLOSED);
    }

    fn is_idle(&self) -> bool {
        self.metrics.open_now.load(Ordering::Relaxed) == 0
    }

    fn forward<'a>(
        &'a self,
        owner: NodeTag,
        path: &'a str,
        request: Request<Body>,
        client: IpAddr,
        upgrade: bool,
    ) -> Forwarding<'a> {
        Box::pin(async move {
            let mut drained = self.drained.subscribe();
            self.metrics.forwarded(request.method(), upgrade);
            let outcome = tokio::select! {
                outcome = self.forward_to_owner(owner, path, request, client, upgrade) => outcome,
                _ = drained.wait_for(|&drained| drained >= CLOSED) => Err(ForwardError::Closing),
            };
            outcome.map_err(|failure| {
                self.metrics.failed(failure);
                match failure {
                    ForwardError::Full => HttpError::TooMany(CapacityError::Server),
                    // For the client, an unreachable session is a lost one: it reconnects.
                    _ => HttpError::UnknownSession,
                }
            })
        })
    }
}

fn ask_for_upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Removes headers that apply to one connection only (RFC 9110, 7.6.1).
fn strip(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        // A client must not remove the headers that frame its own body.
        .filter(|name| name != "content-length" && name != "content-type")
        .collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in [
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_headers_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Mine, Content-Length"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("content-length", "3"),
            ("cookie", "a=b"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(header::HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "cookie"]);
    }
}
