//! The disk that the server's data lies on, which can be filled to the last byte and freed again.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::TortureError;

/// Bytes of a disk that can fill up.
const SIZE: &str = "64m";

/// Where data lies.
pub(crate) enum Disk {
    /// On the machine's own disk, which is not filled.
    Ordinary,
    /// On a small tmpfs of its own.
    Tmpfs(Tmpfs),
}

/// Unmounted when dropped.
pub(crate) struct Tmpfs(TempDir);

impl Disk {
    /// A disk that can be filled. Mounting it takes root.
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
        Err(TortureError::Disk(format!("mounting a tmpfs takes root: {said}")))
    }

    /// The folder to put data into, if it is not the usual one for temporary files.
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
        // Ever smaller pieces, until not one byte fits.
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

/// Lazily: the server may still have files open.
fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("-l").arg(path).status();
}
