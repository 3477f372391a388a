//! A real Sentinel, which watches over a master of Redis and names another when it fails; alone, or with
//! both.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::ports::free_port;
use crate::resp::RespClient;
use crate::{Error, PATIENCE, RedisServer};

/// Attempts with another port if another process takes the free one first.
const PORTS: usize = 5;

/// The name by which the Sentinel of a [`Watched`] knows its master.
pub const MASTER: &str = "mymaster";

/// How long a master of a [`Watched`] may be silent.
const SILENCE: Duration = Duration::from_millis(500);

/// A running Sentinel, alone in its judgement. Dropping it kills the process.
#[derive(Debug)]
pub struct Sentinel {
    _folder: TempDir,
    child: Child,
    port: u16,
}

impl Sentinel {
    /// Starts one that knows the master by this name, and waits until it answers. A master that is silent
    /// for `patience` is replaced by one of its replicas. Masters and replicas have the password, if any.
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

/// A master, and a replica that takes its place when it is gone.
#[derive(Debug)]
pub struct Watched {
    /// The first master.
    pub master: RedisServer,
    /// The one that is the master afterwards.
    pub replica: RedisServer,
    /// The one that decides so.
    pub sentinel: Sentinel,
}

impl Watched {
    /// Starts them, and waits until the replica could take over. Master and replica have the password.
    ///
    /// # Errors
    /// As [`Sentinel::start`].
    pub async fn start(password: &str) -> Result<Self, Error> {
        let auth = ["--masterauth", password, "--repl-diskless-sync-delay", "0"];
        let master = RedisServer::start_with(Some(password), &auth).await?;
        let port = master.addr().port().to_string();
        let follows = [&auth[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let replica = RedisServer::start_with(Some(password), &follows).await?;
        let mut client = replica.client().await?;
        wait("the replica to follow", async || {
            let info = client.call(&["INFO", "replication"]).await?;
            let info = info.as_str().unwrap_or_default();
            Ok(info.contains("master_link_status:up"))
        })
        .await?;
        let sentinel = Sentinel::start(MASTER, master.addr(), Some(password), SILENCE).await?;
        let mut client = sentinel.client().await?;
        wait("the Sentinel to know the replica", async || {
            let replicas = client.call(&["SENTINEL", "REPLICAS", MASTER]).await?;
            Ok(replicas.as_array().is_some_and(|replicas| !replicas.is_empty()))
        })
        .await?;
        Ok(Self {
            master,
            replica,
            sentinel,
        })
    }

    /// Waits until the Sentinel names the replica as the master.
    ///
    /// # Errors
    /// [`Error::Redis`] if it does not in time.
    pub async fn wait_failover(&self) -> Result<(), Error> {
        let port = self.replica.addr().port().to_string();
        let mut client = self.sentinel.client().await?;
        wait("the replica to be named as the master", async || {
            let named = client
                .call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER])
                .await?;
            Ok(named[1] == port.as_str())
        })
        .await
    }
}

async fn wait(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool, Error>) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await? {
        if Instant::now() > deadline {
            return Err(Error::Redis(format!("waited {PATIENCE:?} for {what}")));
        }
        // Neither tells when it is so.
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
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
