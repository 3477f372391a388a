//! The HTTP side of Engine.IO: parses the query, checks the origin, and routes a request to a new session,
//! an open session or an upgrade.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::any};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header, uri::PathAndQuery};
use hyper::upgrade::OnUpgrade;
use roomful_wire::{
    engine::{Open, session::TransportState},
    frame,
};

use super::{
    Engine, Service,
    flusher::Flusher,
    http_error::HttpError,
    peers::Peers,
    polling, probe,
    query::Query,
    registry::{CapacityError, SessionPermit},
    session::Session,
    stream::Stream,
    task::SessionTask,
    unfinished::UnfinishedBytes,
    upgrade::{is_upgrade, switch_protocols},
};
use crate::{
    cors::{Cors, ForwardedHost},
    handshake::{ClientAddress, ClientKind, Handshake},
    id::SessionId,
    metrics::Metrics,
    node_tag::NodeTag,
    outbox::Class,
    prepared::Prepared,
    reason::Reason,
    settings::Settings,
};

/// The node that owns a session.
enum Owner {
    Here(Arc<Session>),
    /// Another node.
    There(NodeTag),
}

/// A bare Engine.IO server. [`crate::WebSocketServer`] puts Socket.IO on top of one.
#[derive(Clone)]
pub struct EngineServer {
    engine: Arc<Engine>,
    service: Arc<dyn Service>,
}

impl EngineServer {
    /// An Engine.IO server for `service` with the given limits. `cors` defines the allowed origins.
    pub fn new(settings: Settings, cors: Cors, service: Arc<dyn Service>) -> Self {
        Self::with_peers(settings, cors, service, None)
    }

    /// Like [`EngineServer::new`], as a node of a cluster.
    pub(crate) fn with_peers(
        settings: Settings,
        cors: Cors,
        service: Arc<dyn Service>,
        peers: Option<Arc<dyn Peers>>,
    ) -> Self {
        let engine = Engine {
            peers,
            metrics: Metrics::new(settings.metric_prefix),
            settings,
            cors,
            registry: Arc::default(),
            flusher: Flusher::new(),
            unfinished: UnfinishedBytes::new(),
            accepts: OnceLock::new(),
            allow_request: OnceLock::new(),
        };
        EngineServer {
            engine: Arc::new(engine),
            service,
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Routes for `path`, with and without its trailing slash.
    pub fn router(&self, path: &str) -> Router {
        let server = self.clone();
        let path = path.trim_end_matches('/');
        let own: Arc<str> = format!("{path}/").into();
        let route = any(move |request: Request<Body>| async move { server.handle(request, &own).await });
        let router = Router::new()
            .route(&format!("{path}/"), route.clone())
            .route(&format!("{path}/{{*rest}}"), route.clone());
        if path.is_empty() {
            return router;
        }
        // The client option `addTrailingSlash: false`.
        router.route(path, route)
    }

    pub(super) async fn handle(&self, mut request: Request<Body>, path: &str) -> Response<Body> {
        let engine = &self.engine;
        let upgrade = is_upgrade(request.headers());
        match engine.peers.as_ref().map(|peers| peers.verified_client(&request)) {
            Some(Ok(Some(client))) => {
                // The node that received the request has already checked its origin.
                request.extensions_mut().insert(ClientAddress(client));
                let outcome = self.route(request, upgrade, None).await;
                return outcome.unwrap_or_else(|error| self.refuse(&error, upgrade));
            }
            Some(Err(error)) => return self.refuse(&error, upgrade),
            Some(Ok(None)) | None => {}
        }
        let grant = engine.cors.check(&request);
        if let (Some(grant), &Method::OPTIONS) = (&grant, request.method()) {
            return grant.preflight(request.headers());
        }
        let outcome = if grant.is_some() {
            self.route(request, upgrade, Some(path)).await
        } else {
            engine.metrics.origins_refused.increment(1);
            Err(HttpError::Forbidden)
        };
        let mut response = outcome.unwrap_or_else(|error| self.refuse(&error, upgrade));
        if let Some(grant) = grant {
            grant.apply(response.headers_mut());
        }
        response
    }

    fn refuse(&self, error: &HttpError, upgrade: bool) -> Response<Body> {
        match error {
            HttpError::TooMany(_) => self.engine.metrics.too_many.increment(1),
            _ => self
                .engine
                .metrics
                .refused
                .get(error.code())
                .into_iter()
                .for_each(|counter| counter.increment(1)),
        }
        error.respond(upgrade)
    }

    /// Routes a request. `path` is the path to forward it to; `None` if another node has forwarded it
    /// already.
    async fn route(
        &self,
        request: Request<Body>,
        upgrade: bool,
        path: Option<&str>,
    ) -> Result<Response<Body>, HttpError> {
        let uri = request.uri().clone();
        let query = Query::parse(uri.query().unwrap_or_default());
        let websocket = match query.transport.as_deref() {
            Some("polling") => false,
            Some("websocket") => true,
            _ => return Err(HttpError::UnknownTransport),
        };
        let owner = match query.sid.as_deref() {
            Some(sid) => Some(self.owner(sid).ok_or(HttpError::UnknownSession)?),
            None => None,
        };
        if (owner.is_none() || websocket) && request.method() != Method::GET {
            return Err(HttpError::BadHandshakeMethod);
        }
        if websocket != upgrade {
            return Err(HttpError::BadRequest);
        }
        if query.version.as_deref() != Some("4") {
            return Err(HttpError::UnsupportedVersion);
        }
        match owner {
            Some(Owner::Here(session)) if websocket => self.probe(session, request),
            Some(Owner::Here(session)) if session.is_polling() => {
                polling::handle(&self.engine, session, request).await
            }
            Some(Owner::Here(_)) => Err(HttpError::BadRequest),
            Some(Owner::There(node)) => self.forward(node, request, upgrade, path).await,
            None => {
                if let Some(allow) = self.engine.allow_request.get() {
                    let answer = allow(Arc::new(handshake_of(&request, true)));
                    answer
                        .await
                        .map_err(|message| HttpError::Refused(message.into()))?;
                }
                if websocket {
                    self.open_websocket(request)
                } else {
                    self.open_polling(&request)
                }
            }
        }
    }

    /// Finds the owner of a session id. `None` if the id is invalid or unknown here.
    fn owner(&self, sid: &str) -> Option<Owner> {
        let registry = &self.engine.registry;
        let Some(peers) = &self.engine.peers else {
            return registry.get(sid).map(Owner::Here);
        };
        let (tag, secret) = NodeTag::split(sid)?;
        if tag == peers.own() {
            registry.get(secret).map(Owner::Here)
        } else {
            SessionId::parse(secret)?;
            Some(Owner::There(tag))
        }
    }

    /// Forwards a request to the session's owner. A request that was already forwarded goes no further.
    async fn forward(
        &self,
        owner: NodeTag,
        request: Request<Body>,
        upgrade: bool,
        path: Option<&str>,
    ) -> Result<Response<Body>, HttpError> {
        let Some(peers) = &self.engine.peers else {
            return Err(HttpError::UnknownSession);
        };
        let Some(path) = path else {
            peers.misdirected();
            return Err(HttpError::UnknownSession);
        };
        if upgrade {
            switch_protocols(request.headers())?;
        } else if !matches!(*request.method(), Method::GET | Method::POST) {
            return Err(HttpError::BadRequest);
        }
        let client = address(&request);
        peers.forward(owner, path, request, client, upgrade).await
    }

    fn open_polling(&self, request: &Request<Body>) -> Result<Response<Body>, HttpError> {
        let handshake = self.handshake(request);
        let permit = self.admit(handshake.address)?;
        let session = Session::new(self.engine.clone(), handshake, TransportState::polling());
        self.register(&session);
        let mut response = Response::new(Body::from(format!("0{}", self.open_packet(session.id(), false))));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=UTF-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let cookie = self.engine.settings.cookie.as_ref();
        if let Some(cookie) = cookie.and_then(|cookie| cookie.header(&self.public_sid(session.id()))) {
            headers.insert(header::SET_COOKIE, cookie);
        }
        tokio::spawn(self.task(session, permit, false));
        Ok(response)
    }

    fn open_websocket(&self, mut request: Request<Body>) -> Result<Response<Body>, HttpError> {
        let response = switch_protocols(request.headers())?;
        let handshake = self.handshake(&request);
        let permit = self.admit(handshake.address)?;
        let server = self.clone();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move { server.start(upgrade, handshake, permit).await });
        Ok(response)
    }

    /// Waits for the stream, then spawns the session's task separately: this future is larger than an idle
    /// client may be.
    async fn start(self, upgrade: OnUpgrade, handshake: Handshake, permit: SessionPermit) {
        // The client may have left before it received the response.
        let Ok(upgraded) = upgrade.await else { return };
        let (stream, read_ahead) = Stream::take_back(upgraded);
        let session = Session::new(self.engine.clone(), handshake, TransportState::WebSocket);
        self.register(&session);
        let mut open = Vec::new();
        let packet = format!("0{}", self.open_packet(session.id(), true));
        frame::write(frame::OpCode::Text, packet.as_bytes(), &mut open);
        session.send(&Prepared::from_frame(open.into()), Class::Durable);
        let task = self.task(session, permit, true).with_stream(stream, &read_ahead);
        tokio::spawn(task);
    }

    fn task(&self, session: Arc<Session>, permit: SessionPermit, websocket: bool) -> SessionTask {
        let metrics = &self.engine.metrics;
        metrics.connections.increment(1);
        let [polling, direct] = &metrics.opened;
        if websocket { direct } else { polling }.increment(1);
        let connection = self.service.connect(&session);
        SessionTask::new(session, connection, permit)
    }

    fn register(&self, session: &Arc<Session>) {
        if !self.engine.registry.insert(session.clone()) {
            session.end(Reason::ServerShuttingDown);
        }
    }

    fn admit(&self, address: IpAddr) -> Result<SessionPermit, HttpError> {
        let engine = &self.engine;
        if engine.accepts.get().is_some_and(|accepts| !accepts()) {
            return Err(HttpError::TooMany(CapacityError::Server));
        }
        let admitted = engine.registry.admit(address, &engine.settings);
        admitted.map_err(HttpError::TooMany)
    }

    /// Refuses new sessions with 503 while `accepts` returns false. Open sessions continue. Only the first
    /// call has an effect.
    pub fn accept_while(&self, accepts: impl Fn() -> bool + Send + Sync + 'static) {
        // The first closure stays.
        let _ = self.engine.accepts.set(Box::new(accepts));
    }

    /// See [`crate::WebSocketServer::allow_request`].
    pub fn allow_request<F, Fut>(&self, allow: F)
    where
        F: Fn(Arc<Handshake>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        // The first closure stays.
        let _ = self
            .engine
            .allow_request
            .set(Box::new(move |handshake| Box::pin(allow(handshake))));
    }

    /// A session's id as its client knows it.
    fn public_sid(&self, id: SessionId) -> String {
        match &self.engine.peers {
            Some(peers) => format!("{}{id}", peers.own()),
            None => id.to_string(),
        }
    }

    fn open_packet(&self, id: SessionId, websocket: bool) -> String {
        let settings = &self.engine.settings;
        let upgrades: &[&str] = if websocket || !settings.allow_upgrades {
            &[]
        } else {
            &["websocket"]
        };
        let sid = self.public_sid(id);
        let open = Open {
            sid: &sid,
            upgrades,
            ping_interval: millis(settings.heartbeat.interval),
            ping_timeout: millis(settings.heartbeat.timeout),
            max_payload: settings.max_payload,
        };
        serde_json::to_string(&open).unwrap_or_default()
    }

    /// What the session keeps of the request.
    fn handshake(&self, request: &Request<Body>) -> Handshake {
        handshake_of(request, self.engine.settings.keep_headers)
    }

    fn probe(&self, session: Arc<Session>, mut request: Request<Body>) -> Result<Response<Body>, HttpError> {
        if !self.engine.settings.allow_upgrades {
            return Err(HttpError::BadRequest);
        }
        let response = switch_protocols(request.headers())?;
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                let (stream, read_ahead) = Stream::take_back(upgraded);
                probe::run(session, stream, read_ahead).await;
            }
        });
        Ok(response)
    }

    /// Refuses new sessions, ends all open ones, and waits until their handlers are done.
    pub async fn close(&self) {
        if let Some(peers) = &self.engine.peers {
            peers.close();
        }
        for session in self.engine.registry.close() {
            session.end(Reason::ServerShuttingDown);
        }
        self.engine.registry.wait_until_empty().await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "for the application only; no rule depends on it"
)]
fn handshake_of(request: &Request<Body>, keep_headers: bool) -> Handshake {
    let uri = request.uri();
    let forwarded = request.extensions().get::<ForwardedHost>();
    let scheme = forwarded
        .and_then(|forwarded| forwarded.scheme.as_deref())
        .or(uri.scheme_str());
    let (headers, url) = if keep_headers {
        let url = uri.path_and_query().map_or("", PathAndQuery::as_str);
        (copied(request.headers()), url)
    } else {
        (HeaderMap::new(), "")
    };
    Handshake {
        address: address(request),
        headers,
        url: url.into(),
        time: SystemTime::now(),
        secure: scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        client_kind: ClientKind::of(uri.query().unwrap_or_default()),
    }
}

/// The client's address: from a trusted layer or another node, or that of the peer.
fn address(request: &Request<Body>) -> IpAddr {
    let claimed = request.extensions().get::<ClientAddress>().map(|client| client.0);
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip());
    // Without connect info all clients have the same address.
    claimed.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Copies the headers. The originals share the connection's whole read buffer, which the session would keep
/// alive.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let copy = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        Some((name.clone(), value))
    };
    headers.iter().filter_map(copy).collect()
}
