//! Devices that run the client package: a Node process with one client for each device, in rooms of their
//! own.
//!
//! The process checks the laws itself. `torture/package/` has its code, and the protocol of orders and
//! answers.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::error::TortureError;
use crate::run::RECOVERY;

/// Messages that each device writes in a round.
const MESSAGES: u64 = 20;
/// The checks of a round wait three times at most: for acknowledgements, and for the end of each room.
const WAITS: u32 = 4;

/// How the devices reach the server.
pub(crate) struct Access<'a> {
    /// The server's own address, for the check.
    pub(crate) server: SocketAddr,
    /// The proxies before it, one device after the other.
    pub(crate) lines: Vec<SocketAddr>,
    pub(crate) secret: &'a str,
    pub(crate) api_key: &'a str,
}

/// What the devices did and found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Messages in their rooms.
    pub stored: u64,
    /// Clients that were replaced by a new one on the same storage.
    pub reloads: u64,
    /// Violations of their laws, in words.
    pub violations: Vec<String>,
}

/// The process. It ends with this value.
#[derive(Debug)]
pub(crate) struct Devices {
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Devices {
    pub(crate) fn start(count: usize, access: &Access<'_>) -> Result<Self, TortureError> {
        let url = |addr: &SocketAddr| format!("http://{addr}");
        let lines: Vec<_> = access.lines.iter().map(url).collect();
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("package/main.mjs"))
            .env("DEVICES", count.to_string())
            .env("LINES", lines.join(","))
            .env("ROOMFUL_URL", url(&access.server))
            .env("ROOMFUL_AUTH_SECRET", access.secret)
            .env("ROOMFUL_API_KEY", access.api_key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("failed to start node: {error}")))?;
        let missing = || failed("it has no standard input or output".to_owned());
        let orders = child.stdin.take().ok_or_else(missing)?;
        let answers = child.stdout.take().ok_or_else(missing)?;
        Ok(Self {
            _child: child,
            orders,
            answers: BufReader::new(answers).lines(),
        })
    }

    /// Lets each device write some messages, beside whatever else happens.
    pub(crate) async fn write(&mut self) -> Result<(), TortureError> {
        self.order(&json!({ "write": MESSAGES })).await
    }

    /// Waits until all devices have everything, and checks their laws.
    pub(crate) async fn check(&mut self) -> Result<Report, TortureError> {
        self.order(&json!({ "check": true })).await?;
        let answer = timeout(RECOVERY * WAITS, self.answers.next_line())
            .await
            .map_err(|_| failed("they gave no answer to a check".to_owned()))?
            .map_err(|error| failed(error.to_string()))?
            .ok_or_else(|| failed("their process has ended".to_owned()))?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| failed(error.to_string()))?;
        let number = |name: &str| answer[name].as_u64().unwrap_or_default();
        let violations = answer["violations"].as_array().into_iter().flatten();
        Ok(Report {
            stored: number("stored"),
            reloads: number("reloads"),
            violations: violations.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }

    async fn order(&mut self, order: &Value) -> Result<(), TortureError> {
        let line = format!("{order}\n");
        let written = self.orders.write_all(line.as_bytes()).await;
        written.map_err(|error| failed(format!("their process has ended: {error}")))
    }
}

fn failed(what: String) -> TortureError {
    TortureError::Package(what)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "client package: {} messages, {} reloads: {} violations",
            self.stored,
            self.reloads,
            self.violations.len()
        )?;
        for violation in &self.violations {
            write!(f, "\n    {violation}")?;
        }
        Ok(())
    }
}
