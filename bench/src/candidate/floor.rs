//! The floor, as a server: this program itself.

use std::process::Command;

use crate::candidate::{Candidate, Launch, Place, Skip};
use crate::loader::dialect::Dialect;

/// One write for each frame and client.
pub(super) const PLAIN: Candidate = Candidate {
    name: "floor",
    label: "floor",
    dialect: Dialect::SocketIo,
    compiled: false,
    install: |_| Ok("one thread, raw writes of ready frames".into()),
    ready: None,
    command: |_, launch| command(launch),
};

/// One write for all frames that one turn of epoll brought.
pub(super) const BATCHED: Candidate = Candidate {
    name: "floor-batched",
    label: "floor, writes batched",
    dialect: Dialect::SocketIo,
    compiled: false,
    install: |_: &Place| -> Result<String, Skip> {
        Ok("the same, one write for what one turn brought".into())
    },
    ready: None,
    command: |_, launch| {
        let mut command = command(launch);
        command.arg("--batched");
        command
    },
};

fn command(launch: &Launch<'_>) -> Command {
    // The path of a running program is known on Linux, the only system that this one measures on.
    let mut command = Command::new("/proc/self/exe");
    if let Ok(program) = std::env::current_exe() {
        command = Command::new(program);
    }
    command.args(["floor", "--port", &launch.port.to_string()]);
    command
}
