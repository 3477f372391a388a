//! Socket.IO on Node, with `ws`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::candidate::install::{Stamp, run};
use crate::candidate::{Candidate, Mode, Place, Skip};
use crate::loader::dialect::Dialect;

pub(super) const CANDIDATE: Candidate = Candidate {
    name: "node",
    label: "Socket.IO on Node",
    dialect: Dialect::SocketIo,
    install,
    ready: None,
    command: |place, launch| {
        let mut command = Command::new("node");
        command
            .arg(place.peer("node").join("server.mjs"))
            .args([&launch.port.to_string(), mode_name(launch.mode)])
            .arg(launch.folder)
            .env("NODE_ENV", "production");
        command
    },
};

/// How the JavaScript peers are told what to do.
pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Bare => "bare",
        Mode::Chat => "chat",
    }
}

fn install(place: &Place) -> Result<String, Skip> {
    let folder = place.peer("node");
    let node = run(&folder, Command::new("node").arg("--version"))?;
    let stamp = Stamp::of(&folder.join("package-lock.json"), &folder.join("node_modules"))?;
    if !stamp.is_current() {
        npm_ci(&folder)?;
        build_sqlite(&folder)?;
        stamp.commit()?;
    }
    let versions = "const v = (name) => require(`./node_modules/${name}/package.json`).version; \
                    console.log(`socket.io ${v('socket.io')}, ws ${v('ws')}, better-sqlite3 ${v('better-sqlite3')}`)";
    let packages = run(&folder, Command::new("node").args(["-e", versions]))?;
    Ok(format!("Node {node}, {packages}"))
}

/// Installs what the lock file says, without running anybody's scripts.
pub(super) fn npm_ci(folder: &Path) -> Result<(), Skip> {
    let mut npm = Command::new("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    run(folder, &npm).map(drop)
}

/// better-sqlite3's own script: a ready binary if it may be fetched, else a build from source, with Node's headers
/// from beside its binary where a distribution has put them.
fn build_sqlite(folder: &Path) -> Result<(), Skip> {
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", "install"]);
    if let Some(prefix) = headers_prefix() {
        npm.env("npm_config_nodedir", prefix);
    }
    run(&folder.join("node_modules/better-sqlite3"), &npm).map(drop)
}

fn headers_prefix() -> Option<PathBuf> {
    let mut node = Command::new("node");
    node.args([
        "-p",
        "require('path').dirname(require('path').dirname(process.execPath))",
    ]);
    let prefix = PathBuf::from(run(Path::new("."), &node).ok()?);
    prefix.join("include/node/node.h").exists().then_some(prefix)
}
