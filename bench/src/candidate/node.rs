//! Socket.IO on Node, with `ws`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::candidate::install::{Stamp, run};
use crate::candidate::{Candidate, Checkout, Launch, Mode, Skip};
use crate::loader::dialect::Dialect;

pub(super) const CANDIDATE: Candidate = Candidate {
    name: "node",
    label: "Socket.IO on Node",
    dialect: Dialect::SocketIo,
    compiled: false,
    install,
    ready: None,
    command: serve,
};

/// The same as a node of a cluster, with the most common adapter: one pattern for all rooms.
pub(super) const REDIS: Candidate = Candidate {
    name: "node-redis",
    label: "Socket.IO on Node, Redis",
    install: |checkout| install_with(checkout, &["@socket.io/redis-adapter", "redis", "pg"]),
    command: |checkout, launch| with_adapter(checkout, launch, "classic"),
    ..CANDIDATE
};

/// With the adapter that subscribes to each room.
pub(super) const SHARDED: Candidate = Candidate {
    name: "node-sharded",
    label: "Socket.IO on Node, sharded",
    install: |checkout| install_with(checkout, &["@socket.io/redis-adapter", "redis", "pg"]),
    command: |checkout, launch| with_adapter(checkout, launch, "sharded"),
    ..CANDIDATE
};

fn serve(checkout: &Checkout, launch: &Launch<'_>) -> Command {
    let mut command = Command::new("node");
    command
        .arg(checkout.peer("node").join("server.mjs"))
        .args([&launch.port.to_string(), mode_name(launch.mode)])
        .arg(launch.folder)
        .env("NODE_ENV", "production");
    command
}

fn with_adapter(checkout: &Checkout, launch: &Launch<'_>, adapter: &str) -> Command {
    let mut command = serve(checkout, launch);
    if let Some(links) = launch.links {
        command
            .env("BENCH_REDIS", &links.redis)
            .env("BENCH_ADAPTER", adapter);
        command.envs(links.postgres.as_ref().map(|url| ("BENCH_POSTGRES", url)));
    }
    command
}

/// The environment that tells the JavaScript peers their work.
pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Bare => "bare",
        Mode::Chat => "chat",
    }
}

fn install(checkout: &Checkout) -> Result<String, Skip> {
    install_with(checkout, &["better-sqlite3"])
}

/// Installs the packages of the lock file; returns the versions of the common ones and of `packages`.
fn install_with(checkout: &Checkout, packages: &[&str]) -> Result<String, Skip> {
    let folder = checkout.peer("node");
    let node = run(&folder, Command::new("node").arg("--version"))?;
    let stamp = Stamp::of(&folder.join("package-lock.json"), &folder.join("node_modules"))?;
    if !stamp.is_current() {
        npm_ci(&folder)?;
        build_sqlite(&folder)?;
        stamp.commit()?;
    }
    let versions = "const v = (name) => `${name} ${require(`./node_modules/${name}/package.json`).version}`; \
                    console.log(process.argv.slice(1).map(v).join(', '))";
    let mut ask = Command::new("node");
    ask.args(["-e", versions, "socket.io", "ws"]).args(packages);
    let packages = run(&folder, &ask)?;
    Ok(format!("Node {node}, {packages}"))
}

/// Installs the lock file without running install scripts.
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

/// Runs better-sqlite3's install script: it downloads a binary if it can, or builds from source, with
/// Node's headers from beside its binary if a distribution has put them there.
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
