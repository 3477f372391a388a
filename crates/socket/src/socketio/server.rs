//! The Socket.IO server: its namespaces and its builder.

use std::{sync::Arc, time::Duration};

use axum::Router;

use super::{
    Namespace, client::Client, cluster_node::ClusterNode, handlers::Handlers, namespaces::Namespaces,
};
use crate::{
    cors::Cors,
    engine::{Connection, EngineServer, Service, Session},
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
    pub(super) cluster: Option<Arc<dyn ClusterNode>>,
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
        if let Some(nodes) = self
            .cluster
            .as_ref()
            .and_then(|node| node.remote_nodes(&namespaces))
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
