//! Network namespaces for this program. Networks in them are separate from the machine's, and end with the
//! program. Only its temporary files remain if it is killed.
//!
//! Moving the running process into namespaces needs `unsafe`, which this project forbids, so the program
//! starts itself again under `unshare`. That works for root, except in a container that forbids it, and for
//! other users where user namespaces are allowed.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::getuid;

use super::network::{self, Tcp};
use crate::error::TortureError;

/// Carries the network namespace of the process that started this program in namespaces.
const OUTSIDE: &str = "ROOMFUL_TORTURE_OUTSIDE";
/// Required programs with their Debian packages.
const PROGRAMS: [(&str, &str); 4] = [
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
];
/// Folders in which Debian installs some of them, outside a user's PATH.
const MORE_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// The init process of the namespace: when it ends, the kernel kills all other processes there. It reaps
/// orphans, which PostgreSQL leaves when it is killed. `ip netns` keeps its names in /run.
const FIRST: &str = r#"trap "exit 130" INT TERM
mount -t tmpfs tmpfs /run && ip link set lo up || exit
"$@" & wait $!"#;

/// True if this process runs in such namespaces.
pub fn inside() -> bool {
    let outside = std::env::var_os(OUTSIDE);
    outside.is_some() && outside != current()
}

/// Checks whether this user may create namespaces, by making a small network in one.
///
/// # Errors
/// [`TortureError::Namespaces`] names the missing part and the remedy.
pub fn permitted() -> Result<(), TortureError> {
    all_installed()?;
    let tried = command(&network::set_up(1, Tcp::AsRecommended)).output();
    let tried = tried.map_err(|error| TortureError::Namespaces(format!("setpriv did not start: {error}")))?;
    if tried.status.success() {
        return Ok(());
    }
    Err(TortureError::Namespaces(format!(
        "this machine does not permit it: {}. Run this as root, outside of containers, or in one with \
        CAP_SYS_ADMIN and CAP_NET_ADMIN; who is not root needs user namespaces (sysctl \
        user.max_user_namespaces)",
        String::from_utf8_lossy(&tried.stderr).trim()
    )))
}

/// The command that runs this program again, in namespaces.
///
/// Start it from a thread that lives as long as the program: the kernel kills it with that thread.
///
/// # Errors
/// Those of [`permitted`].
pub fn again<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<Command, TortureError> {
    permitted()?;
    let program = std::env::current_exe();
    let program =
        program.map_err(|error| TortureError::Namespaces(format!("this program has no path: {error}")))?;
    let mut words = vec![program.into_os_string()];
    words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
    Ok(command(&words))
}

/// A command in namespaces. `unshare` passes its end on to the init process, and so to all processes.
fn command<W: AsRef<OsStr>>(words: &[W]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    if !getuid().is_root() {
        // Keep the same user, whom PostgreSQL accepts, with root's rights inside the namespaces.
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    command.args(["sh", "-c", FIRST, "sh"]).args(words);
    command.env(OUTSIDE, current().unwrap_or_default());
    command.env("PATH", path());
    command.stdin(Stdio::null());
    command
}

/// The network namespace of this process.
fn current() -> Option<OsString> {
    let link = std::fs::read_link("/proc/self/ns/net");
    link.ok().map(PathBuf::into_os_string)
}

fn all_installed() -> Result<(), TortureError> {
    let there = |program: &str| std::env::split_paths(&path()).any(|folder| folder.join(program).is_file());
    let missing = PROGRAMS.into_iter().filter(|(program, _)| !there(program));
    let (programs, mut packages): (Vec<_>, Vec<_>) = missing.unzip();
    packages.dedup();
    if programs.is_empty() {
        return Ok(());
    }
    Err(TortureError::Namespaces(format!(
        "{} not found: install {}",
        programs.join(", "),
        packages.join(", ")
    )))
}

fn path() -> OsString {
    let known = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&known).chain(MORE_FOLDERS.map(PathBuf::from));
    std::env::join_paths(folders).unwrap_or(known)
}
