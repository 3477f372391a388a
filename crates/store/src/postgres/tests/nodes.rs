//! Which nodes live, and sessions that a dead one still seems to have.

use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use super::{Database, SERVER};
use crate::{NewSession, Options, Resume, SessionKey, StoreError, contract::Harness as _};

/// Waits until the only node has given that many signs of life.
async fn wait_for_heartbeats(client: &Client, count: usize) {
    let mut seen = Vec::new();
    while seen.len() <= count {
        let row = client
            .query_one("SELECT seen_at::text FROM nodes", &[])
            .await
            .unwrap();
        seen.push(row.get::<_, String>(0));
        seen.dedup();
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_and_health_checks_do_not_wait_for_busy_connections() {
    let database = Database::new();
    let options = Options {
        pool: 1,
        statement_timeout: Duration::from_secs(30),
        node_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let store = database.open(options);
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    store.join(room, "ann", 1).await.unwrap();
    // Another's lock keeps the one connection waiting.
    let (client, connection) = tokio_postgres::connect(&database.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    let (observer, connection) = tokio_postgres::connect(&database.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    let lock = "BEGIN; SELECT * FROM members FOR UPDATE";
    client.batch_execute(lock).await.unwrap();
    let mut leaving = std::pin::pin!(store.leave(room, "ann"));
    tokio::select! {
        biased;
        left = &mut leaving => panic!("{left:?} before a sign of log_state"),
        () = wait_for_heartbeats(&observer, 3) => {}
    }
    store.check().await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(leaving.await, Ok(true));
}

#[tokio::test]
async fn a_dead_node_loses_its_sessions() -> Result<(), StoreError> {
    const ANNS: SessionKey = SessionKey([1; 16]);
    const BOBS: SessionKey = SessionKey([2; 16]);
    let database = Database::new();
    let (dead, other) = (
        database.open(Options::default()),
        database.open(Options::default()),
    );
    for (key, user) in [(ANNS, "ann"), (BOBS, "bob")] {
        let session = NewSession {
            key,
            owner: 1,
            sid: "sid".into(),
            user_id: user.into(),
            at: 10,
        };
        dead.begin_session(session).await?;
    }
    let name = database.0.rsplit('/').next().unwrap_or_default();
    let die = "UPDATE nodes SET ended = true, alive_at = 50 WHERE id IN (SELECT node FROM sessions)";
    SERVER.sql(name, die).unwrap();
    let ask = |key, user: &str, lost_since| Resume {
        key,
        owner: 2,
        user_id: user.into(),
        lost_since,
    };
    assert!(other.resume_session(ask(ANNS, "ann", 50)).await?.is_some());
    assert!(other.resume_session(ask(BOBS, "bob", 51)).await?.is_none());
    // Whom it was given to has it, whatever is known of the node before.
    assert!(other.resume_session(ask(ANNS, "ann", 51)).await?.is_some());
    Ok(())
}
