//! Detection of a restored or replaced database. After a restore, sequence numbers that clients know will
//! be given to other entries, so every room gets a new epoch and clients reset.
//!
//! Each opening of the store is a node with its own row, which holds the newest position that the node
//! appended. No other node changes it. If it is missing, or behind what the node remembers (in memory or in
//! its file), the database was restored. The first node that notices begins a new generation under the lock
//! of the log head; the others see a generation that is not theirs and continue in it.
//!
//! A database that was replaced by another one, rather than restored, is refused: no node continues in a
//! database with another identity. Names that nodes share outside the database, such as bus topics, derive
//! from the identity.

mod node_file;

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use rand::RngExt as _;
use tokio_postgres::{Client, Row};

use self::node_file::{NodeFile, OpenNodeFile};
use super::{
    answer_timeout::AnswerTimeout,
    conn::Conn,
    failure::Failure,
    value::{Columns as _, num},
};
use crate::{LogHead, LogPosition, Outage};

/// What a node remembers of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remembered {
    generation: i64,
    epoch: String,
    /// Newest position that this node has read or appended.
    position: u64,
    /// Newest position that this node has appended.
    own: u64,
}

/// The log head as stored in the database, with the node's own row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredState {
    generation: i64,
    epoch: String,
    pub(super) position: u64,
    /// Newest position in the node's row; `None` without such a row.
    own: Option<u64>,
    /// Identity of the database.
    identity: String,
}

impl StoredState {
    /// Reads a row of [`STORED_STATE`] or [`STORED_STATE_LOCKED`], of whichever database.
    fn read(row: &Row) -> Result<Self, Failure> {
        Ok(Self {
            generation: row.int(0)?,
            epoch: row.text(1)?,
            position: row.num(2)?,
            own: row.opt_num(3)?,
            identity: row.text(4)?,
        })
    }

    fn remembered(&self) -> Remembered {
        Remembered {
            generation: self.generation,
            epoch: self.epoch.clone(),
            position: self.position,
            own: self.own.unwrap_or_default(),
        }
    }
}

/// The stored state for node `$1`.
const STORED_STATE: &str =
    "SELECT l.generation, l.epoch, l.position, (SELECT n.position FROM nodes n WHERE n.id = $1), l.identity
    FROM log_head l WHERE l.id = 1";

/// Blocks all appends until the transaction ends.
pub(super) const LOCK: &str = "SELECT 1 FROM log_head WHERE id = 1 FOR UPDATE";

/// The stored state for node `$1`; blocks all appends until the transaction ends. If the statement had to
/// wait for the lock, the node's own position may be older than the lock. The database then seems to lack
/// an entry that it has, which [`LogState::verify`] resolves.
pub(super) const STORED_STATE_LOCKED: &str =
    "SELECT l.generation, l.epoch, l.position, (SELECT n.position FROM nodes n WHERE n.id = $1), l.identity
    FROM log_head l WHERE l.id = 1 FOR UPDATE OF l";

/// Result of comparing the stored state with what a node remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Continues,
    /// Another node, or an operator, has begun another generation.
    Renewed,
    /// The database was restored from an older copy.
    Restored,
}

fn judge(remembered: &Remembered, stored: &StoredState) -> Verdict {
    let same = stored.generation == remembered.generation && stored.epoch == remembered.epoch;
    if stored.generation < remembered.generation {
        Verdict::Restored
    } else if !same {
        Verdict::Renewed
    } else if stored.position < remembered.position || stored.own.is_none_or(|own| own < remembered.own) {
        Verdict::Restored
    } else {
        Verdict::Continues
    }
}

/// The log as this node knows it.
pub(super) struct LogState {
    /// Identity of the database.
    identity: String,
    /// Digest of the identity and of where the database lies: equal for all nodes, different for a copy.
    location: String,
    /// Whether another database was found in place of this one. Never reset: writes to the other one are
    /// unknown here.
    replaced: AtomicBool,
    node: i64,
    /// A guest keeps no row and does not detect restores.
    guest: bool,
    remembered: Mutex<Remembered>,
    /// Locked after `remembered` where both are locked.
    file: Mutex<Option<OpenNodeFile>>,
}

impl LogState {
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Fails once another database was found in place of this one.
    pub(super) fn check_not_replaced(&self) -> Result<(), Outage> {
        if self.replaced.load(Ordering::Relaxed) {
            return Err(Outage::Replaced);
        }
        Ok(())
    }

    /// Compares the identity that a database reports with the expected one.
    pub(super) fn check_identity(&self, identity: &str) -> Result<(), Outage> {
        if identity != self.identity && !self.replaced.swap(true, Ordering::Relaxed) {
            tracing::error!(expected = self.identity, found = identity, "{}", Outage::Replaced);
        }
        self.check_not_replaced()
    }

    /// Reads a row of [`STORED_STATE`] or [`STORED_STATE_LOCKED`]. Fails if it comes from another database.
    pub(super) fn read(&self, row: &Row) -> Result<StoredState, Failure> {
        let stored = StoredState::read(row)?;
        self.check_identity(&stored.identity)?;
        Ok(stored)
    }

    pub(super) fn node(&self) -> i64 {
        self.node
    }

    pub(super) fn is_guest(&self) -> bool {
        self.guest
    }

    pub(super) fn log_head(&self) -> LogHead {
        let remembered = self.remembered.lock();
        LogHead {
            epoch: remembered.epoch.clone(),
            position: LogPosition(remembered.position),
        }
    }

    /// Records a position that was read from the database. Returns whether it can follow the remembered
    /// one. A position that was read while this node appended is behind and proves nothing:
    /// [`Self::verify`] decides.
    pub(super) fn observe(&self, head: &LogHead) -> bool {
        let mut remembered = self.remembered.lock();
        let follows = remembered.epoch == head.epoch && remembered.position <= head.position.0;
        if follows {
            remembered.position = head.position.0;
        }
        follows
    }

    /// Records a committed append of this node. Called before the append is answered, so that no client
    /// knows a position that is not recorded outside the database.
    pub(super) fn committed(&self, position: u64) {
        if let Some(file) = &mut *self.file.lock() {
            file.watermark.advance(position);
        }
        let mut remembered = self.remembered.lock();
        remembered.own = position;
        remembered.position = remembered.position.max(position);
    }

    /// Releases the data folder for another process.
    pub(super) fn release(&self) {
        self.file.lock().take();
    }

    /// Fails if the node's file in its data folder was removed.
    pub(super) async fn check_file(&self) -> Result<(), Outage> {
        let path = self.file.lock().as_ref().map(|file| file.path().to_owned());
        let Some(path) = path else { return Ok(()) };
        let exists = tokio::task::spawn_blocking(move || path.exists()).await;
        if exists.unwrap_or(false) {
            return Ok(());
        }
        let gone = "the watermark file in the data folder was removed; restart the server";
        Err(Outage::Io(gone.into()))
    }

    /// Whether an append may continue from the stored state.
    pub(super) fn matches(&self, stored: &StoredState) -> bool {
        self.guest || judge(&self.remembered.lock(), stored) == Verdict::Continues
    }

    /// Like [`Self::verify`], over a connection of the pool.
    pub(super) async fn verify_over(&self, conn: &Conn) -> Result<(), Failure> {
        conn.run_raw(self.verify(conn.client()?, conn.answer_timeout()))
            .await
    }

    /// Compares the stored state with the remembered one. Adopts a new generation, or begins one after a
    /// restore.
    pub(super) async fn verify(&self, client: &Client, answer_timeout: AnswerTimeout) -> Result<(), Failure> {
        let stored = self.query(client, answer_timeout).await?;
        if self.matches(&stored) {
            return Ok(());
        }
        answer_timeout.wait(client.batch_execute("BEGIN")).await?;
        // Without the lock, an append of this node may have overtaken the read above. The lock is a
        // statement of its own: a statement that waits for a lock sees the locked row as it is, but all
        // other rows as they were before.
        answer_timeout.wait(client.query_one(LOCK, &[])).await?;
        let stored = self.query(client, answer_timeout).await?;
        let remembered = self.remembered.lock().clone();
        let next = match judge(&remembered, &stored) {
            Verdict::Continues => return answer_timeout.wait(client.batch_execute("COMMIT")).await,
            Verdict::Renewed => stored.remembered(),
            Verdict::Restored => {
                let renewed = renew(client, remembered.generation, &stored).await?;
                warn_restored(renewed.rooms);
                renewed.remembered
            }
        };
        write_node(client, self.node, next.position, answer_timeout).await?;
        answer_timeout.wait(client.batch_execute("COMMIT")).await?;
        self.adopt(Remembered {
            own: next.position,
            ..next
        })
    }

    async fn query(&self, client: &Client, answer_timeout: AnswerTimeout) -> Result<StoredState, Failure> {
        let row = answer_timeout
            .wait(client.query_one(STORED_STATE, &[&self.node]))
            .await?;
        self.read(&row)
    }

    fn adopt(&self, next: Remembered) -> Result<(), Failure> {
        let mut remembered = self.remembered.lock();
        if let Some(file) = &mut *self.file.lock() {
            file.write(&self.identity, self.node, &next)?;
        }
        *remembered = next;
        Ok(())
    }
}

/// Arguments of [`open`].
pub(super) struct OpenNode<'a> {
    /// Folder for the node's file, if it keeps one.
    pub(super) folder: Option<&'a Path>,
    pub(super) guest: bool,
    /// Whether to begin a new generation in any case.
    pub(super) force_renewal: bool,
    pub(super) answer_timeout: AnswerTimeout,
}

/// Digest of the database's identity, name and server. A copy has the same identity, but another name or
/// server; a restored database, or a standby that took over, has the same of all three.
async fn location(client: &Client, answer_timeout: AnswerTimeout) -> Result<String, Failure> {
    const MAY_ASK: &str = "SELECT has_function_privilege('pg_control_system()', 'execute')";
    const SQL: &str = "SELECT md5(concat_ws(' ', l.identity, current_database(), s.system_identifier))
        FROM log_head l, pg_control_system() s WHERE l.id = 1";
    const WITHOUT_SERVER: &str =
        "SELECT md5(concat_ws(' ', identity, current_database())) FROM log_head WHERE id = 1";
    let may_ask = answer_timeout
        .wait(client.query_one(MAY_ASK, &[]))
        .await?
        .try_get(0)?;
    let sql = if may_ask { SQL } else { WITHOUT_SERVER };
    answer_timeout.wait(client.query_one(sql, &[])).await?.text(0)
}

/// Registers this opening as a node. Begins a new generation if the log was restored. Also returns the
/// number of rooms with a new epoch, if they were renewed.
pub(super) async fn open(client: &Client, node: OpenNode<'_>) -> Result<(LogState, Option<u64>), Failure> {
    const IDENTITY_LOCKED: &str = "SELECT identity FROM log_head WHERE id = 1 FOR UPDATE";
    let id = i64::from(rand::rng().random::<u32>()) << 31 | i64::from(rand::rng().random::<u32>() >> 1);
    let answer_timeout = node.answer_timeout;
    let location = location(client, answer_timeout).await?;
    if node.guest {
        let row = answer_timeout
            .wait(client.query_one(STORED_STATE, &[&id]))
            .await?;
        let stored = StoredState::read(&row)?;
        let remembered = stored.remembered();
        let state = LogState {
            identity: stored.identity,
            location,
            replaced: AtomicBool::new(false),
            node: id,
            guest: true,
            remembered: Mutex::new(remembered),
            file: Mutex::new(None),
        };
        return Ok((state, None));
    }
    let begin = client.batch_execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 60000");
    answer_timeout.wait(begin).await?;
    let identity: String = answer_timeout
        .wait(client.query_one(IDENTITY_LOCKED, &[]))
        .await?
        .try_get(0)?;
    let file = node
        .folder
        .map(|folder| NodeFile::lock(folder, &identity))
        .transpose()?;
    let previous = file.as_ref().map(NodeFile::read).transpose()?.flatten();
    let asked_as = previous.as_ref().map_or(id, |previous| previous.node);
    let stored = answer_timeout
        .wait(client.query_one(STORED_STATE_LOCKED, &[&asked_as]))
        .await?;
    let stored = StoredState::read(&stored)?;
    let restored = previous.as_ref().is_some_and(|previous| {
        let expired = stored.own.is_none() && previous.is_old;
        !expired && judge(&previous.remembered, &stored) == Verdict::Restored
    });
    let generation = previous
        .as_ref()
        .map_or(0, |previous| previous.remembered.generation);
    let (next, rooms) = if restored || node.force_renewal {
        let renewed = renew(client, generation, &stored).await?;
        (renewed.remembered, Some(renewed.rooms))
    } else {
        (stored.remembered(), None)
    };
    write_node(client, id, next.position, answer_timeout).await?;
    if let Some(previous) = &previous {
        super::nodes::end(client, previous.node, answer_timeout).await?;
    }
    answer_timeout.wait(client.batch_execute("COMMIT")).await?;
    if restored {
        warn_restored(rooms.unwrap_or_default());
    }
    let next = Remembered {
        own: next.position,
        ..next
    };
    let file = file.map(|file| file.open(id, &next)).transpose()?;
    if let Some(previous) = previous {
        // Only after the file names the new node: until then a missing row would look like a restore.
        super::nodes::forget(client, previous.node, answer_timeout).await?;
    }
    let state = LogState {
        identity,
        location,
        replaced: AtomicBool::new(false),
        node: id,
        guest: false,
        remembered: Mutex::new(next),
        file: Mutex::new(file),
    };
    Ok((state, rooms))
}

fn warn_restored(rooms: u64) {
    tracing::warn!(
        rooms,
        "the database lacks entries that were stored in it: it was restored. All rooms have new epochs; \
         returning clients reset"
    );
}

/// Creates or updates the node's row.
async fn write_node(
    client: &Client,
    node: i64,
    position: u64,
    answer_timeout: AnswerTimeout,
) -> Result<(), Failure> {
    const SQL: &str = "INSERT INTO nodes (id, position, alive_at) VALUES ($1, $2, 0)
        ON CONFLICT (id) DO UPDATE
        SET position = excluded.position, seen_at = clock_timestamp(), ended = false";
    let position = num(position);
    answer_timeout
        .wait(client.execute(SQL, &[&node, &position]))
        .await
        .map(drop)
}

struct Renewed {
    remembered: Remembered,
    rooms: u64,
}

/// Begins a new generation: invalidates everything clients know about the log.
async fn renew(
    client: &Client,
    remembered_generation: i64,
    stored: &StoredState,
) -> Result<Renewed, Failure> {
    // 16 URL-safe characters with 90 random bits.
    const ROOMS: &str = "UPDATE rooms SET epoch =
        translate(encode(substr(uuid_send(gen_random_uuid()), 1, 12), 'base64'), '+/', '-_')";
    const LOG: &str = "UPDATE log_head SET generation = $1, epoch = $2 WHERE id = 1";
    let generation = remembered_generation.max(stored.generation) + 1;
    let epoch = format!("{:08x}", rand::rng().random::<u32>());
    let answer_timeout = AnswerTimeout::LONG;
    let limit = format!("SET LOCAL statement_timeout = {}", answer_timeout.0.as_millis());
    answer_timeout.wait(client.batch_execute(&limit)).await?;
    answer_timeout
        .wait(client.execute(LOG, &[&generation, &epoch]))
        .await?;
    let rooms = answer_timeout.wait(client.execute(ROOMS, &[])).await?;
    answer_timeout
        .wait(client.execute("DELETE FROM sessions", &[]))
        .await?;
    let remembered = Remembered {
        generation,
        epoch,
        position: stored.position,
        own: stored.position,
    };
    Ok(Renewed { remembered, rooms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_own_position_reveals_a_restore() {
        let remembered = Remembered {
            generation: 3,
            epoch: "e3".into(),
            position: 20,
            own: 10,
        };
        let stored = |generation, epoch: &str, position, own| StoredState {
            generation,
            epoch: epoch.into(),
            position,
            own,
            identity: "d".into(),
        };
        let cases = [
            (stored(3, "e3", 20, Some(10)), Verdict::Continues),
            (stored(3, "e3", 90, Some(11)), Verdict::Continues),
            (stored(3, "e3", 19, Some(10)), Verdict::Restored),
            // Other nodes have appended after the restore.
            (stored(3, "e3", 90, Some(9)), Verdict::Restored),
            (stored(3, "e3", 90, None), Verdict::Restored),
            // Other nodes have noticed the restore.
            (stored(4, "e4", 5, None), Verdict::Renewed),
            (stored(3, "other", 5, Some(5)), Verdict::Renewed),
            // A generation older than the remembered one.
            (stored(2, "e2", 90, Some(90)), Verdict::Restored),
        ];
        for (stored, verdict) in cases {
            assert_eq!(judge(&remembered, &stored), verdict, "{stored:?}");
        }
    }
}
