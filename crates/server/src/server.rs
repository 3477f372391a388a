//! The wiring of the process: start-up top-down (probes, store, transport, chat, page), and shutdown from the
//! clients to the store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use roomful_bus::Bus;
use roomful_chat::{ChatConfig, ChatServer, ContentRules, KeyTable, clock::SystemClock};
use roomful_socket::{Cors, Drain, WebSocketServer};
use roomful_store::{Outage, Store, StoreError};
use roomful_supervisor::{Supervised, supervise};
use tokio::time::{Instant, interval, sleep, timeout};

use crate::{
    chat, clock_skew, cluster,
    config::{Config, ConfigError, Shutdown},
    content_rules::RuleSources,
    hooks,
    http::{
        AddressLimit,
        api::{self, key::ApiKeys},
        assets::{Assets, BUILT},
        client_address::AddressResolver,
        demo,
        gate::Gate,
        health::{Dependencies, Health},
        listener::{self, HttpListener},
        metrics::{Exporter, MetricsPage, UPKEEP_INTERVAL},
        router::{self, Routes},
        tls::Certificate,
    },
    in_force::InForce,
    issuers, lifecycle,
    log::LogFilter,
    open_files, outbox,
    reload::{Handles, Reloader},
    retention::Retention,
    secret::{Generated, Keys},
    start_error::StartError,
    store::{self, Lock, StoreDecorator},
    store_size,
    webhooks::SigningKeys,
};

/// The least time for each step of the shutdown after the connections are closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the start-up waits for this node's lease in the cluster before it logs why.
const LEASE_PATIENCE: Duration = Duration::from_secs(2);
/// The first and the longest pause between attempts to open a store whose database is unreachable.
const STORE_RETRY: Duration = Duration::from_millis(200);
const STORE_RETRY_MAX: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Server {
    health: Health,
    sockets: WebSocketServer,
    chat: ChatServer,
    store: Arc<dyn Store>,
    /// Held while the store is open.
    _lock: Option<Lock>,
    listener: HttpListener,
    ops_listener: Option<HttpListener>,
    /// Periodic tasks; dropped, and so cancelled, with the server.
    _periodic: Vec<Supervised>,
    bus: Option<Arc<dyn Bus>>,
    shutdown: Shutdown,
    /// The keys at start, and the parts that a reload changes.
    keys: Keys,
    /// The fingerprint of the content rules at start.
    rules: u64,
    handles: Handles,
}

/// The parts that exist before the store is open.
struct Startup<'a> {
    config: &'a Config,
    keys: Keys,
    rules: u64,
    tokens: KeyTable,
    issuer_tasks: Vec<Supervised>,
    chat: ChatConfig,
    exporter: Exporter,
    file_limit: Option<u64>,
    address: SocketAddr,
    node: Option<cluster::Node>,
    health: Health,
    gate: Gate,
    listener: HttpListener,
    ops_listener: Option<HttpListener>,
    status_limit: Option<Arc<AddressLimit>>,
    /// The signing keys of each hook, by its name.
    hook_keys: Vec<(String, SigningKeys)>,
    certificate: Option<Certificate>,
}

impl Server {
    /// Starts all parts on the decorated store, and returns when the server admits clients.
    pub(crate) async fn start(config: &Config, decorate: StoreDecorator) -> Result<Self, StartError> {
        let (keys, generated) = Keys::read_or_generate(config)?;
        if generated == Generated::Yes {
            let file = config.secret_path();
            tracing::info!(file = %file.display(), "generated a secret for tokens");
        }
        // First of all parts: a metric that is registered without a recorder is lost.
        let exporter = Exporter::install()?;
        let mut issuer_tasks = Vec::new();
        let issuers = issuers::start(&config.auth, &mut issuer_tasks).map_err(StartError::Issuers)?;
        let tokens = chat::keys(&keys)?.with_issuers(issuers);
        let mut chat = chat::config(config, tokens.clone());
        let (hooks, hook_keys) = hooks::open(config).map_err(StartError::Hooks)?.unzip();
        chat.hooks = hooks.map(|hooks| hooks as _);
        let rules = load_rules(config, &chat.content_rules).await?;
        let file_limit = open_files::raise_limit();

        let certificate = Certificate::open(config)?;
        let (socket, address) = listener::bind(&config.listen).await?;
        let node = cluster::node(config, &keys, address)?;
        let (health, gate) = (Health::new(config.store.check_timeout.0), Gate::default());
        let status_limit = config.limits.rates.then(|| Arc::new(status_limit(config)));
        let metrics_key = config.http.metrics_key.expose();
        let metrics = MetricsPage::new(exporter.clone(), metrics_key, status_limit.clone());
        let resolver = AddressResolver::new(&config.http.trusted_proxies);
        let mut public = router::health(health.clone());
        let mut ops_listener = None;
        if config.http.ops_listen.is_empty() {
            public = public.merge(router::metrics(metrics, health.clone()));
        } else {
            let routes = router::health(health.clone()).merge(router::metrics(metrics, health.clone()));
            let (socket, address) = listener::bind(&config.http.ops_listen).await?;
            tracing::info!(%address, "serving health checks and metrics on their own address");
            let routes = router::finished(routes, resolver.clone());
            let limits = listener::ops_limits(config, routes.clone());
            ops_listener = Some(HttpListener::start(socket, routes, limits));
        }
        let reserve = router::finished(router::health(health.clone()), resolver.clone());
        let public = router::finished(router::gated(public, gate.clone()), resolver);
        let mut limits = listener::public_limits(config, file_limit, reserve);
        limits.tls = certificate.as_ref().map(Certificate::tls);
        let startup = Startup {
            config,
            keys,
            rules,
            tokens,
            issuer_tasks,
            chat,
            exporter,
            file_limit,
            address,
            node,
            health,
            gate,
            listener: HttpListener::start(socket, public, limits),
            ops_listener,
            status_limit,
            hook_keys: hook_keys.unwrap_or_default(),
            certificate,
        };
        let owned = config.clone();
        let lock = tokio::task::spawn_blocking(move || Lock::take(&owned)).await??;
        let store = decorate(open_store(config, &startup.health).await?);
        let server = startup.finish(lock, Arc::clone(&store)).await;
        if server.is_err() {
            // Otherwise the next server on this database would count this process as a live node.
            store.close().await;
        }
        server
    }

    /// A reloader of this server, which started with `config`.
    pub(crate) fn reloader(&self, config: &Config, log: LogFilter) -> Reloader {
        Reloader::new(config, (self.keys.clone(), self.rules), self.handles.clone(), log)
    }

    /// Stops in order: closes client connections, commits and acknowledges accepted sends, closes store and
    /// bus. Probes get answers until the connections are closed. A step that exceeds its time is abandoned,
    /// and the next one runs.
    pub(crate) async fn stop(self) {
        self.health.draining();
        sleep(self.shutdown.delay.0).await;
        let (spread, patience) = (self.shutdown.spread.0, self.shutdown.timeout.0);
        let started = Instant::now();
        // What the clients leave of the time is for the commits, and each close gets some in any case.
        let rest = || {
            (spread + patience)
                .saturating_sub(started.elapsed())
                .max(CLOSE_TIMEOUT)
        };
        within("closing the connections", spread + patience, async {
            if spread.is_zero() {
                self.chat.stop_sends().await;
            } else {
                // Clients of later waves keep chatting until their turn.
                let drain = self
                    .chat
                    .announce_drain(Drain::over(spread).timeout(patience / 2));
                self.sockets.drain(drain).await;
            }
            self.sockets.close().await;
        })
        .await;
        within("closing the listener", rest(), self.listener.stop()).await;
        within("committing accepted messages", rest(), self.chat.drain()).await;
        within("closing the store", rest(), self.store.close()).await;
        if let Some(bus) = &self.bus {
            within("closing the bus", rest(), bus.close()).await;
        }
        if let Some(ops_listener) = self.ops_listener {
            within("closing the listener for operators", rest(), ops_listener.stop()).await;
        }
    }
}

/// Runs one step of the shutdown, and abandons it after `limit`.
async fn within(step: &'static str, limit: Duration, work: impl Future<Output = ()>) {
    if timeout(limit, work).await.is_err() {
        tracing::warn!(step, timeout = ?limit, "failed to finish a step of the shutdown in time, continuing");
    }
}

impl Startup<'_> {
    /// Starts the parts that need the store, then opens the gate for clients.
    async fn finish(self, lock: Option<Lock>, store: Arc<dyn Store>) -> Result<Server, StartError> {
        let config = self.config;
        if self.node.is_none() && store.other_nodes().await? > 0 {
            tracing::warn!(
                "another server uses this database, or was killed a moment ago; without a shared bus \
                (bus.url) the clients of the two servers do not see each other's messages"
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
        let fingerprints = part.as_ref().map(|part| part.fingerprints.clone());
        let content_rules = self.chat.content_rules.clone();
        let (bus, part) = part.map_or((None, None), |part| (Some(part.bus), Some(part.chat)));
        let clock = Arc::new(SystemClock);
        let chat = ChatServer::attach_to(&sockets, Arc::clone(&store), self.chat, clock, part);
        self.health.opened(Dependencies {
            store: Arc::clone(&store),
            chat: chat.clone(),
            bus: bus.clone(),
        });
        if let Some(signing_in) = signing_in {
            signing_in.await??;
        }
        wait_for_lease(&chat, &self.health).await;
        if let (Some(bus), Some(fingerprints)) = (&bus, &fingerprints) {
            cluster::warn_about_other_secrets(&**bus, fingerprints).await;
        }
        let (api_keys, in_force) = (api_keys(config), InForce::new(config));
        let base_path = config.http.base_path.as_str();
        let api = api::Settings {
            base_path,
            keys: api_keys.clone(),
            max_body: config.socket.max_payload.0,
            audit_posts: config.audit.posts,
            in_force: in_force.clone(),
            status_limit: self.status_limit.clone(),
        };
        let assets = Assets::new(
            BUILT,
            &config.http.assets_url,
            config.http.assets_origin(),
            base_path,
        );
        self.gate.open(router::inner(Routes {
            sockets: sockets.router(),
            api: api::router(chat.clone(), api),
            demo: demo_routes(config, &self.keys, &chat),
            assets,
            base_path: base_path.to_owned(),
            loopback_only: config.dev.enabled && !config.dev.allow_remote,
        }));
        self.health.ready();

        log_ready(config, self.address);
        lifecycle::announce(self.address).map_err(StartError::PortFile)?;
        let mut periodic = periodic(config, self.exporter, &store, &self.health);
        periodic.extend(self.issuer_tasks);
        let erasing = chat.clone();
        periodic.push(supervise("interrupted erasures", move || {
            let erasing = erasing.clone();
            async move { erasing.resume_erasures().await }
        }));
        let webhooks = outbox::start(config, &store, &mut periodic).map_err(StartError::Webhooks)?;
        Ok(Server {
            health: self.health,
            sockets,
            chat,
            store,
            _lock: lock,
            listener: self.listener,
            ops_listener: self.ops_listener,
            _periodic: periodic,
            bus,
            shutdown: config.shutdown.clone(),
            keys: self.keys,
            rules: self.rules,
            handles: Handles {
                tokens: self.tokens,
                api_keys,
                content_rules,
                webhooks,
                hooks: self.hook_keys,
                certificate: self.certificate,
                in_force,
            },
        })
    }
}

/// Reads and compiles the rules on texts, and returns their fingerprint.
async fn load_rules(config: &Config, rules: &ContentRules) -> Result<u64, StartError> {
    let (config, rules) = (config.clone(), rules.clone());
    let load = tokio::task::spawn_blocking(move || {
        let sources = RuleSources::read(&config)?;
        rules.replace(sources.compile(&config)?);
        Ok::<_, ConfigError>(sources.fingerprint())
    });
    Ok(load.await??)
}

/// Opens the store. Waits while its database is unreachable, as the start waits for the bus: `/readyz`
/// tells why.
async fn open_store(config: &Config, health: &Health) -> Result<Arc<dyn Store>, StartError> {
    let mut pause = STORE_RETRY;
    loop {
        let owned = config.clone();
        let opened = tokio::task::spawn_blocking(move || store::open(&owned)).await?;
        let outage = match opened {
            Err(StoreError::Unavailable(outage @ Outage::Connection(_))) => outage,
            opened => return Ok(opened?),
        };
        if pause == STORE_RETRY {
            tracing::warn!(
                cause = %outage,
                "not ready: failed to open the store, retrying until it is there"
            );
        }
        health.waiting_for_store(outage.to_string());
        sleep(pause).await;
        pause = (pause * 2).min(STORE_RETRY_MAX);
    }
}

/// Waits for this node's lease in the cluster, if it is in one, as the start waits for the store: `/readyz`
/// tells why.
async fn wait_for_lease(chat: &ChatServer, health: &Health) {
    if timeout(LEASE_PATIENCE, chat.lease_held()).await.is_ok() {
        return;
    }
    let cause = health.cause().await;
    tracing::warn!("not ready: {cause}; starting as soon as this node has a lease in the cluster");
    chat.lease_held().await;
}

/// The Socket.IO server with the configured limits.
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
        .max_early_payload(socket.max_early_payload.0)
        .message_timeout(socket.message_timeout.0)
        .max_unfinished_bytes(socket.max_unfinished.0)
        .max_unfinished_bytes_per_ip(socket.max_unfinished_per_ip.0)
        .max_refused_connects(socket.max_refused_connects)
        .refusal_window(socket.refusal_window.0)
        .max_refused_events(socket.max_refused_events)
        .max_refused_bytes(socket.max_refused_bytes.0)
        .compression_threshold(Some(socket.compress_from.0).filter(|bytes| *bytes > 0))
        .max_sessions(open_files::connections(limits.connections, file_limit))
        .max_sessions_per_ip(limits.rates.then_some(limits.connections_per_ip))
        .path(format!("{}/socket.io/", config.http.base_path))
        // No handler reads the headers, and they would be the largest part of an idle client's memory.
        .keep_headers(false);
    if let Some(part) = part {
        builder = builder.cluster(part.sockets.clone());
    }
    if config.http.origins.iter().any(|origin| origin == "*") {
        return builder.cors_any().build();
    }
    // In dev mode the app's page usually comes from a development server on another port.
    let cors = Cors::list(config.http.origins.iter().cloned()).loopback(config.dev.enabled);
    builder.cors_policy(cors).build()
}

fn status_limit(config: &Config) -> AddressLimit {
    let (http, tracked) = (&config.http, config.limits.tracked);
    AddressLimit::per_second(
        http.status_requests_per_second,
        http.status_requests_burst,
        tracked,
    )
}

fn api_keys(config: &Config) -> ApiKeys {
    let failures = config
        .limits
        .rates
        .then(|| AddressLimit::per_minute(config.api.failures_per_minute, config.limits.tracked));
    let keys = ApiKeys::new(failures);
    keys.replace(config.api.keys());
    keys
}

fn demo_routes(config: &Config, keys: &Keys, chat: &ChatServer) -> Option<axum::Router> {
    if !config.dev.enabled {
        return None;
    }
    let signer = keys.signer();
    if signer.is_none() {
        tracing::warn!("dev mode has no key to sign tokens with, so sign-in by name is off; set auth.secret");
    }
    signer.map(|signer| demo::router(chat.clone(), signer, config.dev.token_ttl.0))
}

/// Logs the address, and warnings about settings that are unsafe or have no effect.
fn log_ready(config: &Config, address: SocketAddr) {
    if config.dev.enabled {
        tracing::warn!(
            "dev mode: anyone who reaches this address can sign in under any name; never use it for real data"
        );
    }
    for name in &config.unknown_variables {
        tracing::warn!(
            "the environment variable {name} is no setting; `roomful default-config` lists all settings"
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
    let scheme = if config.http.tls.is_on() { "https" } else { "http" };
    tracing::info!(
        "Roomful {} is ready: {page} {scheme}://{address}",
        env!("CARGO_PKG_VERSION")
    );
}

/// Starts the periodic tasks: upkeep of the metrics recorder, retention and size of the store, the
/// comparison of clocks, and health checks.
fn periodic(config: &Config, exporter: Exporter, store: &Arc<dyn Store>, health: &Health) -> Vec<Supervised> {
    let drain_recorder = move || {
        let exporter = exporter.clone();
        async move {
            let mut ticks = interval(UPKEEP_INTERVAL);
            loop {
                ticks.tick().await;
                exporter.upkeep();
            }
        }
    };
    let (retention, store) = (Retention::of(config), Arc::clone(store));
    let (sized, timed) = (Arc::clone(&store), Arc::clone(&store));
    let health = health.clone();
    vec![
        supervise("metrics upkeep", drain_recorder),
        supervise("retention", move || retention.run(Arc::clone(&store))),
        supervise("store size", move || store_size::watch(Arc::clone(&sized))),
        supervise("clock skew", move || clock_skew::watch(Arc::clone(&timed))),
        supervise("health checks", move || health.clone().watch()),
    ]
}
