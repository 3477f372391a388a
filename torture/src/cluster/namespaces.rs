//! Namespaces of this program's own, in which it may make networks: nothing of them is in the machine's, and all of it is
//! gone with the program, however that ends. Its temporary files alone stay, if it is killed.
//!
//! A process can't move into them by itself without what this project does without (`unsafe`); so the program runs once
//! more, under `unshare`. Root may do so everywhere but in a container that forbids it, others where user namespaces are
//! allowed.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::getuid;

use super::network::{self, Tcp};
use crate::error::TortureError;

/// Names the network namespace of whoever started this program within namespaces.
const OUTSIDE: &str = "ROOMFUL_TORTURE_OUTSIDE";
/// The programs that are needed, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 4] = [
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
];
/// Where Debian keeps some of them, out of a user's PATH.
const MORE_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// The first process of its namespace: when it ends, the kernel kills all others there. It looks after orphans, which
/// PostgreSQL leaves when it is killed. `ip netns` keeps its names in /run.
const FIRST: &str = r#"trap "exit 130" INT TERM
mount -t tmpfs tmpfs /run && ip link set lo up || exit
"$@" & wait $!"#;

/// Whether this process runs within them.
pub fn inside() -> bool {
    let outside = std::env::var_os(OUTSIDE);
    outside.is_some() && outside != current()
}

/// Says whether this machine lets this user have them, by making a small network in some.
///
/// # Errors
/// [`TortureError::Namespaces`] says what is missing, and what to do about it.
pub fn permitted() -> Result<(), TortureError> {
    all_installed()?;
    let tried = command(&network::set_up(1, Tcp::AsRecommended)).output();
    let tried = tried.map_err(|error| TortureError::Namespaces(format!("setpriv did not start: {error}")))?;
    if tried.status.success() {
        return Ok(());
    }
    Err(TortureError::Namespaces(format!(
        "this machine does not permit it: {}. Run this as root, outside of containers, or in one with CAP_SYS_ADMIN and \
         CAP_NET_ADMIN; who is not root needs user namespaces (sysctl user.max_user_namespaces)",
        String::from_utf8_lossy(&tried.stderr).trim()
    )))
}

/// Runs this program once more, within them.
///
/// What it returns has to be started from a thread that lives as long as it may run: it is killed with that thread.
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

/// A command within namespaces. A signal that ends `unshare` is passed on to the first process there, and with it to all.
fn command<W: AsRef<OsStr>>(words: &[W]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    if !getuid().is_root() {
        // As the same user, whom PostgreSQL does not refuse, but with root's rights over what is in there.
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
