//! Outages: a database that stops, freezes, refuses connections, or does not fit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use roomful_testkit::PostgresServer;
use tokio::{task::JoinSet, time::Instant};

use super::{Database, SERVER, message};
use crate::{Appended, Options, Outage, Page, Range, RoomId, Store, StoreError, contract::Harness as _};

fn quick() -> Options {
    Options {
        statement_timeout: Duration::from_millis(300),
        queue_wait: Duration::from_millis(300),
        ..Options::default()
    }
}

/// Sends until it is stored, as clients do.
async fn insist(store: &Arc<dyn Store>, room: RoomId, client_id: &str) -> u64 {
    loop {
        match store.append(vec![message(room, client_id)]).await {
            Ok(answers) => match answers[..] {
                [Ok(Appended::New { seq, .. } | Appended::Duplicate { seq, .. })] => return seq,
                ref other => panic!("{other:?}"),
            },
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn killing_the_server_during_appends_loses_nothing() {
    const SENDERS: usize = 8;
    const EACH: usize = 40;
    let server = Arc::new(PostgresServer::start_with(&["fsync=off"]).unwrap());
    let url = server.new_database().unwrap();
    let store = crate::open(&url, quick()).unwrap();
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let store = Arc::clone(&store);
        senders.spawn(async move {
            let mut seqs = Vec::new();
            for n in 0..EACH {
                seqs.push(insist(&store, room, &format!("{sender} {n}")).await);
            }
            seqs
        });
    }
    let killer = tokio::task::spawn_blocking({
        let server = Arc::clone(&server);
        move || {
            for _ in 0..3 {
                server.kill9().unwrap();
                server.restart().unwrap();
            }
        }
    });
    let mut given = Vec::new();
    while let Some(seqs) = senders.join_next().await {
        given.extend(seqs.unwrap());
    }
    killer.await.unwrap();
    given.sort_unstable();
    let all = (SENDERS * EACH) as u64;
    assert!(given.iter().copied().eq(1..=all), "each once, without a hole");
    let page = Page {
        range: Range::After {
            seq: 0,
            upto: all + 1,
        },
        limit: u32::MAX,
    };
    let kept = loop {
        if let Ok(history) = store.history(room, page).await {
            break history.unwrap();
        }
    };
    assert!(
        kept.entries.iter().map(|entry| entry.seq).eq(1..=all),
        "every acknowledged message is stored"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_frozen_database_is_unavailable_in_bounded_time() {
    let server = PostgresServer::start_with(&["fsync=off"]).unwrap();
    let store = crate::open(&server.new_database().unwrap(), quick()).unwrap();
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    insist(&store, room, "1").await;
    server.pause().unwrap();
    let began = Instant::now();
    let (append, read) = tokio::join!(store.append(vec![message(room, "2")]), store.member(room, "ann"));
    assert!(matches!(append, Err(StoreError::Unavailable(_))), "{append:?}");
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    // The statement's limit, and a second's grace.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    server.resume().unwrap();
    let seq = insist(&store, room, "2").await;
    assert_eq!(
        seq, 2,
        "stored once, whether the first attempt was carried out or not"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_paused_with_the_lock_delays_others_briefly() {
    let database = Database::new();
    let store = database.open(quick());
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    // As a node does that is stopped between its two trips.
    let (url, config) = (database.0.clone(), "-c idle_in_transaction_session_timeout=2000");
    let mut stopped: tokio_postgres::Config = url.parse().unwrap();
    stopped.options(config);
    let (client, connection) = stopped.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; SELECT * FROM log_head FOR UPDATE")
        .await
        .unwrap();
    let refused = store.append(vec![message(room, "1")]).await;
    assert_eq!(refused, Err(StoreError::Unavailable(Outage::Busy)));
    let began = Instant::now();
    insist(&store, room, "1").await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// Returns once somebody waits for a lock in this client's database.
async fn is_waited_for(client: &tokio_postgres::Client) {
    let waits = "SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE NOT l.granted AND a.datname = current_database()";
    while client.query(waits, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_expired_fencing_token_stops_queued_appends() {
    let database = Database::new();
    let store = database.open(Options::default());
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    let term = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&term);
    store.fence(Arc::new(move || {
        Some(now.load(Ordering::SeqCst)).filter(|term| *term > 0)
    }));
    let (client, connection) = tokio_postgres::connect(&database.0, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    // Meanwhile the token expires, or another one replaces it.
    for (n, later) in [0, 2].into_iter().enumerate() {
        let name = format!("{n}");
        // On a busy machine the lock may be given up before it is known that it is waited for.
        let mut appended = Err(StoreError::Unavailable(Outage::Busy));
        while appended == Err(StoreError::Unavailable(Outage::Busy)) {
            term.store(1, Ordering::SeqCst);
            let lock = "BEGIN; SELECT * FROM log_head FOR UPDATE";
            client.batch_execute(lock).await.unwrap();
            let mut append = std::pin::pin!(store.append(vec![message(room, &name)]));
            let ended = tokio::select! {
                ended = &mut append => Some(ended),
                () = is_waited_for(&client) => None,
            };
            term.store(later, Ordering::SeqCst);
            client.batch_execute("COMMIT").await.unwrap();
            appended = match ended {
                Some(ended) => ended,
                None => append.await,
            };
        }
        assert_eq!(appended, Err(StoreError::Unavailable(Outage::Fenced)));
    }
    term.store(0, Ordering::SeqCst);
    let refused = store.append(vec![message(room, "2")]).await;
    assert_eq!(refused, Err(StoreError::Unavailable(Outage::Fenced)));
    term.store(3, Ordering::SeqCst);
    let appended = store.append(vec![message(room, "2")]).await.unwrap();
    assert_eq!(
        appended,
        [Ok(Appended::New { seq: 1, at: 1 })],
        "and nothing before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_exhausted_pool_answers_busy() {
    let database = Database::new();
    let options = Options {
        pool: 1,
        queue_wait: Duration::from_millis(100),
        ..Options::default()
    };
    let store = database.open(options);
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    store.join(room, "ann", 1).await.unwrap();
    // Another's lock keeps the one connection waiting.
    let (client, connection) = tokio_postgres::connect(&database.0, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN; SELECT * FROM members FOR UPDATE")
        .await
        .unwrap();
    let (left, busy) = tokio::join!(store.leave(room, "ann"), async {
        let busy = store.member(room, "ann").await;
        client.batch_execute("COMMIT").await.unwrap();
        busy
    });
    assert_eq!(busy, Err(StoreError::Unavailable(Outage::Busy)));
    assert_eq!(left, Ok(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nodes_that_start_together_create_one_schema() {
    let database = Database::new();
    let mut starting = JoinSet::new();
    for _ in 0..6 {
        let url = database.0.clone();
        starting.spawn_blocking(move || crate::open(&url, Options::default()).map(drop));
    }
    while let Some(started) = starting.join_next().await {
        assert_eq!(started.unwrap(), Ok(()));
    }
}

/// A user who owns a database of their own, and may have so many connections.
fn limited(user: &str, limit: u32) -> String {
    let make = format!("CREATE ROLE {user} LOGIN CONNECTION LIMIT {limit}");
    SERVER.sql("postgres", &make).unwrap();
    let make = format!("CREATE DATABASE {user} OWNER {user}");
    SERVER.sql("postgres", &make).unwrap();
    SERVER.url(user).replacen("roomful@", &format!("{user}@"), 1)
}

#[test]
fn too_few_connections_are_reported() {
    let opened = crate::open(&limited("nobody_else", 0), Options::default());
    let Err(StoreError::Unavailable(Outage::Connection(text))) = opened else {
        panic!("it was opened");
    };
    assert!(
        text.contains("no more connections") && text.contains("store.pool") && text.contains("too many"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_share_the_connections_that_the_server_allows() {
    // Three are for the appender, the signs of life, and one of the pool.
    let url = limited("with_few", 3);
    let store = crate::open(&url, Options::default()).unwrap();
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    insist(&store, room, "1").await;
    let mut callers = JoinSet::new();
    for _ in 0..40 {
        let store = Arc::clone(&store);
        callers.spawn(async move { store.count_members(room).await });
    }
    while let Some(counted) = callers.join_next().await {
        assert_eq!(counted.unwrap(), Ok(0));
    }
}

#[test]
fn a_missing_privilege_names_the_grant() {
    let database = Database::new();
    SERVER.sql("postgres", "CREATE ROLE guest LOGIN").unwrap();
    let url = database.0.replacen("roomful@", "guest@", 1);
    let Err(StoreError::Setup(text)) = crate::open(&url, Options::default()) else {
        panic!("it was opened");
    };
    assert!(
        text.contains("permission denied") && text.contains("GRANT USAGE, CREATE"),
        "{text}"
    );
}

#[test]
fn errors_of_opening_say_what_to_do_without_the_password() {
    let port = SERVER.port();
    let setup = [
        (
            format!("postgres://roomful:s3cr3t@127.0.0.1:{port}/nowhere"),
            "create it",
        ),
        (
            format!("postgres://nobody:s3cr3t@127.0.0.1:{port}/postgres"),
            "user or password",
        ),
    ];
    for (url, expected) in setup {
        let Err(StoreError::Setup(text)) = crate::open(&url, Options::default()) else {
            panic!("{url} was opened");
        };
        assert!(
            text.contains(expected) && !text.contains("s3cr3t"),
            "{url}: {text}"
        );
    }
    // Nobody listens there; that may pass.
    let gone = "postgres://roomful:s3cr3t@127.0.0.1:1/postgres";
    let Err(StoreError::Unavailable(Outage::Connection(text))) = crate::open(gone, Options::default()) else {
        panic!("{gone} was opened");
    };
    assert!(text.contains("store.url") && !text.contains("s3cr3t"), "{text}");
    let encrypted = format!("postgres://roomful@127.0.0.1:{port}/postgres?sslmode=require");
    assert!(
        crate::open(&encrypted, Options::default()).is_err(),
        "this server has no certificate"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_of_a_newer_version_is_refused() {
    let database = Database::new();
    database.open(Options::default()).close().await;
    let name = database.0.rsplit_once('/').unwrap().1;
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')";
    SERVER.sql(name, later).unwrap();
    let refused = crate::open(&database.0, Options::default()).err();
    assert!(
        matches!(
            &refused,
            Some(StoreError::Setup(text)) if text.contains("has schema 99, this version supports up to ")
        ),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_entry_that_is_refused_harms_no_other_of_its_flight() {
    let database = Database::new();
    let store = database.open(Options::default());
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    let name = database.0.rsplit_once('/').unwrap().1;
    SERVER
        .sql(name, "ALTER TABLE entries ADD CHECK (client_id <> 'bad')")
        .unwrap();
    // All are queued by the first poll; the first flies alone, the rest together.
    let (_, one, bad, two) = tokio::join!(
        store.append(vec![message(room, "0")]),
        store.append(vec![message(room, "1")]),
        store.append(vec![message(room, "bad")]),
        store.append(vec![message(room, "2")]),
    );
    assert_eq!(one, Ok(vec![Ok(Appended::New { seq: 2, at: 1 })]));
    assert!(matches!(bad, Err(StoreError::Internal(_))), "{bad:?}");
    assert_eq!(two, Ok(vec![Ok(Appended::New { seq: 3, at: 1 })]));
}
