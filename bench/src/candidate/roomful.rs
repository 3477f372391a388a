//! Roomful: the binary, and its Socket.IO server alone for bare runs. `make bench` builds both first.

use std::path::Path;
use std::process::Command;

use crate::candidate::{Candidate, Checkout, SECRET, Skip};
use crate::loader::dialect::Dialect;

/// `roomful-socket` with the peers' handler.
pub(super) const SOCKET: Candidate = Candidate {
    name: "roomful-socket",
    label: "Roomful, bare",
    dialect: Dialect::SocketIo,
    compiled: false,
    install: |checkout| built(&checkout.release("examples/fan_out")),
    ready: None,
    command: |checkout, launch| {
        let mut command = Command::new(checkout.release("examples/fan_out"));
        command.arg(launch.port.to_string());
        command.args(launch.links.map(|links| &links.redis));
        command
    },
};

/// The installed chat server, with rate limits off.
pub(super) const CHAT: Candidate = Candidate {
    name: "roomful",
    label: "Roomful",
    dialect: Dialect::SocketIo,
    compiled: false,
    install: |checkout| built(&checkout.release("roomful")),
    ready: Some("/readyz"),
    command: |checkout, launch| {
        let mut command = Command::new(checkout.release("roomful"));
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{}", launch.port)])
            .arg("--data")
            .arg(launch.folder.join("data"))
            .env("ROOMFUL_AUTH_SECRET", SECRET)
            .env("ROOMFUL_LIMITS", "off")
            .env("ROOMFUL_LOG", "warn");
        if let Some(links) = launch.links {
            command.env("ROOMFUL_BUS_URL", &links.redis);
            command.envs(links.postgres.as_ref().map(|url| ("ROOMFUL_STORE_URL", url)));
        }
        command
    },
};

fn built(binary: &Path) -> Result<String, Skip> {
    if binary.exists() {
        Ok("this commit".into())
    } else {
        Err(Skip("it is not built: make bench builds it".into()))
    }
}

impl Checkout {
    /// The current commit, marked if files differ from it.
    pub(crate) fn commit(&self) -> String {
        let git = |args: &[&str]| super::install::run(self.root(), Command::new("git").args(args));
        let Ok(commit) = git(&["describe", "--always", "--exclude=*"]) else {
            return "unknown".into();
        };
        // Ignore changes in the files that this program writes itself.
        let others = [
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ".",
            ":!bench/results",
        ];
        match git(&others) {
            Ok(changed) if changed.trim().is_empty() => commit,
            _ => format!("{commit}-dirty"),
        }
    }
}
