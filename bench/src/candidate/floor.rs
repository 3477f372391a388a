//! The floor as a candidate: this program itself.

use std::process::Command;

use crate::candidate::{Candidate, Checkout, Launch, Skip};
use crate::loader::dialect::Dialect;

/// One write per frame and client.
pub(super) const PLAIN: Candidate = Candidate {
    name: "floor",
    label: "floor",
    dialect: Dialect::SocketIo,
    compiled: false,
    install: |_| Ok("one thread, raw writes of ready frames".into()),
    ready: None,
    command: |_, launch| command(launch),
};

/// One write for all frames of an epoll turn.
pub(super) const BATCHED: Candidate = Candidate {
    name: "floor-batched",
    label: "floor, writes batched",
    dialect: Dialect::SocketIo,
    compiled: false,
    install: |_: &Checkout| -> Result<String, Skip> { Ok("the same, one write per epoll turn".into()) },
    ready: None,
    command: |_, launch| {
        let mut command = command(launch);
        command.arg("--batched");
        command
    },
};

fn command(launch: &Launch<'_>) -> Command {
    // Linux, the only supported system, always knows the path of a running program.
    let mut command = Command::new("/proc/self/exe");
    if let Ok(program) = std::env::current_exe() {
        command = Command::new(program);
    }
    command.args(["floor", "--port", &launch.port.to_string()]);
    command
}
