//! The file on a node's own disk by which it notices, after a restart, that its database was put back.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::Known;
use crate::{
    StoreError,
    beside::{self, Beside, Found, Watermark},
};

/// Rows of nodes that were not seen for longer may be gone, and tell nothing by that.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(80 * 24);

/// Where a node keeps its file.
pub(super) struct Place {
    path: PathBuf,
    identity: String,
    lock: File,
}

/// What the file says of the process before.
pub(super) struct Before {
    pub(super) node: i64,
    pub(super) known: Known,
    /// Whether it was written so long ago that its row may be gone.
    pub(super) is_old: bool,
}

impl Place {
    pub(super) fn take(folder: &Path, identity: &str) -> Result<Self, StoreError> {
        let path = folder.join(format!("postgres-{identity}-life"));
        let lock_at = path.with_extension("lock");
        let open = || {
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(folder)?;
            File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&lock_at)
        };
        let lock = open().map_err(|error| cannot(&lock_at, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Setup(format!(
                    "another server serves from the data folder {}; give each its own",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(&lock_at, &error)),
        }
        Ok(Self {
            path,
            identity: identity.to_owned(),
            lock,
        })
    }

    pub(super) fn read(&self) -> Result<Option<Before>, StoreError> {
        let Found::Whole(beside) = beside::read(&self.path).map_err(|error| cannot(&self.path, &error))?
        else {
            return Ok(None);
        };
        let modified = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > FORGOTTEN_AFTER));
        let parsed = || {
            let mut words = beside.lives.first()?.split(' ');
            let node = words.next()?.parse().ok()?;
            let known = Known {
                generation: words.next()?.parse().ok()?,
                epoch: words.next()?.to_owned(),
                pos: beside.pos,
                own: beside.pos,
            };
            Some(Before { node, known, is_old })
        };
        Ok(parsed().filter(|_| beside.database == self.identity))
    }

    pub(super) fn hold(self, node: i64, known: &Known) -> Result<OnDisk, StoreError> {
        let watermark = note(&self.path, &self.identity, node, known)?;
        Ok(OnDisk {
            path: self.path,
            watermark,
            _lock: self.lock,
        })
    }
}

/// What this node keeps on its own disk.
pub(super) struct OnDisk {
    path: PathBuf,
    pub(super) watermark: Watermark,
    _lock: File,
}

impl OnDisk {
    /// The node goes on from what it knows now.
    pub(super) fn note(&mut self, identity: &str, node: i64, known: &Known) -> Result<(), StoreError> {
        self.watermark = note(&self.path, identity, node, known)?;
        Ok(())
    }
}

fn note(path: &Path, identity: &str, node: i64, known: &Known) -> Result<Watermark, StoreError> {
    let beside = Beside {
        pos: known.own,
        database: identity.to_owned(),
        lives: vec![format!("{node} {} {}", known.generation, known.epoch)],
    };
    beside::write(path, &beside)
        .and_then(|()| Watermark::open(path))
        .map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Setup(format!(
        "cannot use {}: {error}; it has to belong to the server's user",
        path.display()
    ))
}
