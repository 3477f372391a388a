//! The wiring of the process, top-down: probes first, then store, transport, chat and page behind the gate; and the same
//! in reverse when it stops.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use roomful_bus::Bus;
use roomful_chat::{ChatConfig, ChatServer, clock::SystemClock};
use roomful_socket::{Drain, HttpLimits, WebSocketServer};
use roomful_store::{Store, StoreError};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinError, JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    chat, clock, cluster,
    config::{Config, ConfigError, Shutdown},
    http::{
        api::{self, key::ApiKey},
        assets::{Assets, BUILT},
        demo,
        gate::Gate,
        health::{Behind, Health},
        metrics::{Exporter, MetricsError, UPKEEP_INTERVAL},
        router,
    },
    lifecycle, open_files, outbox,
    secret::{Generated, Keys},
    store::{self, Lock},
};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("can't listen on {listen}: {error}; choose another address with --listen, or end what uses it")]
    Listen { listen: String, error: io::Error },
    #[error("can't open the store: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("can't write the file that ROOMFUL_PORT_FILE names: {0}")]
    PortFile(io::Error),
    #[error("webhooks can't be sent: {0}")]
    Webhooks(io::Error),
    #[error("the system refuses what every server needs: {0}")]
    Runtime(io::Error),
    #[error("another server is running on {0}; stop it first, or choose another folder with --data")]
    Locked(PathBuf),
    #[error("a part of the start-up ended by a fault: {0}")]
    Fault(#[from] JoinError),
}

impl StartError {
    /// Is it a setting that can't be meant, rather than something that went wrong?
    pub(crate) fn is_setting(&self) -> bool {
        match self {
            StartError::Config(_) | StartError::Store(StoreError::Setup(_)) => true,
            // In use or not allowed is the system's state; anything else is no address of this machine.
            StartError::Listen { error, .. } => !matches!(
                error.kind(),
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
            ),
            _ => false,
        }
    }
}

/// How long clients wait for the node to have its part in the cluster.
const STANDING: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Server {
    health: Health,
    sockets: WebSocketServer,
    chat: ChatServer,
    store: Arc<dyn Store>,
    /// Held as long as the store is open.
    _lock: Option<Lock>,
    listening: Listening,
    /// What recurs as long as the server runs; ends with it.
    _recurring: JoinSet<()>,
    bus: Option<Arc<dyn Bus>>,
    shutdown: Shutdown,
}

/// The accept loop, and how to end it.
struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What is there before the store.
struct Begun<'a> {
    config: &'a Config,
    keys: Keys,
    chat: ChatConfig,
    exporter: Exporter,
    file_limit: Option<u64>,
    address: SocketAddr,
    node: Option<cluster::Node>,
    health: Health,
    gate: Gate,
    listening: Listening,
}

impl Server {
    /// Starts everything, and returns when clients are welcome.
    pub(crate) async fn start(config: &Config) -> Result<Self, StartError> {
        let (keys, generated) = Keys::read_or_generate(config)?;
        if generated == Generated::Yes {
            tracing::info!(file = %config.secret_path().display(), "generated a secret for tokens");
        }
        let chat = chat::config(config, chat::keys(&keys)?);
        // Before whatever counts: a metric made without a recorder goes nowhere.
        let exporter = Exporter::install()?;
        let file_limit = open_files::raise_limit();

        let (listener, address) = listen(&config.listen).await?;
        let node = cluster::node(config, &keys, address)?;
        let (health, gate) = (Health::new(config.store.check_timeout.0), Gate::default());
        let probes = router::outer(health.clone(), exporter.clone(), gate.clone());
        let begun = Begun {
            config,
            keys,
            chat,
            exporter,
            file_limit,
            address,
            node,
            health,
            gate,
            listening: Listening::start(listener, probes, config.http.header_timeout.0),
        };
        let opening = config.clone();
        let (lock, store) = tokio::task::spawn_blocking(move || {
            let lock = Lock::take(&opening)?;
            Ok::<_, StartError>((lock, store::open(&opening)?))
        })
        .await??;
        let server = begun.go_on(lock, Arc::clone(&store)).await;
        if server.is_err() {
            // Or whoever starts next takes this process for another server that has it open.
            store.close().await;
        }
        server
    }

    /// Stops in order: clients sent away, accepted sends committed and answered, store closed. Probes are answered until the
    /// clients are gone. What is not done in the configured time is left.
    pub(crate) async fn stop(self) {
        self.health.draining();
        sleep(self.shutdown.delay.0).await;
        let Listening { stop, task } = self.listening;
        let (spread, patience) = (self.shutdown.spread.0, self.shutdown.timeout.0);
        let drained = timeout(spread + patience, async {
            if spread.is_zero() {
                self.chat.stop_sends().await;
            } else {
                // Who is still here in the meantime chats on.
                let drain = self.chat.hinting(Drain::over(spread).patience(patience / 2));
                self.sockets.drain(drain).await;
            }
            self.sockets.close().await;
            // The loop may have ended by itself; then there is nothing to stop.
            let _ = stop.send(());
            let _ = task.await;
            self.chat.drain().await;
            self.store.close().await;
            if let Some(bus) = &self.bus {
                bus.close().await;
            }
        });
        if drained.await.is_err() {
            tracing::warn!(after = ?patience, "not all was done in time; it is left as it is");
        }
    }
}

impl Begun<'_> {
    /// All that needs the store, up to the first client.
    async fn go_on(self, lock: Option<Lock>, store: Arc<dyn Store>) -> Result<Server, StartError> {
        let config = self.config;
        if self.node.is_none() && store.other_nodes().await? > 0 {
            tracing::warn!(
                "another server has this database open, or was killed just now; without a bus that both share (bus.url), \
                 the clients of one don't hear those of the other"
            );
        }
        let part = self
            .node
            .map(|node| cluster::join(config, node, store.identity()));
        let part = part.transpose()?;
        let signing_in = part.as_ref().map(|part| {
            let (config, bus) = (config.clone(), Arc::clone(&part.bus));
            tokio::spawn(async move { cluster::sign_in(&config, &*bus).await })
        });
        let sockets = sockets(config, self.file_limit, part.as_ref());
        let fingerprint = part.as_ref().map(|part| part.fingerprint.clone());
        let (bus, part) = part.map_or((None, None), |part| (Some(part.bus), Some(part.chat)));
        let clock = Arc::new(SystemClock);
        let chat = ChatServer::attach_to(&sockets, Arc::clone(&store), self.chat, clock, part);
        self.health.opened(Behind {
            store: Arc::clone(&store),
            chat: chat.clone(),
            bus: bus.clone(),
        });
        if let Some(signing_in) = signing_in {
            signing_in.await??;
        }
        if bus.is_some() && timeout(STANDING, chat.takes_part()).await.is_err() {
            tracing::warn!("this node has no part in its cluster yet; until it has, clients are sent away");
        }
        if let (Some(bus), Some(fingerprint)) = (&bus, &fingerprint) {
            cluster::warn_about_other_secrets(&**bus, fingerprint).await;
        }
        let api_key = ApiKey::new(config.api.key.expose());
        self.gate.open(router::inner(
            sockets.router(),
            api::router(chat.clone(), api_key, config.socket.max_payload.0),
            demo_routes(config, &self.keys),
            Assets::new(BUILT, &config.http.assets_url, config.http.assets_origin()),
            config.http.trusted_proxies.clone(),
        ));
        self.health.ready();

        welcome(config, self.address);
        lifecycle::announce(self.address).map_err(StartError::PortFile)?;
        let mut recurring = recurring(config, self.exporter, Arc::clone(&store));
        outbox::start(config, &store, &mut recurring).map_err(StartError::Webhooks)?;
        Ok(Server {
            health: self.health,
            sockets,
            chat,
            store,
            _lock: lock,
            listening: self.listening,
            _recurring: recurring,
            bus,
            shutdown: config.shutdown.clone(),
        })
    }
}

impl Listening {
    fn start(listener: TcpListener, routes: axum::Router, header_timeout: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let limits = HttpLimits {
            header_timeout,
            ..HttpLimits::default()
        };
        let task = tokio::spawn(async move {
            let stopped = async {
                // An end of the sender is the end of the server.
                let _ = stopped.await;
            };
            roomful_socket::serve(listener, routes, limits, stopped).await;
        });
        Listening { stop, task }
    }
}

async fn listen(listen: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen {
        listen: listen.to_owned(),
        error,
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// The transport with the configured bounds.
fn sockets(config: &Config, file_limit: Option<u64>, part: Option<&cluster::Joined>) -> WebSocketServer {
    let (socket, limits) = (&config.socket, &config.limits);
    let mut builder = WebSocketServer::builder()
        .ping_interval(socket.ping_interval.0)
        .ping_timeout(socket.ping_timeout.0)
        .max_payload(socket.max_payload.0)
        .connect_timeout(socket.connect_timeout.0)
        .upgrade_timeout(socket.upgrade_timeout.0)
        .body_timeout(socket.body_timeout.0)
        .linger(socket.linger.0)
        .outbox(socket.outbox_bytes.0, socket.outbox_frames)
        .inbox_events(socket.inbox_events)
        .max_attachments(socket.max_attachments)
        .max_fragments(socket.max_fragments)
        .max_pending_acks(socket.max_pending_acks)
        .max_unfinished_bytes(socket.max_unfinished.0)
        .compression_threshold(Some(socket.compress_from.0).filter(|bytes| *bytes > 0))
        .max_sessions(open_files::connections(limits.connections, file_limit))
        .max_sessions_per_ip(limits.rates.then_some(limits.connections_per_ip))
        // Nothing here reads them later, and they are most of what an idle client costs.
        .keep_headers(false);
    if let Some(part) = part {
        builder = builder.cluster(part.sockets.clone());
    }
    if config.http.origins.iter().any(|origin| origin == "*") {
        return builder.cors_any().build();
    }
    builder.cors(config.http.origins.iter().cloned()).build()
}

fn demo_routes(config: &Config, keys: &Keys) -> Option<axum::Router> {
    if !config.dev.enabled {
        return None;
    }
    let signer = keys.signer();
    if signer.is_none() {
        tracing::warn!("dev mode has no key to sign with, so there is no sign-in by name; set auth.secret");
    }
    signer.map(|signer| demo::router(signer, config.dev.token_ttl.0))
}

fn welcome(config: &Config, address: SocketAddr) {
    if config.dev.enabled {
        tracing::warn!(
            "dev mode: whoever reaches this address may sign in under any name; never use it for real data"
        );
    }
    for name in &config.unknown_variables {
        tracing::warn!(
            "the environment variable {name} means nothing here; `roomful default-config` lists those that do"
        );
    }
    if !config.limits.rates {
        tracing::warn!("the rate limits are off");
    }
    let page = if Assets::is_built(BUILT) {
        "open"
    } else {
        "clients connect to"
    };
    tracing::info!(
        "Roomful {} is ready: {page} http://{address}",
        env!("CARGO_PKG_VERSION")
    );
}

fn recurring(config: &Config, exporter: Exporter, store: Arc<dyn Store>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut ticks = interval(UPKEEP_INTERVAL);
        loop {
            ticks.tick().await;
            exporter.upkeep();
        }
    });
    let (retention, notifications) = (store::retention(config), store::notifications(config));
    let every = config.history.trim_interval.0;
    let kept = config.auth.revocations_kept.0;
    tasks.spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match store.trim(retention, clock::unix_millis()).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "messages past their time were removed"),
                Err(error) => tracing::warn!(%error, "old messages could not be removed; trying again later"),
            }
            match store
                .trim_notifications(notifications, clock::unix_millis())
                .await
            {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "notifications past their time were removed"),
                Err(error) => {
                    tracing::warn!(%error, "old notifications could not be removed; trying again later");
                }
            }
            let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
            let cutoff = clock::unix_millis().saturating_sub(kept);
            if let Err(error) = store.forget_revocations(cutoff).await {
                tracing::warn!(%error, "old revocations could not be removed; trying again later");
            }
        }
    });
    tasks
}
