//! The database file, and whether it is still the one that was opened.

use std::{
    fs::Metadata,
    io,
    path::{Path, PathBuf},
};

use super::connection;
use crate::{Outage, StoreError};

/// The file that was opened. A process that has a file open can write to it after its removal, but these
/// writes are lost.
pub(super) struct DatabaseFile {
    path: PathBuf,
    id: FileId,
}

/// The device and inode of a file. No other file gets them while this one is open.
type FileId = (u64, u64);

impl DatabaseFile {
    /// The file that was just opened.
    pub(super) fn opened(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_owned(),
            id: id_of(path).map_err(|error| connection::setup(path, &error))?,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the file is still in its place. Takes a few microseconds.
    ///
    /// # Errors
    /// `Unavailable` if it was removed, or if another one has taken its place.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if id_of(&self.path).is_ok_and(|id| id == self.id) {
            return Ok(());
        }
        let gone = "the database file was removed or replaced; put it back and restart the server";
        Err(Outage::Io(gone.into()).into())
    }
}

fn id_of(path: &Path) -> io::Result<FileId> {
    std::fs::metadata(path).map(|metadata| id(&metadata))
}

#[cfg(unix)]
fn id(metadata: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

/// Other systems do not let an open file be removed.
#[cfg(not(unix))]
fn id(_: &Metadata) -> FileId {
    (0, 0)
}
