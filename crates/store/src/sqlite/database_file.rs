//! The database file, and whether it is still the one that was opened.

use std::path::{Path, PathBuf};

use super::connection;
use crate::{Outage, StoreError, watermark_file};

/// The file that was opened. A process that has a file open can write to it after its removal, but these
/// writes are lost.
pub(super) struct DatabaseFile {
    path: PathBuf,
    identity: String,
}

impl DatabaseFile {
    /// The file that was just opened.
    pub(super) fn opened(path: &Path) -> Result<Self, StoreError> {
        let metadata = std::fs::metadata(path).map_err(|error| connection::setup(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            identity: watermark_file::identity(&metadata),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the file is still in its place.
    ///
    /// # Errors
    /// `Unavailable` if it was removed, or if another one has taken its place.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let metadata = std::fs::metadata(&self.path);
        if metadata.is_ok_and(|metadata| watermark_file::identity(&metadata) == self.identity) {
            return Ok(());
        }
        let gone = "the database file was removed or replaced; put it back and restart the server";
        Err(Outage::Io(gone.into()).into())
    }
}
