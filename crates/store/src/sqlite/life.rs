//! Whether the log goes on where it was left, or an older copy of its file was put in its place. In the latter case numbers
//! that clients know will be given to other entries, so every room gets a new epoch, and their syncs say `reset`.
//!
//! A life begins when a server takes the file up: a new token goes to the file beside the database, next to the last one;
//! then into the database; then the file beside gets a successor without the last one. Whichever of these steps a process
//! dies after, the token in the database is one that the file beside knows.

use std::{fs, io, path::Path};

use rusqlite::{Connection, TransactionBehavior};

use super::{column::Seq, connection, failure, rooms};
use crate::{
    RoomRow, StoreError,
    beside::{self, Beside, Found, Watermark},
};

/// The life of a log that has had none, as the file beside the database writes it.
const NONE: &str = "none";

pub(super) struct Begun {
    pub(super) watermark: Watermark,
    /// How many rooms have a new epoch, if they have.
    pub(super) renewed: Option<u64>,
}

/// Begins a life of the log, with new epochs if it is not the log that was left, or if that is `demanded`.
pub(super) fn begin(conn: &mut Connection, path: &Path, demanded: bool) -> Result<Begun, StoreError> {
    let beside_at = beside::path(path);
    let setup = |error: io::Error| cannot(&beside_at, &error);
    let found = beside::read(&beside_at).map_err(setup)?;
    let database = beside::identity(&fs::metadata(path).map_err(|error| cannot(path, &error))?);
    let now = Log::read(conn).map_err(|error| failure::from_sqlite(&error))?;
    let doubt = doubt(&found, &database, &now);
    let renewing = demanded || doubt.is_some();
    let next = Next {
        path: &beside_at,
        database,
        now: &now,
        life: RoomRow::new_epoch(),
    };
    let turned = if renewing {
        next.renew(conn)
    } else {
        next.go_on(conn)
    };
    let renewed = match turned {
        Ok(renewed) => renewed,
        // Nothing is wrong with the log, and what is beside it is good for another life: reads go on when the disk is full.
        Err(error) if !renewing && matches!(found, Found::Whole(_)) => {
            tracing::warn!(%error, "the log's new life can't be noted; it goes on with the last one");
            None
        }
        Err(error) => return Err(connection::setup(path, &error)),
    };
    if let (Some(what), Some(rooms)) = (doubt, renewed) {
        tracing::warn!(
            database = %path.display(),
            rooms,
            "{what}: it was restored, copied or moved. All rooms have new epochs: clients that come back are told to reset"
        );
    }
    let watermark = Watermark::open(&beside_at).map_err(setup)?;
    Ok(Begun { watermark, renewed })
}

/// What the database says of itself.
struct Log {
    life: String,
    pos: u64,
}

impl Log {
    fn read(conn: &Connection) -> rusqlite::Result<Self> {
        conn.query_row("SELECT life, pos FROM log", [], |row| {
            let life: String = row.get(0)?;
            Ok(Self {
                life: if life.is_empty() { NONE.to_owned() } else { life },
                pos: row.get::<_, Seq>(1)?.0,
            })
        })
    }
}

/// Why this is not the log that was left, if it is not.
fn doubt(found: &Found, database: &str, now: &Log) -> Option<&'static str> {
    match found {
        Found::Nothing if now.life == NONE => None,
        Found::Nothing => Some("the file that belongs beside the database is missing or damaged"),
        Found::Copy => Some("the file beside the database is a copy"),
        Found::Whole(beside) if beside.database != database => {
            Some("the database is another file than the one that was last used")
        }
        Found::Whole(beside) if !beside.lives.contains(&now.life) => {
            Some("the database is not as the server last left it")
        }
        Found::Whole(beside) if beside.pos > now.pos => {
            Some("the database lacks entries that were stored in it")
        }
        Found::Whole(_) => None,
    }
}

/// The life that begins.
struct Next<'a> {
    path: &'a Path,
    database: String,
    now: &'a Log,
    life: String,
}

type Turned = Result<Option<u64>, Box<dyn std::error::Error>>;

impl Next<'_> {
    fn go_on(&self, conn: &mut Connection) -> Turned {
        self.note(&[&self.now.life, &self.life])?;
        self.enter(conn, |_| Ok(()))?;
        self.note(&[&self.life])?;
        Ok(None)
    }

    /// The database first: until it has new epochs, what is beside it must go on to disagree.
    fn renew(&self, conn: &mut Connection) -> Turned {
        let rooms = self.enter(conn, renew)?;
        self.note(&[&self.life])?;
        Ok(Some(rooms))
    }

    fn note(&self, lives: &[&str]) -> io::Result<()> {
        let beside = Beside {
            pos: self.now.pos,
            database: self.database.clone(),
            lives: lives.iter().map(|&life| life.to_owned()).collect(),
        };
        beside::write(self.path, &beside)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
    }

    fn enter<T>(
        &self,
        conn: &mut Connection,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = change(&transaction)?;
        transaction.execute("UPDATE log SET life = ?1", [&self.life])?;
        transaction.commit()?;
        Ok(changed)
    }
}

/// Nothing that a client knows of this log holds any more. Answers how many rooms there are.
fn renew(conn: &Connection) -> rusqlite::Result<u64> {
    conn.execute_batch("UPDATE log SET epoch = lower(hex(randomblob(4))); DELETE FROM sessions;")?;
    rooms::renew_epochs(conn)
}

fn cannot(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Setup(format!(
        "cannot use {}: {error}; it has to belong to the server's user",
        path.display()
    ))
}
