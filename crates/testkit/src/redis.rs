//! A fixture for a real Redis in a temporary folder, which tests can kill, pause, restart and stop.
//!
//! Redis syncs each write to disk before it answers, so that a restart keeps all answered writes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::ports::free_port;
use crate::resp::RespClient;
use crate::{Error, PATIENCE};

/// Attempts with another port if another process takes the free one first.
const PORTS: usize = 5;

/// A running `redis-server`. Dropping it kills the process and removes its data.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    child: Child,
    port: u16,
    password: Option<String>,
    args: Vec<String>,
}

impl RedisServer {
    /// Starts Redis without a password and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Redis`] if `redis-server` is not installed or not ready in time.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(None, &[]).await
    }

    /// Starts Redis with an optional password of the default user, and with more arguments of `redis-server`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(password: Option<&str>, args: &[&str]) -> Result<Self, Error> {
        let mut failure = None;
        for _ in 0..PORTS {
            let folder = tempfile::Builder::new().prefix("redis-").tempdir();
            let folder = folder.map_err(Error::io("making a temporary folder"))?;
            let port = free_port()?;
            let password = password.map(str::to_owned);
            let args: Vec<_> = args.iter().map(ToString::to_string).collect();
            let child = spawn(folder.path(), port, password.as_deref(), &args)?;
            let mut server = Self {
                folder,
                child,
                port,
                password,
                args,
            };
            match server.wait_ready().await {
                Ok(()) => return Ok(server),
                Err(error) if server.log().contains("Address already in use") => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Redis("no port is free".into())))
    }

    /// Its listen address.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its URL. The password must not need percent-encoding.
    pub fn url(&self) -> String {
        let password = self.password.as_deref().map(|password| format!(":{password}@"));
        format!("redis://{}{}", password.unwrap_or_default(), self.addr())
    }

    /// Its process id; `None` after it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its log since the first start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A new authenticated connection.
    pub async fn client(&self) -> Result<RespClient, Error> {
        RespClient::connect(self.addr(), self.password.as_deref()).await
    }

    /// Kills it (SIGKILL). Answered writes are on disk.
    pub async fn kill9(&mut self) -> Result<(), Error> {
        self.child.kill().await.map_err(Error::io("killing Redis"))
    }

    /// Stops it (SIGTERM) and waits for its end.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.signal(Signal::TERM)?;
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.map(drop).map_err(Error::io("waiting for Redis to end")),
            Err(_) => Err(self.failure("did not end after SIGTERM")),
        }
    }

    /// Restarts it on the same data and port after a kill or stop.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.child = spawn(
            self.folder.path(),
            self.port,
            self.password.as_deref(),
            &self.args,
        )?;
        self.wait_ready().await
    }

    /// Pauses it (SIGSTOP): the kernel keeps and accepts connections, but Redis does not answer.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Continues after a pause (SIGCONT).
    pub fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| self.failure("has ended already"))?;
        kill_process(pid, signal).map_err(|error| Error::Io {
            doing: "sending a signal to Redis",
            source: error.into(),
        })
    }

    /// Waits until it answers and has loaded its data.
    async fn wait_ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("ended while starting, with {status}")));
            }
            if self.is_ready().await {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.failure("was not ready in time"));
            }
            // There is no event to wait for until the process listens.
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// True if this process answers, and not another one on the same port.
    async fn is_ready(&self) -> bool {
        let Ok(mut client) = self.client().await else {
            return false;
        };
        let Ok(info) = client.call(&["INFO", "server"]).await else {
            return false;
        };
        let own = self.child.id().map(|id| format!("process_id:{id}\r\n"));
        own.zip(info.as_str())
            .is_some_and(|(own, info)| info.contains(&own))
            && client.call(&["PING"]).await.is_ok()
    }

    fn failure(&self, what: &str) -> Error {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        Error::Redis(format!("redis-server {what}; its log ends with:\n{tail}"))
    }
}

fn spawn(folder: &Path, port: u16, password: Option<&str>, args: &[String]) -> Result<Child, Error> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
        .arg("--dir")
        .arg(folder)
        .arg("--logfile")
        .arg(folder.join("log"));
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::Redis(format!("failed to start redis-server: {error}; install it")))
}
