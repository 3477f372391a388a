//! The Socket.IO server: its namespaces and its builder.

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::Router;
use tokio::net::{TcpListener, ToSocketAddrs};

use super::{
    Namespace, client::Client, cluster_node::ClusterNode, handlers::Handlers,
    memory_recovery::RecoveryLimits, namespaces::Namespaces,
};
use crate::{
    accept::HttpLimits,
    cookie::SessionCookie,
    cors::Cors,
    engine::{Connection, EngineServer, Service, Session, SocketService},
    handshake::Handshake,
    settings::Settings,
};

/// A Socket.IO server. Clones refer to the same server. Mount [`WebSocketServer::router`] in an axum
/// application, or pass it to [`crate::serve`].
#[derive(Clone)]
pub struct WebSocketServer {
    pub(super) engine: EngineServer,
    pub(super) namespaces: Arc<Namespaces>,
    path: Arc<str>,
}

struct SocketIo(Arc<Namespaces>);

impl Service for SocketIo {
    fn connect(&self, session: &Arc<Session>) -> Box<dyn Connection> {
        Box::new(Client::new(self.0.clone(), session.clone()))
    }
}

impl WebSocketServer {
    /// Starts building a server.
    pub fn builder() -> Builder {
        Builder {
            settings: Settings::default(),
            cors: Cors::default(),
            path: "/socket.io/".to_owned(),
            cluster: None,
            recovery: None,
        }
    }

    /// The namespace of this name, created if missing. Names start with a slash; clients join `/` by
    /// default.
    pub fn of(&self, name: &str) -> Namespace {
        if name.starts_with('/') {
            self.namespaces.of(name)
        } else {
            self.namespaces.of(&format!("/{name}"))
        }
    }

    /// A template for namespaces that are created when a client asks for a name that `matches`, and that
    /// end with their last client. The template's handlers serve them all; the template itself has no
    /// sockets.
    pub fn of_dynamic(&self, matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Namespace {
        let handlers: Arc<Handlers> = Arc::default();
        let template = Namespace::new("".into(), handlers.clone(), None);
        self.namespaces.add_template(matches, handlers);
        template
    }

    /// The dynamic namespaces with clients.
    pub fn dynamic_namespaces(&self) -> Vec<Namespace> {
        self.namespaces.dynamic()
    }

    /// The server as a tower service that answers each request, whatever its path is, to mount it where
    /// [`WebSocketServer::router`] does not fit.
    pub fn service(&self) -> SocketService {
        self.engine.service(self.path.clone())
    }

    /// Serves the server alone on this address, until [`WebSocketServer::close`] or
    /// [`WebSocketServer::drain`] is called.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        self.serve(TcpListener::bind(address).await?).await;
        Ok(())
    }

    /// Like [`WebSocketServer::listen`], on a listener. For other limits or routes, use [`crate::serve`].
    pub async fn serve(&self, listener: TcpListener) {
        let closing = self.engine.engine().registry.wait_until_closing();
        crate::serve(listener, self.router(), HttpLimits::default(), closing).await;
    }

    /// Routes for the server's path. The peer's address comes from axum's `ConnectInfo<SocketAddr>`
    /// extension or from [`crate::ClientAddress`].
    pub fn router(&self) -> Router {
        self.engine.router(&self.path)
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.engine.engine().registry.count()
    }

    /// Refuses new connections with 503 while `accepts` returns false, so that a load balancer tries
    /// another server. Open connections continue. Called for each new connection, so it must not block.
    /// Only the first call of this method has an effect.
    pub fn accept_while(&self, accepts: impl Fn() -> bool + Send + Sync + 'static) {
        self.engine.accept_while(accepts);
    }

    /// Asks `allow` about each client that opens a connection, before anything else happens. An error
    /// refuses it with 403, and the client gets the text as `connect_error`. Only the first call of this
    /// method has an effect.
    pub fn allow_request<F, Fut>(&self, allow: F)
    where
        F: Fn(Arc<Handshake>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.engine.allow_request(allow);
    }

    /// Refuses new connections with 503, closes all open ones, and waits until their handlers are done. The
    /// stock client reconnects.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

/// Builds a [`WebSocketServer`]. It has a method for every field of [`Settings`].
#[derive(Debug, Clone)]
pub struct Builder {
    settings: Settings,
    cors: Cors,
    path: String,
    pub(super) cluster: Option<Arc<dyn ClusterNode>>,
    recovery: Option<RecoveryLimits>,
}

macro_rules! setters {
    ($($name:ident: $type:ty),* $(,)?) => {
        $(
            #[doc = concat!("See [`Settings::", stringify!($name), "`].")]
            pub fn $name(mut self, $name: $type) -> Self {
                self.settings.$name = $name;
                self
            }
        )*
    };
}

impl Builder {
    /// The path of the server (`/socket.io/`).
    pub fn path(self, path: impl Into<String>) -> Self {
        Builder {
            path: path.into(),
            ..self
        }
    }

    /// Lets clients recover their sessions from this server's memory, in all namespaces: a client that was
    /// lost and returns in time keeps its id, rooms and state, and gets the events that it missed. Each
    /// event that [`Socket::emit`](crate::Socket::emit) and [`Broadcast::emit`](crate::Broadcast::emit) send
    /// without an ack and not as volatile gets an offset, a string, as an additional last argument, which
    /// the handlers of clients see too. Events of [`Namespace::prepare`] are not kept. Middleware runs for a
    /// returning client too.
    ///
    /// Sessions do not survive a restart. A node of a cluster does not use this.
    pub fn connection_state_recovery(mut self, limits: RecoveryLimits) -> Self {
        self.recovery = Some(limits);
        self
    }

    /// Allows web pages of these origins to connect; see [`Cors::list`].
    pub fn cors<S: Into<String>>(self, origins: impl IntoIterator<Item = S>) -> Self {
        Builder {
            cors: Cors::list(origins),
            ..self
        }
    }

    /// Sets the origins that may connect, with all options of CORS.
    pub fn cors_policy(self, cors: Cors) -> Self {
        Builder { cors, ..self }
    }

    /// Sets a cookie with the session id, for load balancers that need one; see [`SessionCookie`].
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.settings.cookie = Some(cookie);
        self
    }

    /// Allows web pages of any origin to connect.
    pub fn cors_any(self) -> Self {
        Builder {
            cors: Cors::any(),
            ..self
        }
    }

    /// Ping interval (25 s).
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.settings.heartbeat.interval = interval;
        self
    }

    /// How long to wait for a pong (20 s).
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.settings.heartbeat.timeout = timeout;
        self
    }

    /// Capacity of a client's outbox (256 KiB, 1,024 frames).
    pub fn outbox(mut self, max_bytes: usize, max_frames: usize) -> Self {
        self.settings.outbox_bytes = max_bytes;
        self.settings.outbox_frames = max_frames;
        self
    }

    setters! {
        max_payload: usize,
        upgrade_timeout: Duration,
        connect_timeout: Duration,
        body_timeout: Duration,
        linger: Duration,
        inbox_events: usize,
        max_attachments: usize,
        max_fragments: u32,
        max_namespaces: usize,
        max_pending_acks: usize,
        max_rooms: usize,
        max_sessions: Option<usize>,
        max_sessions_per_ip: Option<usize>,
        max_early_payload: usize,
        message_timeout: Duration,
        max_unfinished_bytes: usize,
        max_unfinished_bytes_per_ip: usize,
        max_refused_connects: u32,
        refusal_window: Duration,
        max_refused_events: u32,
        max_refused_bytes: usize,
        compression_threshold: Option<usize>,
        keep_headers: bool,
        allow_upgrades: bool,
        metric_prefix: &'static str,
    }

    /// Builds the server.
    pub fn build(self) -> WebSocketServer {
        let namespaces = Arc::new(Namespaces::new(self.recovery));
        if let Some(nodes) = self
            .cluster
            .as_ref()
            .and_then(|node| node.remote_nodes(&namespaces, &self.settings))
        {
            namespaces.connect(nodes);
        }
        let peers = self.cluster.as_ref().map(|node| node.peers(&self.settings));
        let service = Arc::new(SocketIo(namespaces.clone()));
        let engine = EngineServer::with_peers(self.settings, self.cors, service, peers);
        WebSocketServer {
            engine,
            namespaces,
            path: self.path.into(),
        }
    }
}

impl std::fmt::Debug for WebSocketServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocketServer")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
