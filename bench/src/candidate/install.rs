//! Installing peers: runs a tool and reports in one line why it failed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::candidate::Skip;
use crate::clock;

/// The deadline of all installations, in clock nanoseconds.
static DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);
/// The longest time for one installation.
const LONGEST_SECONDS: u64 = 1800;
/// Exit code of `timeout` when it ended the command.
const TIMED_OUT: i32 = 124;

/// Sets the deadline: peers that are not installed by then do not take part.
pub(super) fn set_deadline(deadline: u64) {
    DEADLINE.store(deadline, Ordering::Relaxed);
}

/// Runs a tool in `folder` and returns its standard output.
pub(crate) fn run(folder: &Path, command: &Command) -> Result<String, Skip> {
    let name = command.get_program().to_string_lossy().into_owned();
    let left = || DEADLINE.load(Ordering::Relaxed).saturating_sub(clock::now()) / 1_000_000_000;
    let too_late = || {
        Skip(format!(
            "there was no time left for {name}: make bench without QUICK has it"
        ))
    };
    let seconds = left().min(LONGEST_SECONDS);
    if seconds == 0 {
        return Err(too_late());
    }
    let mut timed = Command::new("timeout");
    timed
        .args(["-k", "5", &seconds.to_string()])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(folder)
        .stdin(Stdio::null());
    let output = timed
        .output()
        .map_err(|error| Skip(format!("{name} can't be run: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    // A tool that `timeout` ends may choose its own exit code.
    if output.status.code() == Some(TIMED_OUT) || left() == 0 {
        return Err(too_late());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    Err(Skip(format!(
        "{name} failed: {}",
        last.unwrap_or("it says nothing").trim()
    )))
}

/// Tells whether a lock file is the one installed last; `commit` records it.
pub(crate) struct Stamp {
    file: std::path::PathBuf,
    lock: String,
}

impl Stamp {
    /// Reads the lock file; its stamp is in `folder`.
    pub(crate) fn of(lock: &Path, folder: &Path) -> Result<Self, Skip> {
        let lock_text = std::fs::read_to_string(lock)
            .map_err(|error| Skip(format!("{} can't be read: {error}", lock.display())))?;
        Ok(Self {
            file: folder.join(".bench-stamp"),
            lock: lock_text,
        })
    }

    /// True if this lock file is installed.
    pub(crate) fn is_current(&self) -> bool {
        std::fs::read_to_string(&self.file).is_ok_and(|stamped| stamped == self.lock)
    }

    /// Records that this lock file is installed.
    pub(crate) fn commit(&self) -> Result<(), Skip> {
        std::fs::write(&self.file, &self.lock)
            .map_err(|error| Skip(format!("{} can't be written: {error}", self.file.display())))
    }
}
