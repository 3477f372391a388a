//! Passing a request on to the node that owns its session, over plain HTTP/1.1.

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
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};

use super::{
    Cluster, NodeTag,
    answer::AnswerBody,
    book::{AddressBook, Peer},
    metrics::Metrics,
    seal::{self, Forged, Seal},
    tunnel,
};
use crate::{seldom::Seldom, settings::Settings};

/// How long a connection to a peer may lie idle for the next request. Less than the time after which the other side ends it
/// ([`crate::HttpLimits::keep_alive`] or its least, the time for a head), so that no request meets a closing connection.
const KEPT: Duration = Duration::from_secs(3);
/// A parked poll is silent, and so is a connection that only this side still has, after a cut. After so long it is asked for,
/// so often, before it counts as broken: its client comes back then, which otherwise would wait for its own time-out.
const SILENT: Duration = Duration::from_secs(2);
const ASKED_EVERY: Duration = Duration::from_secs(1);
const ASKED: u32 = 4;
/// What the owner gets beyond its own deadlines before it counts as dead.
const GRACE: Duration = Duration::from_secs(10);
/// How often the log is told of forged requests at most, and of misdirected ones.
const TELLING: Duration = Duration::from_secs(10);
/// A drain that has come to its end: no tunnel is left.
pub(crate) const ALL: u16 = 1000;
/// The node closes: nothing is passed on any more.
pub(crate) const CLOSED: u16 = ALL + 1;

/// Why a request could not be passed on, or its answer did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The directory does not know the owner (any more).
    UnknownNode,
    /// So many requests to the owner are under way that this one is refused.
    Full,
    /// The owner can't be connected to.
    Unreachable,
    /// The connection broke, or what came was no HTTP.
    Broken,
    /// The owner did not answer in time.
    TimedOut,
    /// This node is going down.
    Closing,
}

impl Failure {
    pub(super) const ALL: [Failure; 6] = [
        Failure::UnknownNode,
        Failure::Full,
        Failure::Unreachable,
        Failure::Broken,
        Failure::TimedOut,
        Failure::Closing,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Failure::UnknownNode => "unknown_node",
            Failure::Full => "full",
            Failure::Unreachable => "unreachable",
            Failure::Broken => "broken",
            Failure::TimedOut => "timed_out",
            Failure::Closing => "closing",
        }
    }
}

/// The way to the other nodes.
pub(crate) struct Peers {
    own: NodeTag,
    seal: Seal,
    book: AddressBook,
    client: Client<HttpConnector, Body>,
    prefix: Box<str>,
    /// How long a parked poll may take at most: the owner answers it with a ping, or ends the session.
    poll: Duration,
    /// How long a POST may take: its body, and the events before it.
    post: Duration,
    metrics: Arc<Metrics>,
    /// Requests that no node has made, of which anybody can send as many as they like.
    forged: Seldom,
    /// Requests that others have passed on to the wrong node: all that come, while an address is wrong.
    misdirected: Seldom,
    /// How far this node's drain has come, in thousandths.
    drained: watch::Sender<u16>,
}

impl Peers {
    pub(crate) fn new(cluster: &Cluster, settings: &Settings) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(cluster.bounds.connect_timeout));
        connector.set_keepalive(Some(SILENT));
        connector.set_keepalive_interval(Some(ASKED_EVERY));
        connector.set_keepalive_retries(Some(ASKED));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT)
            .pool_max_idle_per_host(cluster.bounds.max_idle)
            .http1_max_headers(64)
            .build(connector);
        let silence = settings.rhythm.interval + settings.rhythm.timeout;
        Peers {
            own: cluster.card.tag,
            seal: Seal::new(&cluster.secret),
            book: AddressBook::new(
                Arc::clone(&cluster.directory),
                cluster.bounds.max_per_peer,
                cluster.bounds.refresh_every,
            ),
            client,
            prefix: cluster.prefix.as_str().into(),
            poll: silence + GRACE,
            post: settings.body_timeout + silence + GRACE,
            metrics: Arc::new(Metrics::new()),
            forged: Seldom::new(TELLING),
            misdirected: Seldom::new(TELLING),
            drained: watch::Sender::new(0),
        }
    }

    /// This node's own tag.
    pub(crate) fn own(&self) -> NodeTag {
        self.own
    }

    /// For which client another node vouches; `None` if the request comes from a client itself.
    pub(crate) fn vouched<B>(&self, request: &Request<B>) -> Result<Option<IpAddr>, Forged> {
        self.seal.check(request).inspect_err(|_| {
            self.metrics.forged.increment(1);
            if let Some(requests) = self.forged.happened(Instant::now()) {
                tracing::warn!(
                    requests,
                    "requests claim to come from another node, with a header that none has made for them"
                );
            }
        })
    }

    /// Another node has passed on a request for a session of neither of us.
    pub(crate) fn misdirected(&self) {
        self.metrics.misdirected.increment(1);
        if let Some(requests) = self.misdirected.happened(Instant::now()) {
            tracing::warn!(
                requests,
                "requests for sessions of another node are passed on to this one: it was started anew just now, or that node's \
                 cluster.advertise names this one instead of itself"
            );
        }
    }

    /// This node goes, and has come so far with it, in thousandths: of the tunnels as many end, and their clients come back, to
    /// another node. Single requests are passed on until it is [`CLOSED`]: breaking off a poll would end a session that lives.
    pub(crate) fn drain(&self, progress: u16) {
        self.drained.send_replace(progress);
    }

    /// Is nothing passed on?
    pub(crate) fn is_idle(&self) -> bool {
        self.metrics.open_now.load(Ordering::Relaxed) == 0
    }

    /// Passes a request on to its owner, under `path`; an `upgrade` goes on as a tunnel.
    pub(crate) async fn forward(
        &self,
        owner: NodeTag,
        path: &str,
        request: Request<Body>,
        client: IpAddr,
        upgrade: bool,
    ) -> Result<Response<Body>, Failure> {
        let mut drained = self.drained.subscribe();
        self.metrics.forwarded(request.method(), upgrade);
        let outcome = tokio::select! {
            outcome = self.pass_on(owner, path, request, client, upgrade) => outcome,
            _ = drained.wait_for(|&drained| drained >= CLOSED) => Err(Failure::Closing),
        };
        outcome.inspect_err(|&failure| self.metrics.failed(failure))
    }

    async fn pass_on(
        &self,
        owner: NodeTag,
        path: &str,
        mut request: Request<Body>,
        client: IpAddr,
        upgrade: bool,
    ) -> Result<Response<Body>, Failure> {
        let peer = self.book.find(owner).await.ok_or(Failure::UnknownNode)?;
        let seat = self.take_seat(&peer)?;
        let here = upgrade.then(|| hyper::upgrade::on(&mut request));
        let patience = match *request.method() {
            http::Method::POST => self.post,
            // The owner switches at once.
            _ if upgrade => GRACE,
            _ => self.poll,
        };
        let request = self.prepare(&peer, path, request, client, upgrade)?;
        let mut response = match tokio::time::timeout(patience, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::debug!(owner = %owner, %error, "can't pass a request on");
                let unreachable = error.is_connect();
                if unreachable {
                    self.book.doubt(&peer);
                }
                return Err(if unreachable {
                    Failure::Unreachable
                } else {
                    Failure::Broken
                });
            }
            Err(_) => return Err(Failure::TimedOut),
        };
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched != upgrade && switched {
            return Err(Failure::Broken);
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
                seat,
            ));
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        Ok(Response::from_parts(
            parts,
            Body::new(AnswerBody::new(body, seat)),
        ))
    }

    fn take_seat(&self, peer: &Peer) -> Result<Seat, Failure> {
        let permit = Arc::clone(&peer.seats)
            .try_acquire_owned()
            .map_err(|_| Failure::Full)?;
        self.metrics.open.increment(1);
        self.metrics.open_now.fetch_add(1, Ordering::Relaxed);
        Ok(Seat {
            metrics: Arc::clone(&self.metrics),
            _permit: permit,
        })
    }

    /// The same request, as the owner is to see it.
    fn prepare(
        &self,
        peer: &Peer,
        path: &str,
        request: Request<Body>,
        client: IpAddr,
        upgrade: bool,
    ) -> Result<Request<Body>, Failure> {
        let seal = self.seal.header(&request, client);
        let (mut parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        parts.uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(peer.authority.clone())
            .path_and_query(format!("{}{path}?{query}", self.prefix))
            .build()
            .map_err(|_| Failure::Broken)?;
        parts.version = http::Version::HTTP_11;
        parts.extensions.clear();
        strip(&mut parts.headers);
        // The client sets the owner's. Whose page may connect was decided here.
        parts.headers.remove(header::HOST);
        parts.headers.remove(header::ORIGIN);
        parts.headers.insert(seal::HEADER, seal);
        if upgrade {
            ask_for_upgrade(&mut parts.headers);
        }
        Ok(Request::from_parts(parts, body))
    }
}

/// A connection to a peer that is in use; given back on drop.
pub(super) struct Seat {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    pub(super) fn tunnelled(&self, bytes: u64) {
        self.metrics.tunnelled.increment(bytes);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.metrics.open.decrement(1);
        self.metrics.open_now.fetch_sub(1, Ordering::Relaxed);
    }
}

fn ask_for_upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Takes out what concerns one connection only (RFC 9110, 7.6.1).
fn strip(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        // The body's length is set by whoever frames it; a client must not have the framing of ours taken away.
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
    fn what_concerns_one_connection_is_not_passed_on() {
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
