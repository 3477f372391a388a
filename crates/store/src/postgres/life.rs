//! Whether the log goes on where it was left, or an older copy of the database was put in its place. In the latter case
//! numbers that clients know will be given to other entries, so every room gets a new epoch, and their syncs say `reset`.
//!
//! Each opening is a node with a row of its own, in which it keeps the newest position that it gave out. No other node moves
//! that, so when it is behind what the node itself remembers (in memory, or in a small file on its own disk), or gone, the
//! database went back. Whoever notices first begins another generation, under the lock of the order; the others see a
//! generation that is not theirs, and go on in it.
//!
//! A database that was put in its place, and not put back, is another matter: no node goes on in one that is not the one it
//! began with. What the node shares with others outside of it, such as a bus, goes by the database's identity.

mod place;

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use rand::RngExt as _;
use tokio_postgres::{Client, Row};

use self::place::{OnDisk, Place};
use super::{
    failure::Failure,
    patience::Patience,
    value::{Columns as _, num},
};
use crate::{LogHead, LogPosition, Outage};

/// What a node knows of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    generation: i64,
    epoch: String,
    /// The newest position that this node has heard of.
    pos: u64,
    /// The newest position that this node gave out.
    own: u64,
}

/// What the database says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    generation: i64,
    epoch: String,
    pub(super) pos: u64,
    /// What the node's row says that it gave out; `None` without such a row.
    own: Option<u64>,
    /// Which database says it.
    identity: String,
}

impl Said {
    /// Reads a row of [`SAID`] or [`SAID_LOCKED`], whichever database says it.
    fn read(row: &Row) -> Result<Self, Failure> {
        Ok(Self {
            generation: row.int(0)?,
            epoch: row.text(1)?,
            pos: row.num(2)?,
            own: row.opt_num(3)?,
            identity: row.text(4)?,
        })
    }

    fn known(&self) -> Known {
        Known {
            generation: self.generation,
            epoch: self.epoch.clone(),
            pos: self.pos,
            own: self.own.unwrap_or_default(),
        }
    }
}

/// What the database says to the node `$1`.
const SAID: &str =
    "SELECT l.generation, l.epoch, l.pos, (SELECT n.pos FROM nodes n WHERE n.id = $1), l.identity
    FROM log_order l WHERE l.id = 1";

/// Nobody else appends until the transaction ends.
const LOCK: &str = "SELECT 1 FROM log_order WHERE id = 1 FOR UPDATE";

/// What the database says, and nobody else appends until the transaction ends. If it had to wait for the lock, the node's own
/// place may be that of before: then the database seems to lack something that it has, and [`Life::look`] finds out.
pub(super) const SAID_LOCKED: &str =
    "SELECT l.generation, l.epoch, l.pos, (SELECT n.pos FROM nodes n WHERE n.id = $1), l.identity
    FROM log_order l WHERE l.id = 1 FOR UPDATE OF l";

/// How what the database says agrees with what a node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoesOn,
    /// Another node, or an operator, has begun another generation.
    Renewed,
    WentBack,
}

fn judge(known: &Known, said: &Said) -> Verdict {
    let ours = said.generation == known.generation && said.epoch == known.epoch;
    if said.generation < known.generation {
        Verdict::WentBack
    } else if !ours {
        Verdict::Renewed
    } else if said.pos < known.pos || said.own.is_none_or(|own| own < known.own) {
        Verdict::WentBack
    } else {
        Verdict::GoesOn
    }
}

/// The log as this node knows it.
pub(super) struct Life {
    /// Of the database.
    identity: String,
    /// The same for whoever has this database open, and no copy of it.
    whereabouts: String,
    /// Whether another one was met in its place. For good: what was done there meanwhile is not known.
    replaced: AtomicBool,
    node: i64,
    /// A visit keeps no row, and does not look whether the log was restored.
    guest: bool,
    known: Mutex<Known>,
    beside: Mutex<Option<OnDisk>>,
}

impl Life {
    pub(super) fn whereabouts(&self) -> &str {
        &self.whereabouts
    }

    /// Refuses, once another database was met in the place of this one.
    pub(super) fn stands(&self) -> Result<(), Outage> {
        if self.replaced.load(Ordering::Relaxed) {
            return Err(Outage::Replaced);
        }
        Ok(())
    }

    /// A database said who it is.
    pub(super) fn met(&self, identity: &str) -> Result<(), Outage> {
        if identity != self.identity && !self.replaced.swap(true, Ordering::Relaxed) {
            tracing::error!(began = self.identity, now = identity, "{}", Outage::Replaced);
        }
        self.stands()
    }

    /// Reads a row of [`SAID`] or [`SAID_LOCKED`], if it is this database that says it.
    pub(super) fn read(&self, row: &Row) -> Result<Said, Failure> {
        let said = Said::read(row)?;
        self.met(&said.identity)?;
        Ok(said)
    }

    /// The node's id.
    pub(super) fn node(&self) -> i64 {
        self.node
    }

    pub(super) fn is_guest(&self) -> bool {
        self.guest
    }

    pub(super) fn log_head(&self) -> LogHead {
        let known = self.known.lock();
        LogHead {
            epoch: known.epoch.clone(),
            position: LogPosition(known.pos),
        }
    }

    /// A position that another node may have given out was read. Answers whether it can follow what is known.
    pub(super) fn heard(&self, head: &LogHead) -> bool {
        let mut known = self.known.lock();
        let follows = known.epoch == head.epoch && known.pos <= head.position.0;
        if follows {
            known.pos = head.position.0;
        }
        // One that was read while this node went on is behind, and tells nothing by that: `look` finds out.
        follows
    }

    /// This node's append up to `pos` is committed. Before anybody hears of it: a client never knows more than what is noted
    /// outside the database.
    pub(super) fn gave_out(&self, pos: u64) {
        if let Some(beside) = &mut *self.beside.lock() {
            beside.watermark.rise(pos);
        }
        let mut known = self.known.lock();
        known.own = pos;
        known.pos = known.pos.max(pos);
    }

    /// The store is closed: another process may serve from the folder.
    pub(super) fn let_go(&self) {
        self.beside.lock().take();
    }

    /// Whether an append may go on from what the database says.
    pub(super) fn agrees(&self, said: &Said) -> bool {
        self.guest || judge(&self.known.lock(), said) == Verdict::GoesOn
    }

    /// Compares what the database says with what is known, and does what follows.
    pub(super) async fn look(&self, client: &Client, patience: Patience) -> Result<(), Failure> {
        let said = self.ask(client, patience).await?;
        if self.agrees(&said) {
            return Ok(());
        }
        patience.wait(client.batch_execute("BEGIN")).await?;
        // Only under the lock nothing moves: what was read before may have been behind an append of our own. The lock first,
        // then what it is about: a statement that has waited for a lock sees the locked row as it is, and all other rows as
        // they were when it began.
        patience.wait(client.query_one(LOCK, &[])).await?;
        let said = self.ask(client, patience).await?;
        let known = self.known.lock().clone();
        let now = match judge(&known, &said) {
            Verdict::GoesOn => return patience.wait(client.batch_execute("COMMIT")).await,
            Verdict::Renewed => said.known(),
            Verdict::WentBack => {
                let renewed = renew(client, known.generation, &said).await?;
                warn(renewed.rooms);
                renewed.known
            }
        };
        enter(client, self.node, now.pos, patience).await?;
        patience.wait(client.batch_execute("COMMIT")).await?;
        self.take_up(Known { own: now.pos, ..now })
    }

    async fn ask(&self, client: &Client, patience: Patience) -> Result<Said, Failure> {
        self.read(&patience.wait(client.query_one(SAID, &[&self.node])).await?)
    }

    fn take_up(&self, now: Known) -> Result<(), Failure> {
        let mut known = self.known.lock();
        if let Some(beside) = &mut *self.beside.lock() {
            beside.note(&self.identity, self.node, &now)?;
        }
        *known = now;
        Ok(())
    }
}

/// What [`begin`] is asked for.
pub(super) struct Beginning<'a> {
    /// The folder in which this node keeps its file, if it does.
    pub(super) folder: Option<&'a Path>,
    pub(super) guest: bool,
    /// Whether to renew whatever is found.
    pub(super) demanded: bool,
    pub(super) patience: Patience,
}

/// Which database this is, and where it lies: a copy has the same identity, but another name or another server. One that was
/// restored lies where the first did, and so does one that a standby has taken over.
async fn whereabouts(client: &Client, patience: Patience) -> Result<String, Failure> {
    const MAY_ASK: &str = "SELECT has_function_privilege('pg_control_system()', 'execute')";
    const SQL: &str = "SELECT md5(concat_ws(' ', l.identity, current_database(), s.system_identifier))
        FROM log_order l, pg_control_system() s WHERE l.id = 1";
    const WITHOUT_SERVER: &str =
        "SELECT md5(concat_ws(' ', identity, current_database())) FROM log_order WHERE id = 1";
    let may_ask = patience.wait(client.query_one(MAY_ASK, &[])).await?.try_get(0)?;
    let sql = if may_ask { SQL } else { WITHOUT_SERVER };
    patience.wait(client.query_one(sql, &[])).await?.text(0)
}

/// Enters this opening as a node, with new epochs if the log is not the one that was left. Also answers how many rooms have
/// one, if they have.
pub(super) async fn begin(client: &Client, ask: Beginning<'_>) -> Result<(Life, Option<u64>), Failure> {
    const IDENTITY_LOCKED: &str = "SELECT identity FROM log_order WHERE id = 1 FOR UPDATE";
    let node = i64::from(rand::rng().random::<u32>()) << 31 | i64::from(rand::rng().random::<u32>() >> 1);
    let patience = ask.patience;
    let whereabouts = whereabouts(client, patience).await?;
    if ask.guest {
        let said = Said::read(&patience.wait(client.query_one(SAID, &[&node])).await?)?;
        let known = said.known();
        let life = Life {
            identity: said.identity,
            whereabouts,
            replaced: AtomicBool::new(false),
            node,
            guest: true,
            known: Mutex::new(known),
            beside: Mutex::new(None),
        };
        return Ok((life, None));
    }
    let begun = client.batch_execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 60000");
    patience.wait(begun).await?;
    let identity: String = patience
        .wait(client.query_one(IDENTITY_LOCKED, &[]))
        .await?
        .try_get(0)?;
    let place = ask
        .folder
        .map(|folder| Place::take(folder, &identity))
        .transpose()?;
    let before = place.as_ref().map(Place::read).transpose()?.flatten();
    let asked_as = before.as_ref().map_or(node, |before| before.node);
    let said = patience.wait(client.query_one(SAID_LOCKED, &[&asked_as])).await?;
    let said = Said::read(&said)?;
    let doubted = before.as_ref().is_some_and(|before| {
        let forgotten = said.own.is_none() && before.is_old;
        !forgotten && judge(&before.known, &said) == Verdict::WentBack
    });
    let generation = before.as_ref().map_or(0, |before| before.known.generation);
    let (now, rooms) = if doubted || ask.demanded {
        let renewed = renew(client, generation, &said).await?;
        (renewed.known, Some(renewed.rooms))
    } else {
        (said.known(), None)
    };
    enter(client, node, now.pos, patience).await?;
    if let Some(before) = &before {
        super::nodes::end(client, before.node, patience).await?;
    }
    patience.wait(client.batch_execute("COMMIT")).await?;
    if doubted {
        warn(rooms.unwrap_or_default());
    }
    let now = Known { own: now.pos, ..now };
    let beside = place.map(|place| place.hold(node, &now)).transpose()?;
    if let Some(before) = before {
        // Only now: until the file named its successor, its absence would have told of a restore.
        super::nodes::forget(client, before.node, patience).await?;
    }
    let life = Life {
        identity,
        whereabouts,
        replaced: AtomicBool::new(false),
        node,
        guest: false,
        known: Mutex::new(now),
        beside: Mutex::new(beside),
    };
    Ok((life, rooms))
}

fn warn(rooms: u64) {
    tracing::warn!(
        rooms,
        "the database lacks entries that were stored in it: it was restored. All rooms have new epochs: clients that come back are told to reset"
    );
}

/// The node has a row that says how far the order has come.
async fn enter(client: &Client, node: i64, pos: u64, patience: Patience) -> Result<(), Failure> {
    const SQL: &str = "INSERT INTO nodes (id, pos, alive_at) VALUES ($1, $2, 0)
        ON CONFLICT (id) DO UPDATE SET pos = excluded.pos, seen = clock_timestamp(), ended = false";
    let pos = num(pos);
    patience.wait(client.execute(SQL, &[&node, &pos])).await.map(drop)
}

struct Renewed {
    known: Known,
    rooms: u64,
}

/// Nothing that a client knows of this log holds any more.
async fn renew(client: &Client, known_generation: i64, said: &Said) -> Result<Renewed, Failure> {
    // 16 URL-safe characters of 90 random bits.
    const ROOMS: &str = "UPDATE rooms SET epoch =
        translate(encode(substr(uuid_send(gen_random_uuid()), 1, 12), 'base64'), '+/', '-_')";
    let generation = known_generation.max(said.generation) + 1;
    let epoch = format!("{:08x}", rand::rng().random::<u32>());
    let log = "UPDATE log_order SET generation = $1, epoch = $2 WHERE id = 1";
    let patience = Patience::LONG;
    let limit = format!("SET LOCAL statement_timeout = {}", patience.0.as_millis());
    patience.wait(client.batch_execute(&limit)).await?;
    patience.wait(client.execute(log, &[&generation, &epoch])).await?;
    let rooms = patience.wait(client.execute(ROOMS, &[])).await?;
    patience.wait(client.execute("DELETE FROM sessions", &[])).await?;
    let known = Known {
        generation,
        epoch,
        pos: said.pos,
        own: said.pos,
    };
    Ok(Renewed { known, rooms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_else_moves_tells_of_a_restore() {
        let known = Known {
            generation: 3,
            epoch: "e3".into(),
            pos: 20,
            own: 10,
        };
        let said = |generation, epoch: &str, pos, own| Said {
            generation,
            epoch: epoch.into(),
            pos,
            own,
            identity: "d".into(),
        };
        let cases = [
            (said(3, "e3", 20, Some(10)), Verdict::GoesOn),
            (said(3, "e3", 90, Some(11)), Verdict::GoesOn),
            (said(3, "e3", 19, Some(10)), Verdict::WentBack),
            // Others have gone on after the restore.
            (said(3, "e3", 90, Some(9)), Verdict::WentBack),
            (said(3, "e3", 90, None), Verdict::WentBack),
            // Others have noticed it.
            (said(4, "e4", 5, None), Verdict::Renewed),
            (said(3, "other", 5, Some(5)), Verdict::Renewed),
            // From before a generation that is known.
            (said(2, "e2", 90, Some(90)), Verdict::WentBack),
        ];
        for (said, verdict) in cases {
            assert_eq!(judge(&known, &said), verdict, "{said:?}");
        }
    }
}
