//! Socket.IO on Bun, with Socket.IO's engine for Bun. Bun itself comes as an npm package.

use std::path::PathBuf;
use std::process::Command;

use crate::candidate::install::{Stamp, run};
use crate::candidate::node::{mode_name, npm_ci};
use crate::candidate::{Candidate, Checkout, Skip};
use crate::loader::dialect::Dialect;

pub(super) const CANDIDATE: Candidate = Candidate {
    name: "bun",
    label: "Socket.IO on Bun",
    dialect: Dialect::SocketIo,
    compiled: false,
    install,
    ready: None,
    command: |checkout, launch| {
        let mut command = Command::new(binary(checkout));
        command
            .arg(checkout.peer("bun").join("server.mjs"))
            .args([&launch.port.to_string(), mode_name(launch.mode)])
            .arg(launch.folder)
            .env("NODE_ENV", "production");
        command
    },
};

/// The binary in the package for this machine, which needs no install script; or the one that Bun's install
/// script has placed.
fn binary(checkout: &Checkout) -> PathBuf {
    let modules = checkout.peer("bun").join("node_modules");
    let arch = match std::env::consts::ARCH {
        "aarch64" => "aarch64",
        _ => "x64",
    };
    let plain = modules.join(format!("@oven/bun-linux-{arch}/bin/bun"));
    if plain.exists() {
        plain
    } else {
        modules.join("bun/bin/bun.exe")
    }
}

fn install(checkout: &Checkout) -> Result<String, Skip> {
    let folder = checkout.peer("bun");
    let stamp = Stamp::of(&folder.join("package-lock.json"), &folder.join("node_modules"))?;
    if !stamp.is_current() {
        npm_ci(&folder)?;
        stamp.commit()?;
    }
    let bun = run(&folder, Command::new(binary(checkout)).arg("--version"))?;
    let versions = "const v = (name) => require(`./node_modules/${name}/package.json`).version; \
                    console.log(`socket.io ${v('socket.io')}, bun-engine ${v('@socket.io/bun-engine')}`)";
    let packages = run(&folder, Command::new(binary(checkout)).args(["-e", versions]))?;
    Ok(format!("Bun {bun}, {packages}"))
}
