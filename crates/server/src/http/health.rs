//! Is the process alive, and should it be given clients? Store and bus are asked when somebody asks us, at most once a second.

use std::{
    fmt::Display,
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
use roomful_bus::Bus;
use roomful_chat::ChatServer;
use roomful_store::Store;
use serde_json::json;
use tokio::{
    sync::{Mutex, OnceCell},
    time::{Instant, timeout},
};

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(1);

/// The life of the process.
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

/// What `/livez` and `/readyz` answer from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    phase: AtomicU8,
    check_timeout: Duration,
    behind: OnceCell<Behind>,
    /// The last check. Held during one, so that many who ask at once cause one.
    last: Mutex<Option<(Instant, Checks)>>,
}

/// What stands behind the server.
pub(crate) struct Behind {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) chat: ChatServer,
    pub(crate) bus: Option<Arc<dyn Bus>>,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checks {
    store: Checked,
    /// `None` on one node.
    bus: Option<Checked>,
    /// Whether this node has its part in the cluster.
    serves: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checked {
    Ok,
    Failed,
    TimedOut,
}

impl Health {
    /// Starting; a check of store or bus may take `check_timeout`.
    pub(crate) fn new(check_timeout: Duration) -> Self {
        let phase = AtomicU8::new(Phase::Starting as u8);
        Health {
            shared: Arc::new(Shared {
                phase,
                check_timeout,
                behind: OnceCell::new(),
                last: Mutex::new(None),
            }),
        }
    }

    /// The store is open; from now on is told how it and the bus are.
    pub(crate) fn opened(&self, behind: Behind) {
        // A second time would be a fault of ours; the first counts.
        let _ = self.shared.behind.set(behind);
    }

    /// Clients are welcome.
    pub(crate) fn ready(&self) {
        self.shared.phase.store(Phase::Ready as u8, Ordering::Release);
    }

    /// No new clients any more.
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

    /// `/livez`: the process answers, so it lives.
    pub(crate) fn livez() -> Response {
        uncached((StatusCode::OK, "ok\n").into_response())
    }

    /// `/readyz`: 200 if clients are welcome, else 503, with the reason.
    pub(crate) async fn readyz(&self) -> Response {
        let phase = self.phase();
        let checks = self.check().await;
        let well = checks.is_some_and(|checks| {
            let bus = checks.bus.is_none_or(|bus| bus == Checked::Ok);
            checks.store == Checked::Ok && bus && checks.serves
        });
        let (status, text) = match phase {
            Phase::Ready if well => (StatusCode::OK, "ready"),
            Phase::Ready => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Phase::Starting | Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, phase.as_str()),
        };
        let mut shown = json!({ "store": checks.map_or("not open", |checks| checks.store.as_str()) });
        if let Some(Checks {
            bus: Some(bus),
            serves,
            ..
        }) = checks
        {
            shown["bus"] = json!(bus.as_str());
            shown["lease"] = json!(match (serves, phase) {
                (true, _) => "ok",
                (false, Phase::Starting) => "none yet",
                (false, _) => "lost",
            });
        }
        uncached((status, Json(json!({"status": text, "checks": shown}))).into_response())
    }

    async fn check(&self) -> Option<Checks> {
        let behind = self.shared.behind.get()?;
        let mut last = self.shared.last.lock().await;
        if let Some((at, checks)) = *last
            && at.elapsed() < FRESH
        {
            return Some(checks);
        }
        let patience = self.shared.check_timeout;
        let bus = async {
            match &behind.bus {
                Some(bus) => Some(checked("bus", patience, bus.check()).await),
                None => None,
            }
        };
        let (store, bus) = tokio::join!(checked("store", patience, behind.store.check()), bus);
        let serves = behind.chat.is_serving();
        let checks = Checks { store, bus, serves };
        *last = Some((Instant::now(), checks));
        Some(checks)
    }
}

impl Checked {
    fn as_str(self) -> &'static str {
        match self {
            Checked::Ok => "ok",
            Checked::Failed => "failed",
            Checked::TimedOut => "timed out",
        }
    }
}

async fn checked<E: Display>(
    what: &str,
    patience: Duration,
    check: impl Future<Output = Result<(), E>>,
) -> Checked {
    match timeout(patience, check).await {
        Ok(Ok(())) => Checked::Ok,
        Ok(Err(error)) => {
            tracing::warn!(what, %error, "a part does not pass its check");
            Checked::Failed
        }
        Err(_) => {
            tracing::warn!(what, "a part did not answer its check in time");
            Checked::TimedOut
        }
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

    fn behind(store: &Arc<dyn Store>) -> Behind {
        let sockets = roomful_socket::WebSocketServer::builder().build();
        Behind {
            store: Arc::clone(store),
            chat: ChatServer::attach(&sockets, Arc::clone(store), roomful_chat::ChatConfig::default()),
            bus: None,
        }
    }

    fn answer(status: &str, store: &str) -> String {
        json!({"status": status, "checks": {"store": store}}).to_string()
    }

    #[tokio::test]
    async fn ready_is_from_the_open_store_to_the_drain() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("roomful.db").display());
        let health = Health::new(Duration::from_secs(5));
        assert_eq!(readyz(&health).await, (503, answer("starting", "not open")));
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        health.opened(behind(&store));
        assert_eq!(readyz(&health).await, (503, answer("starting", "ok")));
        health.ready();
        assert_eq!(readyz(&health).await, (200, answer("ready", "ok")));
        health.draining();
        assert_eq!(readyz(&health).await, (503, answer("draining", "ok")));
    }

    #[tokio::test]
    async fn while_starting_what_is_waited_for_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("roomful.db").display());
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        // Closed, it is as one that can't be reached.
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
        health.opened(Behind {
            store,
            chat,
            bus: Some(bus),
        });
        let checks = json!({"store": "ok", "bus": "failed", "lease": "none yet"});
        let answer = json!({"status": "starting", "checks": checks}).to_string();
        assert_eq!(readyz(&health).await, (503, answer));
    }

    #[tokio::test]
    async fn a_store_that_fails_is_not_ready_and_an_answer_holds_for_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("roomful.db").display());
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        let health = Health::new(Duration::from_secs(5));
        health.opened(behind(&store));
        health.ready();
        assert_eq!(readyz(&health).await.0, 200);
        store.close().await;
        assert_eq!(
            readyz(&health).await.0,
            200,
            "within a second the store is not asked again"
        );
        *health.shared.last.lock().await = None;
        assert_eq!(readyz(&health).await, (503, answer("unavailable", "failed")));
    }
}
