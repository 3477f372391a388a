//! How many appends a second the store commits, and how many a bare loop on SQLite could with batches as
//! large.
//!
//! `cargo run --release -p roomful-store --example append_rate -- FOLDER [SENDERS] [SECONDS]`
//! measures the disk under FOLDER. With the URL of an empty PostgreSQL database in FOLDER's place, it
//! measures the store alone; with `postgres`, it does so on a server of its own.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use roomful_store::{EntryKind, NewEntry, Options, RoomId, Store};
use roomful_testkit::PostgresServer;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::{task::JoinSet, time::Instant};

type Failure = Box<dyn Error + Send + Sync>;

#[expect(clippy::print_stdout, reason = "the report")]
fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments
        .next()
        .ok_or("name a folder on the disk to measure, a database's URL, or postgres")?;
    let senders: usize = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let span = Duration::from_secs(arguments.next().map_or(Ok(5), |text| text.parse())?);

    if place.starts_with("postgres") {
        let server = (place == "postgres").then(PostgresServer::start).transpose()?;
        let url = server.as_ref().map_or(Ok(place), PostgresServer::new_database)?;
        let (rate, batch) = tokio::runtime::Runtime::new()?.block_on(store(&url, senders, span))?;
        println!("store on PostgreSQL, {senders} senders: {rate:.0} appends/s, {batch:.1} a commit");
        return Ok(());
    }
    let folder = PathBuf::from(place);
    let url = format!("sqlite:{}", fresh(&folder, "store.db")?.display());
    let (rate, batch) = tokio::runtime::Runtime::new()?.block_on(store(&url, senders, span))?;
    println!("store, {senders} senders: {rate:.0} appends/s, {batch:.1} a commit");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let batch = batch.round() as usize;
    println!(
        "bare loop, {batch} a commit: {:.0} appends/s",
        bare(&folder, batch, span)?
    );
    println!("bare loop, 1 a commit: {:.0} appends/s", bare(&folder, 1, span)?);
    Ok(())
}

/// Each sender waits for its answer before it sends again. Answers appends a second, and appends per commit.
async fn store(url: &str, senders: usize, span: Duration) -> Result<(f64, f64), Failure> {
    let recorder = DebuggingRecorder::new();
    let figures = recorder.snapshotter();
    let store = metrics::with_local_recorder(&recorder, || roomful_store::open(url, Options::default()))?;
    let room = store.open_room("room", true, 0).await?.ok_or("no room")?.id;
    mean_batch(&figures);

    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for sender in 0..senders {
        tasks.spawn(send(store.clone(), room, sender, started + span));
    }
    let mut sent = 0;
    while let Some(task) = tasks.join_next().await {
        sent += task??;
    }
    let rate = f64::from(sent) / started.elapsed().as_secs_f64();
    let batch = mean_batch(&figures);
    store.close().await;
    Ok((rate, batch))
}

async fn send(store: Arc<dyn Store>, room: RoomId, sender: usize, until: Instant) -> Result<u32, Failure> {
    let mut sent = 0;
    while Instant::now() < until {
        store
            .append(vec![entry(room, sender, sent)])
            .await?
            .pop()
            .ok_or("no answer")?
            .map_err(|why| format!("{why:?}"))?;
        sent += 1;
    }
    Ok(sent)
}

fn entry(room: RoomId, sender: usize, n: u32) -> NewEntry {
    NewEntry {
        room,
        kind: EntryKind::Message,
        target: None,
        user_id: format!("user-{sender}"),
        user_name: Some("Somebody".into()),
        client_id: Some(format!("client-id-{sender}-{n}")),
        body: format!("{{\"text\":\"{}\"}}", "x".repeat(138)),
        mentions: Vec::new(),
        at: 1_700_000_000_000,
        replacement: None,
        charged: false,
        exempt: false,
        as_member: false,
    }
}

/// The mean size of all batches since the last call.
fn mean_batch(figures: &Snapshotter) -> f64 {
    for (key, _, _, value) in figures.snapshot().into_vec() {
        if let DebugValue::Histogram(sizes) = value
            && key.key().name() == "roomful_store_batch_size"
        {
            let (sum, count) = sizes
                .iter()
                .fold((0.0, 0.0), |(sum, count), size| (sum + size.0, count + 1.0));
            return sum / count;
        }
    }
    f64::NAN
}

/// Inserts the same rows into the same tables in one thread, without callers.
fn bare(folder: &Path, batch: usize, span: Duration) -> Result<f64, Failure> {
    let mut conn = Connection::open(fresh(folder, "bare.db")?)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000;
         PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384;",
    )?;
    conn.execute_batch(include_str!("../migrations/sqlite/V1__schema.sql"))?;
    conn.execute(
        "INSERT INTO rooms (name, epoch, created_at) VALUES ('room', 'epoch', 0)",
        [],
    )?;
    let (mut head, started) = (0u32, Instant::now());
    while started.elapsed() < span {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for sender in 0..batch {
            head += 1;
            let NewEntry {
                user_id,
                user_name,
                client_id,
                body,
                at,
                ..
            } = entry(1, sender, head);
            transaction
                .prepare_cached(
                    "INSERT INTO entries (room_id, seq, kind, at, user_id, client_id, user_name, body,
                         position, messages, own_messages)
                     VALUES (1, ?1, 0, ?2, ?3, ?4, ?5, ?6, ?1, ?1, ?1)
                     ON CONFLICT (room_id, user_id, client_id) WHERE client_id IS NOT NULL DO NOTHING",
                )?
                .execute(params![head, at, user_id, client_id, user_name, body])?;
        }
        transaction
            .prepare_cached("UPDATE rooms SET head = ?1 WHERE id = 1")?
            .execute([head])?;
        transaction.commit()?;
    }
    Ok(f64::from(head) / started.elapsed().as_secs_f64())
}

fn fresh(folder: &Path, name: &str) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    for suffix in ["", "-wal", "-shm", "-watermark"] {
        match std::fs::remove_file(folder.join(format!("{name}{suffix}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(folder.join(name))
}
