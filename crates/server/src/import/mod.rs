//! The import of rooms, members and messages from a file, with their times and ids.
//!
//! It reads the file three times. `scan` checks every line against the store; `writer` appends the messages,
//! then adds members with their read marks. A second run changes nothing, and a run after an interruption
//! continues.
//!
//! | file | content |
//! |---|---|
//! | `record` | the lines of the file |
//! | `room_ids` | finds equal ids of members and messages |
//! | `scan` | checks the file; which messages of each room to append |
//! | `writer` | writes rooms, messages and members |

mod record;
mod room_ids;
mod scan;
mod writer;

use std::{fmt, io, path::PathBuf, sync::Arc};

use roomful_chat::Limits;
use roomful_store::{Retention, Store, StoreError};

use self::{scan::Scan, writer::Writer};
use crate::json_reason::json_reason;

/// What to import, and where to.
pub(crate) struct Import {
    pub(crate) file: PathBuf,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) limits: Limits,
    pub(crate) retention: Retention,
    /// The current time, in milliseconds since 1970.
    pub(crate) now: i64,
    /// Whether to write nothing.
    pub(crate) check_only: bool,
}

/// The numbers of imported and skipped rows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) rooms: u64,
    pub(crate) members: u64,
    pub(crate) messages: u64,
    /// Messages that an earlier run imported.
    pub(crate) present: u64,
    /// Messages that retention by age would delete.
    pub(crate) too_old: u64,
    /// Messages that retention by number would delete.
    pub(crate) too_many: u64,
    /// Messages of rooms that have other messages already.
    pub(crate) in_use: u64,
    /// Replies without a link to their message.
    pub(crate) replies: u64,
    /// Read marks that name a message that the file does not have.
    pub(crate) lost_marks: u64,
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("line {line}: {what}")]
    Line { line: u64, what: String },
    #[error(
        "the id {id:?} belongs to messages of several users in the room {room:?}, so a replyTo or lastRead \
         cannot name it; give them different ids"
    )]
    Ambiguous { room: String, id: String },
    #[error("failed to read the file: {0}")]
    Read(#[from] io::Error),
    #[error("another process writes to the store; stop the server, and run the import again")]
    NotAlone,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// A line that is no JSON, or no record.
    fn json(line: u64, error: &serde_json::Error) -> Self {
        let what = json_reason(error);
        Self::line(line, format!("{what} (column {})", error.column()))
    }

    fn line(line: u64, what: impl fmt::Display) -> Self {
        Self::Line {
            line,
            what: what.to_string(),
        }
    }
}

/// Imports the file. `report` gets lines about the progress.
pub(crate) async fn run(import: Import, report: &mut dyn FnMut(&str)) -> Result<Imported, ImportError> {
    if import.store.other_nodes().await? > 0 {
        return Err(ImportError::NotAlone);
    }
    let scan = Scan::of(&import).await?;
    report(&format!(
        "checked {} rooms, {} members and {} messages",
        scan.rooms.len(),
        scan.members,
        scan.messages
    ));
    if import.check_only {
        return Ok(scan.expected());
    }
    Writer::new(&import, scan, report).run().await
}
