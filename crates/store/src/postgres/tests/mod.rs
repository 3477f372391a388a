//! The contract on a real PostgreSQL, one database for each case, and tests of this engine: restored
//! databases (`generation`), replaced ones (`replaced`), older ones (`upgrade`), outages (`outages`), TLS
//! (`tls`) and frozen servers (`silence`).

mod nodes;

use std::sync::{Arc, LazyLock};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use roomful_testkit::PostgresServer;

use crate::{EntryKind, NewEntry, Options, RoomId, Store, contract::Harness};

/// Shared by all tests that leave the server running. Durability over power cuts is up to PostgreSQL.
static SERVER: LazyLock<PostgresServer> =
    LazyLock::new(|| PostgresServer::start_with(&["fsync=off", "max_connections=300"]).unwrap());

/// A database of its own.
struct Database(String);

impl Database {
    fn new() -> Self {
        Self(SERVER.new_database().unwrap())
    }
}

impl Harness for Database {
    fn open(&self, options: Options) -> Arc<dyn Store> {
        crate::open(&self.0, options).unwrap()
    }

    fn open_another(&self, options: Options) -> Option<Arc<dyn Store>> {
        Some(self.open(options))
    }
}

mod flat_reads;
mod generation;
mod outages;
mod replaced;
mod silence;
mod tls;
mod upgrade;

mod contract {
    use super::Database;

    crate::store_contract!(Database::new());
}

/// A message by ann.
fn message(room: RoomId, client_id: &str) -> NewEntry {
    NewEntry {
        room,
        kind: EntryKind::Message,
        target: None,
        user_id: "ann".into(),
        user_name: None,
        client_id: Some(client_id.into()),
        body: "1".into(),
        mentions: Vec::new(),
        at: 1,
        replacement: None,
        charged: false,
        exempt: false,
        as_member: false,
    }
}

#[test]
fn two_databases_differ_and_so_do_a_database_and_its_copy() {
    let databases = [Database::new(), Database::new()];
    let identities = databases
        .iter()
        .map(|database| database.open(Options::default()).identity().to_owned());
    let [one, other]: [String; 2] = identities.collect::<Vec<_>>().try_into().unwrap();
    assert_ne!(one, other);
    let origin = databases[0].0.rsplit('/').next().unwrap();
    let copy = format!("{origin}_copy");
    // A database in use cannot be a template.
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{origin}'");
    SERVER.sql("postgres", &end).unwrap();
    SERVER
        .sql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {origin}"))
        .unwrap();
    let url = databases[0].0.replace(origin, &copy);
    let copied = crate::open(&url, Options::default()).unwrap();
    assert_ne!(copied.identity(), one);
}

#[test]
fn metrics_count_commits_and_errors() {
    let recorder = DebuggingRecorder::new();
    let database = Database::new();
    let store = metrics::with_local_recorder(&recorder, || database.open(Options::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
        let three = ["1", "2", "3"].map(|id| message(room, id));
        store.append(three.to_vec()).await.unwrap();
        store.close().await;
        store.check().await.unwrap_err();
    });
    let mut figures: Vec<_> = recorder
        .snapshotter()
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(metrics::Label::value).collect();
            let told = match value {
                DebugValue::Counter(count) => (count > 0).then(|| count.to_string()),
                DebugValue::Gauge(level) => (level.0 != 0.0).then(|| level.0.to_string()),
                DebugValue::Histogram(values) => {
                    (!values.is_empty()).then(|| format!("{} of them", values.len()))
                }
            };
            Some(format!("{} {labels:?} {}", key.key().name(), told?))
        })
        .collect();
    figures.sort();
    let expected = [
        "roomful_store_batch_size [] 1 of them",
        "roomful_store_commit_seconds [] 1 of them",
        "roomful_store_errors_total [\"closed\"] 1",
    ];
    assert_eq!(figures, expected);
}
