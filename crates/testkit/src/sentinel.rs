//! A real Sentinel, which watches over a master of Redis and names another when it fails.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::ports::free_port;
use crate::resp::RespClient;
use crate::{Error, PATIENCE};

/// How often another port is tried when somebody was quicker to take the free one.
const PORTS: usize = 5;

/// A running Sentinel, alone in its judgement. Dropping it kills the process.
#[derive(Debug)]
pub struct Sentinel {
    _folder: TempDir,
    child: Child,
    port: u16,
}

impl Sentinel {
    /// Starts one that knows the master by this name, and waits until it answers. A master that is silent for `patience`
    /// is replaced by one of its replicas. Masters and replicas have the password, if any.
    ///
    /// # Errors
    /// [`Error::Redis`] if `redis-server` is not installed, or does not answer in time.
    pub async fn start(
        name: &str,
        master: SocketAddr,
        password: Option<&str>,
        patience: Duration,
    ) -> Result<Self, Error> {
        let mut failure = None;
        for _ in 0..PORTS {
            let mut sentinel = spawn(name, master, password, patience)?;
            match sentinel.wait_ready().await {
                Ok(()) => return Ok(sentinel),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Redis("no port is free".into())))
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// A connection of one's own.
    pub async fn client(&self) -> Result<RespClient, Error> {
        RespClient::connect(self.addr(), None).await
    }

    async fn wait_ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Error::Redis(format!(
                    "Sentinel ended while starting, with {status}"
                )));
            }
            if let Ok(mut client) = self.client().await
                && client.call(&["PING"]).await.is_ok()
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::Redis("Sentinel was not ready in time".into()));
            }
            // A process that does not listen yet gives no event to wait for.
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn spawn(
    name: &str,
    master: SocketAddr,
    password: Option<&str>,
    patience: Duration,
) -> Result<Sentinel, Error> {
    let folder = tempfile::Builder::new().prefix("sentinel-").tempdir();
    let folder = folder.map_err(Error::io("making a temporary folder"))?;
    let port = free_port()?;
    let auth = password.map(|password| format!("sentinel auth-pass {name} {password}\n"));
    let config = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {name} {} {} 1\n\
         sentinel down-after-milliseconds {name} {}\nsentinel failover-timeout {name} 5000\n{}",
        folder.path().display(),
        master.ip(),
        master.port(),
        patience.as_millis(),
        auth.unwrap_or_default(),
    );
    // It keeps its memory in its configuration.
    let path = folder.path().join("sentinel.conf");
    std::fs::write(&path, config).map_err(Error::io("writing Sentinel's configuration"))?;
    let child = Command::new("redis-server")
        .arg(&path)
        .arg("--sentinel")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::Redis(format!("redis-server could not be started: {error}; install it")))?;
    Ok(Sentinel {
        _folder: folder,
        child,
        port,
    })
}
