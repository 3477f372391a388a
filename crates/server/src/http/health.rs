//! Health checks: `/livez` (the process answers) and `/readyz` (it should get clients). A request checks
//! the store and the bus at most once a second. The log has each change of readiness, not each check.

mod readiness_log;

use std::{
    fmt::{self, Display},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use metrics::gauge;
use roomful_bus::Bus;
use roomful_chat::ChatServer;
use roomful_store::Store;
use roomful_supervisor::FailingTask;
use serde_json::json;
use tokio::{
    sync::{Mutex, OnceCell},
    time::{Instant, sleep, timeout},
};

use self::readiness_log::ReadinessLog;

/// How long the result of a check is reused.
const FRESH: Duration = Duration::from_secs(1);
/// How often the node checks itself without probes. Each check of SQLite is a small write.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// The phases of the process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Starting,
    Ready,
    Draining,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
        }
    }
}

/// The state dependencies `/livez` and `/readyz`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    phase: AtomicU8,
    check_timeout: Duration,
    dependencies: OnceCell<Dependencies>,
    /// The last check. Locked while a check runs, so that concurrent requests share one.
    last: Mutex<Last>,
    /// Why the store is not open yet, while the start-up waits for it.
    waiting: parking_lot::Mutex<Option<String>>,
}

#[derive(Default)]
struct Last {
    checked: Option<(Instant, Checks)>,
    log: ReadinessLog,
}

/// The parts whose health is checked.
pub(crate) struct Dependencies {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) chat: ChatServer,
    pub(crate) bus: Option<Arc<dyn Bus>>,
}

/// The result of one check of all parts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Checks {
    store: CheckResult,
    /// `None` for a single node.
    bus: Option<CheckResult>,
    /// Whether this node holds its lease in the cluster.
    serves: bool,
    failing_tasks: Vec<FailingTask>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum CheckResult {
    Ok,
    /// With the cause.
    Failed(String),
    /// With the time limit.
    TimedOut(Duration),
}

/// A reason why a node is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    Store(String),
    Bus(String),
    Lease,
    Task(FailingTask),
}

impl Health {
    /// Health in the phase `Starting`. A check of the store or the bus may take `check_timeout`.
    pub(crate) fn new(check_timeout: Duration) -> Self {
        let phase = AtomicU8::new(Phase::Starting as u8);
        Health {
            shared: Arc::new(Shared {
                phase,
                check_timeout,
                dependencies: OnceCell::new(),
                last: Mutex::default(),
                waiting: parking_lot::Mutex::new(None),
            }),
        }
    }

    /// Sets the parts to check, once the store is open. Only the first call has an effect.
    pub(crate) fn opened(&self, dependencies: Dependencies) {
        // Start-up calls this once.
        let _ = self.shared.dependencies.set(dependencies);
    }

    /// Sets why the start-up waits for the store. `/readyz` shows it until the store is open.
    pub(crate) fn waiting_for_store(&self, cause: String) {
        *self.shared.waiting.lock() = Some(cause);
    }

    /// Enters the phase `Ready`: `/readyz` answers 200 while all checks pass.
    pub(crate) fn ready(&self) {
        self.shared.phase.store(Phase::Ready as u8, Ordering::Release);
    }

    /// Enters the phase `Draining`: `/readyz` answers 503.
    pub(crate) fn draining(&self) {
        self.shared.phase.store(Phase::Draining as u8, Ordering::Release);
    }

    fn phase(&self) -> Phase {
        match self.shared.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    /// Answers `/livez`: always 200.
    pub(crate) fn livez() -> Response {
        uncached((StatusCode::OK, "ok\n").into_response())
    }

    /// Answers `/readyz`: 200 if this node should get clients, or 503 with the failed checks.
    pub(crate) async fn readyz(&self) -> Response {
        let phase = self.phase();
        let checks = self.check().await;
        let well = checks.as_ref().is_some_and(Checks::pass);
        let (status, text) = match phase {
            Phase::Ready if well => (StatusCode::OK, "ready"),
            Phase::Ready => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Phase::Starting | Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, phase.as_str()),
        };
        let mut shown =
            json!({ "store": checks.as_ref().map_or("not open", |checks| checks.store.as_str()) });
        if checks.is_none()
            && let Some(cause) = self.shared.waiting.lock().clone()
        {
            shown["store"] = json!(format!("not open: {cause}"));
        }
        if let Some(Checks {
            bus: Some(bus),
            serves,
            ..
        }) = &checks
        {
            shown["bus"] = json!(bus.as_str());
            shown["lease"] = json!(match (serves, phase) {
                (true, _) => "ok",
                (false, Phase::Starting) => "none yet",
                (false, _) => "lost",
            });
        }
        let failing = checks.map(|checks| checks.failing_tasks).unwrap_or_default();
        if !failing.is_empty() {
            let names: Vec<_> = failing.iter().map(|failing| failing.task).collect();
            shown["tasks"] = json!(format!("failing: {}", names.join(", ")));
        }
        uncached((status, Json(json!({"status": text, "checks": shown}))).into_response())
    }

    /// Sets the gauge `roomful_ready` to 1 if `/readyz` would answer 200, otherwise to 0.
    pub(crate) async fn export(&self) {
        let checks = self.check().await;
        let ready = self.phase() == Phase::Ready && checks.as_ref().is_some_and(Checks::pass);
        gauge!("roomful_ready").set(f64::from(u8::from(ready)));
        let failing = checks.map_or(0, |checks| checks.failing_tasks.len());
        gauge!("roomful_tasks_failing").set(f64::from(u32::try_from(failing).unwrap_or(u32::MAX)));
    }

    /// Checks at intervals until it is aborted, so that the log has each change without probes, too.
    pub(crate) async fn watch(self) {
        loop {
            let checks = self.check().await;
            let passes = checks.is_none_or(|checks| checks.pass());
            sleep(if passes { WATCH_INTERVAL } else { FRESH }).await;
        }
    }

    /// Why the node is not ready; empty if it is.
    pub(crate) async fn cause(&self) -> String {
        let checks = self.check().await;
        checks.map(|checks| list(&checks.faults())).unwrap_or_default()
    }

    async fn check(&self) -> Option<Checks> {
        let dependencies = self.shared.dependencies.get()?;
        let mut last = self.shared.last.lock().await;
        if let Some((at, checks)) = &last.checked
            && at.elapsed() < FRESH
        {
            return Some(checks.clone());
        }
        let limit = self.shared.check_timeout;
        let bus = async {
            match &dependencies.bus {
                Some(bus) => Some(checked(limit, bus.check()).await),
                None => None,
            }
        };
        let (store, bus) = tokio::join!(checked(limit, dependencies.store.check()), bus);
        let checks = Checks {
            store,
            bus,
            serves: dependencies.chat.is_serving(),
            failing_tasks: roomful_supervisor::failing(),
        };
        if self.phase() == Phase::Ready {
            last.log
                .note(&checks.faults(), dependencies.chat.clients_disconnected());
        }
        last.checked = Some((Instant::now(), checks.clone()));
        Some(checks)
    }
}

impl Checks {
    fn pass(&self) -> bool {
        self.faults().is_empty()
    }

    fn faults(&self) -> Vec<Fault> {
        let store = self.store.cause().map(Fault::Store);
        let bus = self.bus.as_ref().and_then(CheckResult::cause).map(Fault::Bus);
        let lease = (!self.serves).then_some(Fault::Lease);
        let tasks = self.failing_tasks.iter().cloned().map(Fault::Task);
        [store, bus, lease].into_iter().flatten().chain(tasks).collect()
    }
}

impl CheckResult {
    fn as_str(&self) -> &'static str {
        match self {
            CheckResult::Ok => "ok",
            CheckResult::Failed(_) => "failed",
            CheckResult::TimedOut(_) => "timed out",
        }
    }

    fn cause(&self) -> Option<String> {
        match self {
            CheckResult::Ok => None,
            CheckResult::Failed(cause) => Some(cause.clone()),
            CheckResult::TimedOut(limit) => Some(format!("no answer within {limit:?}")),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Store(cause) => write!(f, "store unreachable ({cause})"),
            Fault::Bus(cause) => write!(f, "Redis unreachable ({cause})"),
            Fault::Lease => f.write_str("no lease in the cluster"),
            Fault::Task(failing) => write!(f, "task \"{}\" keeps failing ({})", failing.task, failing.cause),
        }
    }
}

fn list(faults: &[Fault]) -> String {
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// The result of a check.
async fn checked<E: Display>(limit: Duration, check: impl Future<Output = Result<(), E>>) -> CheckResult {
    match timeout(limit, check).await {
        Ok(Ok(())) => CheckResult::Ok,
        Ok(Err(error)) => CheckResult::Failed(error.to_string()),
        Err(_) => CheckResult::TimedOut(limit),
    }
}

fn uncached(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn readyz(health: &Health) -> (u16, String) {
        let response = health.readyz().await;
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn dependencies(store: &Arc<dyn Store>) -> Dependencies {
        let sockets = roomful_socket::WebSocketServer::builder().build();
        Dependencies {
            store: Arc::clone(store),
            chat: ChatServer::attach(&sockets, Arc::clone(store), roomful_chat::ChatConfig::default()),
            bus: None,
        }
    }

    fn answer(status: &str, store: &str) -> String {
        json!({"status": status, "checks": {"store": store}}).to_string()
    }

    #[tokio::test]
    async fn readyz_is_ok_between_start_up_and_drain() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("roomful.db").display());
        let health = Health::new(Duration::from_secs(5));
        assert_eq!(readyz(&health).await, (503, answer("starting", "not open")));
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        health.opened(dependencies(&store));
        assert_eq!(readyz(&health).await, (503, answer("starting", "ok")));
        health.ready();
        assert_eq!(readyz(&health).await, (200, answer("ready", "ok")));
        health.draining();
        assert_eq!(readyz(&health).await, (503, answer("draining", "ok")));
    }

    #[tokio::test]
    async fn readyz_names_the_failed_check_during_start_up() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("roomful.db").display());
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        // A closed bus fails its check like an unreachable one.
        let bus = roomful_bus::Hub::default().connect();
        bus.close().await;
        let part = roomful_chat::ClusterConfig {
            bus: Arc::clone(&bus),
            node: "node".to_owned(),
            info: serde_json::Map::new(),
            lease: Duration::from_secs(15),
            poll: Duration::from_secs(1),
        };
        let chat = ChatServer::attach_to(
            &roomful_socket::WebSocketServer::builder().build(),
            Arc::clone(&store),
            roomful_chat::ChatConfig::default(),
            Arc::new(roomful_chat::clock::SystemClock),
            Some(part),
        );
        let health = Health::new(Duration::from_secs(5));
        health.opened(Dependencies {
            store,
            chat,
            bus: Some(bus),
        });
        let checks = json!({"store": "ok", "bus": "failed", "lease": "none yet"});
        let answer = json!({"status": "starting", "checks": checks}).to_string();
        assert_eq!(readyz(&health).await, (503, answer));
    }

    #[tokio::test]
    async fn a_node_whose_task_keeps_failing_is_not_ready_and_names_the_task() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("roomful.db").display());
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        let health = Health::new(Duration::from_secs(5));
        health.opened(dependencies(&store));
        health.ready();
        let failing = FailingTask {
            task: "lease",
            cause: "it panicked: secret".to_owned(),
        };
        let checks = Checks {
            store: CheckResult::Ok,
            bus: None,
            serves: true,
            failing_tasks: vec![failing],
        };
        health.shared.last.lock().await.checked = Some((Instant::now(), checks));
        let checks = json!({"store": "ok", "tasks": "failing: lease"});
        let expected = json!({"status": "unavailable", "checks": checks}).to_string();
        assert_eq!(readyz(&health).await, (503, expected));
        let cause = health.cause().await;
        assert_eq!(cause, "task \"lease\" keeps failing (it panicked: secret)");
    }

    #[tokio::test]
    async fn readyz_tells_why_the_start_waits_for_the_store() {
        let health = Health::new(Duration::from_secs(5));
        health.waiting_for_store("its database is unreachable".to_owned());
        let expected = answer("starting", "not open: its database is unreachable");
        assert_eq!(readyz(&health).await, (503, expected));
    }

    #[tokio::test]
    async fn readyz_fails_with_the_store_and_reuses_a_check_for_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("roomful.db").display());
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        let health = Health::new(Duration::from_secs(5));
        health.opened(dependencies(&store));
        health.ready();
        assert_eq!(readyz(&health).await.0, 200);
        store.close().await;
        assert_eq!(readyz(&health).await.0, 200, "a check is reused within a second");
        health.shared.last.lock().await.checked = None;
        assert_eq!(readyz(&health).await, (503, answer("unavailable", "failed")));
    }
}
