//! Another database comes in the place of the one that a node has open.

use std::{sync::Arc, time::Duration};

use super::{Database, SERVER, message};
use crate::{Appended, Options, Outage, Store, StoreError, contract::Harness as _};

const REPLACED: StoreError = StoreError::Unavailable(Outage::Replaced);

impl Database {
    fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap()
    }

    fn sql(&self, statements: &str) -> String {
        SERVER.sql(self.name(), statements).unwrap()
    }

    /// Gives the database another identity under open connections.
    fn becomes_another(&self) {
        self.sql("UPDATE log_head SET identity = md5(identity)");
    }

    /// Drops the database and creates an empty one.
    fn is_made_anew(&self) {
        for statement in ["DROP DATABASE {} WITH (FORCE)", "CREATE DATABASE {}"] {
            let statement = statement.replace("{}", self.name());
            SERVER.sql("postgres", &statement).unwrap();
        }
    }

    /// How many entries there are, and where the order stands.
    fn log(&self) -> String {
        self.sql("SELECT (SELECT count(*) FROM entries), position FROM log_head")
    }
}

async fn open(database: &Database) -> Arc<dyn Store> {
    let store = database.open(Options::default());
    store.open_room("a", true, 1).await.unwrap();
    store
}

async fn say(store: &Arc<dyn Store>, client_id: &str) -> Result<u64, StoreError> {
    match store.append(vec![message(1, client_id)]).await?[..] {
        [Ok(Appended::New { seq, .. })] => Ok(seq),
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_appends_nothing_to_another_database() {
    let database = Database::new();
    let node = open(&database).await;
    assert_eq!(say(&node, "1").await, Ok(1));
    let identity = node.identity().to_owned();
    database.becomes_another();
    assert_eq!(say(&node, "2").await, Err(REPLACED));
    let said = REPLACED.to_string();
    assert!(
        said.contains("the database that store.url names is another one")
            && said.contains("restart this node"),
        "{said}"
    );
    assert_eq!(database.log(), "1|1");
    // Nothing else goes there, either.
    assert_eq!(node.check().await, Err(REPLACED));
    assert_eq!(node.join(1, "ann", 1).await, Err(REPLACED));
    assert_eq!(node.read_log_head().await, Err(REPLACED));
    assert_eq!(database.sql("SELECT count(*) FROM members"), "0");
    // A new opening works with the other database.
    let restarted = open(&database).await;
    assert_ne!(restarted.identity(), identity);
    assert_eq!(say(&restarted, "2").await, Ok(2));
    restarted.check().await.unwrap();
    assert_eq!(say(&node, "3").await, Err(REPLACED));
    assert_eq!(node.identity(), identity, "its identity is that of its start");
    node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_check_detects_another_database() {
    let database = Database::new();
    let guest = Options {
        guest: true,
        ..Options::default()
    };
    for options in [Options::default(), guest] {
        let store = database.open(options);
        store.check().await.unwrap();
        database.becomes_another();
        assert_eq!(store.check().await, Err(REPLACED));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_idle_node_detects_another_database() {
    let database = Database::new();
    let options = Options {
        node_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let node = database.open(options);
    database.becomes_another();
    // This by itself does not look.
    while node.room(1).await == Ok(None) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(node.room(1).await, Err(REPLACED));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_new_connection_detects_another_database() {
    let database = Database::new();
    let node = open(&database).await;
    assert_eq!(say(&node, "1").await, Ok(1));
    database.is_made_anew();
    let next = open(&database).await;
    // Connections that were cut are found out by using them.
    let refused = loop {
        match say(&node, "2").await {
            Err(StoreError::Unavailable(Outage::Connection(_))) => {}
            other => break other,
        }
    };
    assert_eq!(refused, Err(REPLACED));
    assert_eq!(database.log(), "0|0");
    assert_eq!(say(&next, "1").await, Ok(1));
}
