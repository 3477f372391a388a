//! The watermark file of a node in its data folder. After a restart it reveals that the database was
//! restored.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::Remembered;
use crate::{
    StoreError,
    watermark_file::{self, Found, Watermark, WatermarkFile},
};

/// The rows of nodes that were stopped for longer may be deleted, so that a missing row proves nothing.
const ROW_EXPIRES_AFTER: Duration = Duration::from_hours(80 * 24);

/// The locked, not yet opened file of a node.
pub(super) struct NodeFile {
    path: PathBuf,
    identity: String,
    lock: File,
}

/// The node's previous run, as recorded in its file.
pub(super) struct PreviousRun {
    pub(super) node: i64,
    pub(super) remembered: Remembered,
    /// Whether the run is so long ago that its row may have been deleted.
    pub(super) is_old: bool,
}

impl NodeFile {
    /// Creates the data folder if needed and locks the file in it. Fails if another server holds the lock.
    pub(super) fn lock(folder: &Path, identity: &str) -> Result<Self, StoreError> {
        let path = folder.join(format!("postgres-{identity}-watermark"));
        let lock_path = path.with_extension("lock");
        let open = || {
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(folder)?;
            File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&lock_path)
        };
        let lock = open().map_err(|error| cannot_use(&lock_path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Setup(format!(
                    "another server uses the data folder {}; give each server its own",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(cannot_use(&lock_path, &error)),
        }
        Ok(Self {
            path,
            identity: identity.to_owned(),
            lock,
        })
    }

    /// The previous run; `None` without an intact file for this database.
    pub(super) fn read(&self) -> Result<Option<PreviousRun>, StoreError> {
        let found = watermark_file::read(&self.path).map_err(|error| cannot_use(&self.path, &error))?;
        let Found::Intact(content) = found else {
            return Ok(None);
        };
        let modified = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ROW_EXPIRES_AFTER));
        let parsed = || {
            let mut words = content.generations.first()?.split(' ');
            let node = words.next()?.parse().ok()?;
            let remembered = Remembered {
                generation: words.next()?.parse().ok()?,
                epoch: words.next()?.to_owned(),
                position: content.position,
                own: content.position,
            };
            Some(PreviousRun {
                node,
                remembered,
                is_old,
            })
        };
        Ok(parsed().filter(|_| content.database == self.identity))
    }

    /// Writes the file for a new run and opens its watermark.
    pub(super) fn open(self, node: i64, remembered: &Remembered) -> Result<OpenNodeFile, StoreError> {
        let watermark = write(&self.path, &self.identity, node, remembered)?;
        Ok(OpenNodeFile {
            path: self.path,
            watermark,
            _lock: self.lock,
        })
    }
}

/// The file of a running node.
pub(super) struct OpenNodeFile {
    path: PathBuf,
    pub(super) watermark: Watermark,
    _lock: File,
}

impl OpenNodeFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Rewrites the file for another generation.
    pub(super) fn write(
        &mut self,
        identity: &str,
        node: i64,
        remembered: &Remembered,
    ) -> Result<(), StoreError> {
        self.watermark = write(&self.path, identity, node, remembered)?;
        Ok(())
    }
}

fn write(path: &Path, identity: &str, node: i64, remembered: &Remembered) -> Result<Watermark, StoreError> {
    let content = WatermarkFile {
        position: remembered.own,
        database: identity.to_owned(),
        generations: vec![format!("{node} {} {}", remembered.generation, remembered.epoch)],
    };
    watermark_file::write(path, &content)
        .and_then(|()| Watermark::open(path))
        .map_err(|error| cannot_use(path, &error))
}

fn cannot_use(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Setup(format!(
        "cannot use {}: {error}; make the server's user its owner",
        path.display()
    ))
}
