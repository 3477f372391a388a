//! The disk with the server's data, which a fault can fill to the last byte and free again.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::TortureError;

/// Size in bytes of a disk that can fill up.
const SIZE: &str = "64m";

/// The place of the server's data.
pub(crate) enum Disk {
    /// The machine's own disk, which no fault fills.
    Ordinary,
    /// A small tmpfs.
    Tmpfs(Tmpfs),
}

/// Unmounts the tmpfs when dropped.
pub(crate) struct Tmpfs(TempDir);

impl Disk {
    /// Mounts a disk that can be filled. Needs root.
    pub(crate) fn small() -> Result<Self, TortureError> {
        let folder = TempDir::new().map_err(|error| TortureError::Disk(error.to_string()))?;
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs"])
            .arg(folder.path())
            .output();
        let mount = mount.map_err(|error| TortureError::Disk(error.to_string()))?;
        if mount.status.success() {
            return Ok(Self::Tmpfs(Tmpfs(folder)));
        }
        let said = String::from_utf8_lossy(&mount.stderr).trim().to_owned();
        Err(TortureError::Disk(format!(
            "failed to mount a tmpfs, which needs root: {said}"
        )))
    }

    /// The folder for the data, unless it is the usual temporary folder.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Ordinary => None,
            Self::Tmpfs(Tmpfs(folder)) => Some(folder.path().to_owned()),
        }
    }

    pub(crate) fn fill(&self) -> Result<(), TortureError> {
        let Some(ballast) = self.ballast() else {
            return Ok(());
        };
        let file = fs::File::create(ballast);
        let mut file = file.map_err(|error| TortureError::Disk(error.to_string()))?;
        // Write smaller and smaller pieces, until not one byte fits.
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Ok(())
    }

    pub(crate) fn free(&self) -> Result<(), TortureError> {
        let Some(ballast) = self.ballast() else {
            return Ok(());
        };
        fs::remove_file(ballast).map_err(|error| TortureError::Disk(error.to_string()))
    }

    fn ballast(&self) -> Option<PathBuf> {
        self.folder().map(|folder| folder.join("ballast"))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        unmount(self.0.path());
    }
}

/// Unmounts lazily: the server may still have open files.
fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("-l").arg(path).status();
}
