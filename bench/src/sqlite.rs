//! SQLite without a server: a bare append loop as a reference, and prefilled stores.

use std::path::Path;
use std::time::Duration;

use roomful_store::Options;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::clock;
use crate::error::BenchError;
use crate::progress;

/// Messages per room in a prefilled store: Roomful's default history limit.
const PER_ROOM: u32 = 10_000;
/// Rows per commit while prefilling.
const FILL_BATCH: u32 = 10_000;

/// Appends rows like those of chat messages, `batch` per commit, round robin over the rooms, with WAL and
/// FULL. Returns rows per second.
pub(crate) fn bare(folder: &Path, rooms: u32, batch: u32, span: Duration) -> Result<f64, BenchError> {
    let names: Vec<_> = (0..rooms).map(|room| format!("room-{room}")).collect();
    let mut db = open(&folder.join("bare.db"), &names)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    let (mut heads, mut done, start) = (vec![0; names.len()], 0, clock::now());
    let end = start + clock::nanos(span);
    let mut next = (0..names.len()).cycle();
    while clock::now() < end {
        let transaction = begin(&mut db)?;
        for room in next.by_ref().take(batch as usize) {
            rows(&transaction, &names[room], heads[room], 1).map_err(sql)?;
            heads[room] += 1;
        }
        transaction.commit().map_err(sql)?;
        done += batch;
    }
    Ok(f64::from(done) / clock::seconds(clock::now() - start))
}

/// Creates Roomful's database in `data` with `messages` messages.
pub(crate) fn fill(data: &Path, messages: usize) -> Result<(), BenchError> {
    if messages == 0 {
        return Ok(());
    }
    std::fs::create_dir_all(data).map_err(BenchError::file(data))?;
    let rooms: Vec<_> = (0..messages.div_ceil(PER_ROOM as usize))
        .map(|room| format!("room-{room}"))
        .collect();
    let mut db = open(&data.join("roomful.db"), &rooms)?;
    for (done, room) in rooms.iter().enumerate() {
        for head in (0..PER_ROOM).step_by(FILL_BATCH as usize) {
            append(&mut db, room, head, FILL_BATCH)?;
        }
        progress::count("rooms filled", done + 1, rooms.len());
    }
    Ok(())
}

/// A database with Roomful's schema and these rooms.
fn open(file: &Path, rooms: &[String]) -> Result<Connection, BenchError> {
    let url = format!("sqlite:{}", file.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BenchError::file(file))?;
    runtime
        .block_on(async {
            let store = roomful_store::open(&url, Options::default())?;
            for room in rooms {
                store.open_room(room, true, 0).await?;
            }
            store.close().await;
            Ok(())
        })
        .map_err(|error: roomful_store::StoreError| BenchError::Bare(error.to_string()))?;
    let db = Connection::open(file).map_err(sql)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 2000;
         PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384;",
    )
    .map_err(sql)?;
    Ok(db)
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>, BenchError> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sql)
}

fn append(db: &mut Connection, room: &str, head: u32, count: u32) -> Result<(), BenchError> {
    let transaction = begin(db)?;
    rows(&transaction, room, head, count).map_err(sql)?;
    transaction.commit().map_err(sql)
}

fn rows(transaction: &Transaction<'_>, room: &str, head: u32, count: u32) -> rusqlite::Result<()> {
    const AT: i64 = 1_700_000_000_000;
    const USERS: u32 = 64;
    let mut find = transaction.prepare_cached("SELECT id FROM rooms WHERE name = ?1")?;
    let id: i64 = find.query_row([room], |row| row.get(0))?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO entries (room_id, seq, kind, at, user_id, position, client_id, user_name, body, messages,
             own_messages)
         VALUES (?1, ?2, 0, ?3, ?4, 0, ?5, ?4, ?6, ?2, ?7)
         ON CONFLICT (room_id, user_id, client_id) WHERE client_id IS NOT NULL DO NOTHING",
    )?;
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(120));
    for seq in head + 1..=head + count {
        let user = format!("user-{}", seq % USERS);
        let client_id = format!("client-id-{seq}");
        insert.execute(params![id, seq, AT, user, client_id, body, seq.div_ceil(USERS)])?;
    }
    let mut update = transaction.prepare_cached(
        "UPDATE rooms SET head = ?1, last_message = ?1, active_position = ?1, messages = ?1 WHERE id = ?2",
    )?;
    update.execute(params![head + count, id])?;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "map_err gives the error away")]
fn sql(error: rusqlite::Error) -> BenchError {
    BenchError::Bare(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefilled_store_has_the_requested_messages() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 20_000).unwrap();
        let db = Connection::open(folder.path().join("roomful.db")).unwrap();
        let count: i64 = db
            .query_row("SELECT count(*) FROM entries", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 20_000);
    }
}
