//! socketioxide on axum, a separate Cargo project.

use std::process::Command;

use crate::candidate::install::run;
use crate::candidate::{Candidate, Checkout, Skip};
use crate::loader::dialect::Dialect;

const BINARY: &str = "socketioxide/release/roomful-bench-socketioxide";

pub(super) const CANDIDATE: Candidate = Candidate {
    name: "socketioxide",
    label: "socketioxide",
    dialect: Dialect::SocketIo,
    compiled: true,
    install,
    ready: None,
    command: |checkout, launch| {
        let mut command = Command::new(checkout.built(BINARY));
        command.arg(launch.port.to_string());
        command
    },
};

fn install(checkout: &Checkout) -> Result<String, Skip> {
    let folder = checkout.peer("socketioxide");
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--locked", "--quiet"])
        .env("CARGO_TARGET_DIR", checkout.built("socketioxide"));
    run(&folder, &cargo)?;
    let lock = std::fs::read_to_string(folder.join("Cargo.lock")).unwrap_or_default();
    let version = lock
        .split("name = \"socketioxide\"\nversion = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    Ok(format!(
        "socketioxide {}, TCP_NODELAY set",
        version.unwrap_or("of its lock file")
    ))
}
