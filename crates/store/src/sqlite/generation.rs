//! Detection of a restored database file. After a restore, sequence numbers that clients know will be given
//! to other entries, so every room gets a new epoch and clients reset.
//!
//! Each start of a server begins a generation of the log, named by a random token, in three steps. The
//! token is added to the watermark file beside the last one, then stored in the database; then the
//! watermark file is replaced by one without the last token. After a crash between any two steps the
//! watermark file still lists the database's token.

use std::{fs, io, path::Path};

use rusqlite::{Connection, TransactionBehavior};

use super::{column::Seq, connection, failure, rooms};
use crate::{
    RoomRow, StoreError,
    watermark_file::{self, Found, Watermark, WatermarkFile},
};

/// Token of a database that no server has used yet, as the watermark file spells it.
const NONE: &str = "none";

pub(super) struct Begun {
    pub(super) watermark: Watermark,
    /// Number of rooms with a new epoch, if they were renewed.
    pub(super) renewed: Option<u64>,
}

/// Begins a generation of the log. Renews all epochs if the file was restored, or if `force_renewal` is set.
pub(super) fn begin(conn: &mut Connection, path: &Path, force_renewal: bool) -> Result<Begun, StoreError> {
    let watermark_path = watermark_file::path(path);
    let setup = |error: io::Error| cannot_use(&watermark_path, &error);
    let found = watermark_file::read(&watermark_path).map_err(setup)?;
    let metadata = fs::metadata(path).map_err(|error| cannot_use(path, &error))?;
    let database = watermark_file::identity(&metadata);
    let stored = Stored::read(conn).map_err(|error| failure::from_sqlite(&error))?;
    let mismatch = mismatch(&found, &database, &stored);
    let renewing = force_renewal || mismatch.is_some();
    let next = Next {
        path: &watermark_path,
        database,
        stored: &stored,
        generation: RoomRow::new_epoch(),
    };
    let begun = if renewing {
        next.renew(conn)
    } else {
        next.resume(conn)
    };
    let renewed = match begun {
        Ok(renewed) => renewed,
        // The log and its watermark file agree and serve another run, so that reads work while the disk is
        // full.
        Err(error) if !renewing && matches!(found, Found::Intact(_)) => {
            tracing::warn!(%error, "failed to write a new generation of the log; continuing in the last one");
            None
        }
        Err(error) => return Err(connection::setup(path, &error)),
    };
    if let (Some(reason), Some(rooms)) = (mismatch, renewed) {
        tracing::warn!(
            database = %path.display(),
            rooms,
            "{reason}: it was restored, copied or moved. All rooms have new epochs; returning clients reset"
        );
    }
    let watermark = Watermark::open(&watermark_path).map_err(setup)?;
    Ok(Begun { watermark, renewed })
}

/// Generation and newest position stored in the database.
struct Stored {
    generation: String,
    position: u64,
}

impl Stored {
    fn read(conn: &Connection) -> rusqlite::Result<Self> {
        conn.query_row("SELECT generation, position FROM log_head", [], |row| {
            let generation: String = row.get(0)?;
            Ok(Self {
                generation: if generation.is_empty() {
                    NONE.to_owned()
                } else {
                    generation
                },
                position: row.get::<_, Seq>(1)?.0,
            })
        })
    }
}

/// Why the database is not the one the server last used, if it is not.
fn mismatch(found: &Found, database: &str, stored: &Stored) -> Option<&'static str> {
    match found {
        Found::Missing if stored.generation == NONE => None,
        Found::Missing => Some("the watermark file of the database is missing or damaged"),
        Found::Copied => Some("the watermark file of the database is a copy"),
        Found::Intact(file) if file.database != database => {
            Some("the database is another file than the one last used")
        }
        Found::Intact(file) if !file.generations.contains(&stored.generation) => {
            Some("the database is not in the state in which the server left it")
        }
        Found::Intact(file) if file.position > stored.position => {
            Some("the database lacks entries that were stored in it")
        }
        Found::Intact(_) => None,
    }
}

/// The generation that begins.
struct Next<'a> {
    path: &'a Path,
    database: String,
    stored: &'a Stored,
    generation: String,
}

type Begin = Result<Option<u64>, Box<dyn std::error::Error>>;

impl Next<'_> {
    fn resume(&self, conn: &mut Connection) -> Begin {
        self.write_file(&[&self.stored.generation, &self.generation])?;
        self.store(conn, |_| Ok(()))?;
        self.write_file(&[&self.generation])?;
        Ok(None)
    }

    /// Writes the database first: until it has new epochs, the watermark file must keep disagreeing with it.
    fn renew(&self, conn: &mut Connection) -> Begin {
        let rooms = self.store(conn, renew_epochs)?;
        self.write_file(&[&self.generation])?;
        Ok(Some(rooms))
    }

    fn write_file(&self, generations: &[&str]) -> io::Result<()> {
        let content = WatermarkFile {
            position: self.stored.position,
            database: self.database.clone(),
            generations: generations.iter().map(|&token| token.to_owned()).collect(),
        };
        watermark_file::write(self.path, &content)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
    }

    /// Applies a change and stores the new generation, in one transaction.
    fn store<T>(
        &self,
        conn: &mut Connection,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let changed = change(&transaction)?;
        transaction.execute("UPDATE log_head SET generation = ?1", [&self.generation])?;
        transaction.commit()?;
        Ok(changed)
    }
}

/// Invalidates everything clients know about the log. Returns the number of rooms.
fn renew_epochs(conn: &Connection) -> rusqlite::Result<u64> {
    conn.execute_batch("UPDATE log_head SET epoch = lower(hex(randomblob(4))); DELETE FROM sessions;")?;
    rooms::renew_epochs(conn)
}

fn cannot_use(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Setup(format!(
        "cannot use {}: {error}; make the server's user its owner",
        path.display()
    ))
}
