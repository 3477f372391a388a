//! The HTTP side of Engine.IO: reads the query, checks origin and order, and routes a request to a new session, to a
//! live one, or to an upgrade.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::AtomicUsize},
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::any};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use roomful_wire::{
    engine::{Open, session::Link},
    frame,
};

use super::{
    Service, polling, probe,
    registry::{Full, Place, Registry},
    session::Session,
    stream::Stream,
    task::SessionTask,
};
use crate::{
    cors::Cors,
    handshake::{ClientAddress, Dialect, Handshake},
    id::SessionId,
    metrics::Metrics,
    outbox::Class,
    prepared::Prepared,
    reason::Reason,
    settings::Settings,
};

/// What all sessions of a server share.
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) cors: Cors,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Arc<Registry>,
    /// Bytes of unfinished messages of all sessions.
    pub(super) unfinished: AtomicUsize,
}

/// A bare Engine.IO server. [`crate::WebSocketServer`] puts Socket.IO on top of one.
#[derive(Clone)]
pub struct EngineServer {
    engine: Arc<Engine>,
    service: Arc<dyn Service>,
}

/// Why a request is refused. The numbers are those of the Engine.IO protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpError {
    UnknownTransport,
    UnknownSession,
    BadHandshakeMethod,
    BadRequest,
    Forbidden,
    UnsupportedVersion,
    TooLarge,
    TimedOut,
    TooMany(Full),
}

impl HttpError {
    fn status(self) -> StatusCode {
        match self {
            HttpError::Forbidden => StatusCode::FORBIDDEN,
            HttpError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            HttpError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            HttpError::TooMany(Full::Server) => StatusCode::SERVICE_UNAVAILABLE,
            HttpError::TooMany(Full::Address) => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn code(self) -> usize {
        match self {
            HttpError::UnknownTransport => 0,
            HttpError::UnknownSession => 1,
            HttpError::BadHandshakeMethod => 2,
            HttpError::BadRequest | HttpError::TooLarge | HttpError::TimedOut => 3,
            HttpError::Forbidden | HttpError::TooMany(_) => 4,
            HttpError::UnsupportedVersion => 5,
        }
    }

    fn message(self) -> &'static str {
        match self {
            HttpError::UnknownTransport => "Transport unknown",
            HttpError::UnknownSession => "Session ID unknown",
            HttpError::BadHandshakeMethod => "Bad handshake method",
            HttpError::BadRequest => "Bad request",
            HttpError::Forbidden => "Forbidden",
            HttpError::UnsupportedVersion => "Unsupported protocol version",
            HttpError::TooLarge => "Payload too large",
            HttpError::TimedOut => "The request body took too long",
            HttpError::TooMany(Full::Server) => {
                "The server takes no more connections right now; try again later"
            }
            HttpError::TooMany(Full::Address) => "Too many connections from this address; try again later",
        }
    }
}

/// The parts of the query that matter. Unknown ones (`t`, `b64`) are ignored.
#[derive(Default)]
struct Query<'a> {
    version: Option<Cow<'a, str>>,
    transport: Option<Cow<'a, str>>,
    sid: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    fn parse(query: &'a str) -> Self {
        let mut parsed = Query::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "EIO" => &mut parsed.version,
                "transport" => &mut parsed.transport,
                "sid" => &mut parsed.sid,
                _ => continue,
            };
            *place = Some(value);
        }
        parsed
    }
}

impl EngineServer {
    /// An Engine.IO server for `service`, with the given bounds; `cors` says which origins may come.
    pub fn new(settings: Settings, cors: Cors, service: Arc<dyn Service>) -> Self {
        let engine = Engine {
            settings,
            cors,
            metrics: Metrics::new(),
            registry: Arc::default(),
            unfinished: AtomicUsize::new(0),
        };
        EngineServer {
            engine: Arc::new(engine),
            service,
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Routes for `path`, which begins and ends with a slash.
    pub fn router(&self, path: &str) -> Router {
        let server = self.clone();
        let route = any(move |request: Request<Body>| async move { server.handle(request).await });
        let path = path.trim_end_matches('/');
        Router::new()
            .route(&format!("{path}/"), route.clone())
            .route(&format!("{path}/{{*rest}}"), route)
    }

    async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let engine = &self.engine;
        let headers = request.headers();
        let upgrade = is_upgrade(headers);
        let grant = engine.cors.check(headers);
        if let (Some(grant), &Method::OPTIONS) = (&grant, request.method()) {
            return grant.preflight(headers);
        }
        let outcome = match grant {
            Some(_) => self.route(request, upgrade).await,
            None => Err(HttpError::Forbidden),
        };
        let mut response = outcome.unwrap_or_else(|error| self.refuse(error, upgrade));
        if let Some(grant) = grant {
            grant.apply(response.headers_mut());
        }
        response
    }

    fn refuse(&self, error: HttpError, upgrade: bool) -> Response<Body> {
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
        let body = if upgrade {
            error.message().to_owned()
        } else {
            serde_json::json!({ "code": error.code(), "message": error.message() }).to_string()
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = error.status();
        let kind = if upgrade { "text/html" } else { "application/json" };
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if upgrade {
            // RFC 6455, 4.4: who comes with another version is told ours.
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn route(&self, request: Request<Body>, upgrade: bool) -> Result<Response<Body>, HttpError> {
        let uri = request.uri().clone();
        let query = Query::parse(uri.query().unwrap_or_default());
        let websocket = match query.transport.as_deref() {
            Some("polling") => false,
            Some("websocket") => true,
            _ => return Err(HttpError::UnknownTransport),
        };
        let session = match query.sid.as_deref() {
            Some(sid) => Some(self.engine.registry.get(sid).ok_or(HttpError::UnknownSession)?),
            None => None,
        };
        if (session.is_none() || websocket) && request.method() != Method::GET {
            return Err(HttpError::BadHandshakeMethod);
        }
        if websocket != upgrade {
            return Err(HttpError::BadRequest);
        }
        if query.version.as_deref() != Some("4") {
            return Err(HttpError::UnsupportedVersion);
        }
        match session {
            Some(session) if websocket => self.probe(session, request),
            Some(session) if session.is_polling() => polling::handle(&self.engine, session, request).await,
            Some(_) => Err(HttpError::BadRequest),
            None if websocket => self.open_websocket(request),
            None => self.open_polling(&request),
        }
    }

    // ---- new sessions

    fn open_polling(&self, request: &Request<Body>) -> Result<Response<Body>, HttpError> {
        let handshake = self.handshake(request);
        let place = self.admit(handshake.address)?;
        let session = Session::new(self.engine.clone(), handshake, Link::polling());
        self.register(&session);
        let mut response = Response::new(Body::from(format!("0{}", self.open_packet(session.id(), false))));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=UTF-8"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        tokio::spawn(self.task(session, place, false));
        Ok(response)
    }

    fn open_websocket(&self, mut request: Request<Body>) -> Result<Response<Body>, HttpError> {
        let response = switch_protocols(request.headers())?;
        let handshake = self.handshake(&request);
        let place = self.admit(handshake.address)?;
        let server = self.clone();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move { server.start(upgrade, handshake, place).await });
        Ok(response)
    }

    /// Waits for the stream, then leaves it to a task of its own: this future holds more than an idle client may.
    async fn start(self, upgrade: OnUpgrade, handshake: Handshake, place: Place) {
        // The client may be gone before it saw our answer.
        let Ok(upgraded) = upgrade.await else { return };
        let (stream, read_ahead) = Stream::take_back(upgraded);
        let session = Session::new(self.engine.clone(), handshake, Link::WebSocket);
        self.register(&session);
        let mut open = Vec::new();
        let packet = format!("0{}", self.open_packet(session.id(), true));
        frame::write(frame::OpCode::Text, packet.as_bytes(), &mut open);
        session.send(&Prepared::from_frame(open.into()), Class::Durable);
        let task = self.task(session, place, true).with_stream(stream, &read_ahead);
        tokio::spawn(task);
    }

    fn task(&self, session: Arc<Session>, place: Place, websocket: bool) -> SessionTask {
        let metrics = &self.engine.metrics;
        metrics.connections.increment(1);
        let [polling, direct] = &metrics.opened;
        if websocket { direct } else { polling }.increment(1);
        let connection = self.service.connect(&session);
        SessionTask::new(session, connection, place)
    }

    fn register(&self, session: &Arc<Session>) {
        if !self.engine.registry.insert(session.clone()) {
            session.end(Reason::ServerShuttingDown);
        }
    }

    fn admit(&self, address: IpAddr) -> Result<Place, HttpError> {
        self.engine
            .registry
            .admit(address, &self.engine.settings)
            .map_err(HttpError::TooMany)
    }

    fn open_packet(&self, id: SessionId, websocket: bool) -> String {
        let settings = &self.engine.settings;
        let upgrades: &[&str] = if websocket || !settings.allow_upgrades {
            &[]
        } else {
            &["websocket"]
        };
        let open = Open {
            sid: id.as_str(),
            upgrades,
            ping_interval: millis(settings.rhythm.interval),
            ping_timeout: millis(settings.rhythm.timeout),
            max_payload: settings.max_payload,
        };
        serde_json::to_string(&open).unwrap_or_default()
    }

    fn handshake(&self, request: &Request<Body>) -> Handshake {
        let claimed = request.extensions().get::<ClientAddress>().map(|client| client.0);
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip());
        // Neither is there only in a router that was mounted without connect info; then all clients look alike.
        let address = claimed.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let query = request.uri().query().unwrap_or_default();
        let dialect = Dialect::of(query);
        if !self.engine.settings.keep_headers {
            return Handshake {
                address,
                headers: HeaderMap::new(),
                query: Box::default(),
                dialect,
            };
        }
        Handshake {
            address,
            headers: copied(request.headers()),
            query: query.into(),
            dialect,
        }
    }

    // ---- upgrade of a live session

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

    // ---- the end

    /// Refuses new sessions from now on, ends all that are there, and waits until their handlers are done.
    pub async fn close(&self) {
        for session in self.engine.registry.close() {
            session.end(Reason::ServerShuttingDown);
        }
        self.engine.registry.wait_until_empty().await;
    }
}

/// Does the client ask for a WebSocket (RFC 6455, 4.2.1)?
fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(token))
        })
}

/// The 101 answer (RFC 6455, 4.2.2), if the request is a proper one.
fn switch_protocols(headers: &HeaderMap) -> Result<Response<Body>, HttpError> {
    let version = headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .map(HeaderValue::as_bytes);
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok());
    let (Some(b"13"), Some(key), true) = (version, key, has_token(headers, &header::CONNECTION, "upgrade"))
    else {
        return Err(HttpError::BadRequest);
    };
    if !frame::is_valid_key(key) {
        return Err(HttpError::BadRequest);
    }
    let accept = HeaderValue::try_from(frame::accept_key(key)).map_err(|_| HttpError::BadRequest)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    out.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Headers with bytes of their own: those of a request lie in the buffer that its connection was read into, and a
/// session would keep all of that.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let copy = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        Some((name.clone(), value))
    };
    headers.iter().filter_map(copy).collect()
}
