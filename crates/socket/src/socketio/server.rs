//! The Socket.IO server: its namespaces and its builder.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::Router;
use parking_lot::RwLock;
use tokio::time::Instant;

use super::{adapter::Adapter, client::Client, handlers::Handlers, namespace::Namespace};
use crate::{
    cluster::Cluster,
    cors::Cors,
    engine::{Connection, EngineServer, Service, Session},
    settings::Settings,
    throttled_log::ThrottledLog,
};

/// Shortest time between two log lines about clients with the msgpack parser.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// A Socket.IO server. Clones refer to the same server. Mount [`WebSocketServer::router`] in an axum
/// application, or pass it to [`crate::serve`].
#[derive(Clone)]
pub struct WebSocketServer {
    pub(super) engine: EngineServer,
    pub(super) namespaces: Arc<Namespaces>,
    path: Arc<str>,
}

/// All namespaces, fixed and dynamic.
pub(super) struct Namespaces {
    fixed: RwLock<HashMap<Arc<str>, Namespace>>,
    templates: RwLock<Vec<Template>>,
    /// Namespaces created from a template, with the number of clients that are connected or connecting.
    dynamic: RwLock<HashMap<Arc<str>, (Namespace, usize)>>,
    /// Connects to the other nodes, in a cluster with a bus.
    adapter: OnceLock<Arc<Adapter>>,
    /// Throttles the log of clients with the msgpack parser.
    msgpack_log: ThrottledLog,
}

impl Default for Namespaces {
    fn default() -> Self {
        Namespaces {
            fixed: RwLock::default(),
            templates: RwLock::default(),
            dynamic: RwLock::default(),
            adapter: OnceLock::new(),
            msgpack_log: ThrottledLog::new(LOG_EVERY),
        }
    }
}

struct Template {
    matches: Box<dyn Fn(&str) -> bool + Send + Sync>,
    handlers: Arc<Handlers>,
}

impl Namespaces {
    fn of(&self, name: &str) -> Namespace {
        let mut fixed = self.fixed.write();
        if let Some(namespace) = fixed.get(name) {
            return namespace.clone();
        }
        let name: Arc<str> = name.into();
        let namespace = Namespace::new(name.clone(), Arc::default(), self.adapter.get().cloned());
        fixed.insert(name, namespace.clone());
        namespace
    }

    /// The namespace that a client asks for. A dynamic one counts the client until [`Namespaces::release`].
    pub(super) fn enter(&self, name: &str) -> Option<Namespace> {
        if let Some(namespace) = self.fixed.read().get(name) {
            return Some(namespace.clone());
        }
        let mut dynamic = self.dynamic.write();
        if let Some((namespace, clients)) = dynamic.get_mut(name) {
            *clients += 1;
            return Some(namespace.clone());
        }
        let templates = self.templates.read();
        let template = templates.iter().find(|template| (template.matches)(name))?;
        let name: Arc<str> = name.into();
        let namespace = Namespace::new(
            name.clone(),
            template.handlers.clone(),
            self.adapter.get().cloned(),
        );
        dynamic.insert(name, (namespace.clone(), 1));
        Some(namespace)
    }

    /// An existing namespace.
    pub(super) fn find(&self, name: &str) -> Option<Namespace> {
        if let Some(namespace) = self.fixed.read().get(name) {
            return Some(namespace.clone());
        }
        self.dynamic
            .read()
            .get(name)
            .map(|(namespace, _)| namespace.clone())
    }

    /// All existing namespaces.
    pub(super) fn all(&self) -> Vec<Namespace> {
        let mut all: Vec<_> = self.fixed.read().values().cloned().collect();
        let dynamic = self.dynamic.read();
        all.extend(dynamic.values().map(|(namespace, _)| namespace.clone()));
        all
    }

    /// Logs a client that was refused because of its parser.
    pub(super) fn log_msgpack(&self, address: IpAddr) {
        if let Some(clients) = self.msgpack_log.record(Instant::now()) {
            tracing::warn!(
                clients,
                %address,
                "refused clients with the msgpack parser; remove their `parser` option"
            );
        }
    }

    /// Removes a client that has left or was refused. A dynamic namespace ends with its last client.
    pub(super) fn release(&self, namespace: &Namespace) {
        let mut dynamic = self.dynamic.write();
        if let Some((_, clients)) = dynamic.get_mut(namespace.name()) {
            *clients -= 1;
            if *clients == 0 {
                dynamic.remove(namespace.name());
            }
        }
    }
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
        self.namespaces.templates.write().push(Template {
            matches: Box::new(matches),
            handlers,
        });
        template
    }

    /// The dynamic namespaces with clients.
    pub fn dynamic_namespaces(&self) -> Vec<Namespace> {
        self.namespaces
            .dynamic
            .read()
            .values()
            .map(|(namespace, _)| namespace.clone())
            .collect()
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
    cluster: Option<Cluster>,
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

    /// Makes the server a node of a cluster, so that any node answers for any session. See [`Cluster`] for
    /// the requirements.
    pub fn cluster(self, cluster: Cluster) -> Self {
        Builder {
            cluster: Some(cluster),
            ..self
        }
    }

    /// Allows web pages of these origins to connect; see [`Cors::list`].
    pub fn cors<S: Into<String>>(self, origins: impl IntoIterator<Item = S>) -> Self {
        Builder {
            cors: Cors::list(origins),
            ..self
        }
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
    }

    /// Builds the server.
    pub fn build(self) -> WebSocketServer {
        let namespaces: Arc<Namespaces> = Arc::default();
        if let Some((tag, bus)) = self.cluster.as_ref().and_then(Cluster::adapter) {
            let adapter = Adapter::start(tag, bus, &namespaces);
            // The only call.
            let _ = namespaces.adapter.set(adapter);
        }
        let service = Arc::new(SocketIo(namespaces.clone()));
        let engine = EngineServer::in_cluster(self.settings, self.cors, service, self.cluster.as_ref());
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
