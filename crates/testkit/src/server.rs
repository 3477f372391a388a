//! The real server binary, run on a temporary data folder and a free port; killed, restarted and ended at
//! will.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::{Error, PATIENCE, http};

/// Says which binary to run and how. The defaults suit a test: rate limits as shipped, a fixed secret and
/// API key.
#[derive(Clone, Debug)]
pub struct Config {
    /// The binary.
    pub binary: PathBuf,
    /// A command to run it under, such as `taskset -c 0`.
    pub wrapper: Vec<String>,
    /// Further arguments of `roomful serve`.
    pub args: Vec<String>,
    /// Further environment.
    pub env: Vec<(String, String)>,
    /// The address to listen on; port 0 asks for a free one.
    pub listen: SocketAddr,
    /// Whether it speaks TLS. Its port file then tells alone that it is ready.
    pub tls: bool,
    /// Where to make its temporary folder; the system's place for such if none.
    pub folder: Option<PathBuf>,
}

impl Config {
    /// The binary that the environment variable `ROOMFUL_BIN` names.
    ///
    /// # Errors
    /// [`Error::Server`] if the variable is not set.
    pub fn from_env() -> Result<Self, Error> {
        let path = std::env::var_os("ROOMFUL_BIN");
        path.map(Self::new).ok_or_else(|| {
            Error::Server("set ROOMFUL_BIN to the roomful binary (cargo build -p roomful makes one)".into())
        })
    }

    /// The given binary.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            wrapper: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: false,
            folder: None,
        }
    }

    /// Adds a variable to the server's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds several variables to the server's environment.
    pub fn envs(self, variables: &[(&str, &str)]) -> Self {
        variables
            .iter()
            .fold(self, |config, (name, value)| config.env(name, value))
    }
}

/// A running server. Dropping it kills the process and removes its data.
#[derive(Debug)]
pub struct ServerProcess {
    config: Config,
    folder: TempDir,
    child: Child,
    addr: SocketAddr,
    handle: ProcessHandle,
}

/// Reaches a server's process from other tasks, while its owner kills and restarts it. Clones reach the same
/// process.
#[derive(Clone, Debug, Default)]
pub struct ProcessHandle(Arc<Mutex<Process>>);

#[derive(Debug, Default)]
struct Process {
    /// `None` before the server is ready: it may not handle signals yet, and SIGHUP would end it.
    pid: Option<Pid>,
    starts: u64,
}

impl ProcessHandle {
    /// Sends SIGHUP: the server reads its settings again. Returns the number of this run of the server, which
    /// grows with each start; `None` if the server is not ready.
    pub fn reload(&self) -> Option<u64> {
        let process = self.0.lock();
        // Under the lock, so that no other process has the id by then.
        kill_process(process.pid?, Signal::HUP).ok()?;
        Some(process.starts)
    }

    fn is_ready(&self, pid: Option<Pid>) {
        let mut process = self.0.lock();
        process.pid = pid;
        process.starts += 1;
    }

    fn ends(&self) {
        self.0.lock().pid = None;
    }
}

/// The HS256 secret that every fixture server is started with.
pub const SECRET: &str = "testkit-secret-0123456789abcdefghij";
/// The API key that every fixture server is started with.
const API_KEY: &str = "testkit-api-key-0123456789abcdefghij";

impl ServerProcess {
    /// Starts the binary that `ROOMFUL_BIN` names.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(Config::from_env()?).await
    }

    /// Starts a server on a fresh data folder and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Server`] with the end of its log, if it exits or is not ready in time.
    pub async fn start_with(config: Config) -> Result<Self, Error> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("roomful-");
        let folder = match &config.folder {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        };
        let folder = folder.map_err(Error::io("making a temporary folder"))?;
        let child = spawn(&config, folder.path())?;
        let mut server = Self {
            addr: config.listen,
            config,
            folder,
            child,
            handle: ProcessHandle::default(),
        };
        server.wait_ready().await?;
        Ok(server)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The secret that its tokens are signed with (HS256).
    pub fn secret(&self) -> &'static str {
        SECRET
    }

    /// The key of its HTTP API.
    pub fn api_key(&self) -> &'static str {
        API_KEY
    }

    /// Makes a call of the HTTP API with the server's key, see [`http::call_api`].
    pub async fn api(
        &self,
        method: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<http::Answer, Error> {
        http::call_api(self.addr, API_KEY, method, path, body).await
    }

    /// Its process id; 0 once it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// A handle to its process, for other tasks.
    pub fn handle(&self) -> ProcessHandle {
        self.handle.clone()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its log since the first start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until the log contains `text`, and returns the whole log. The server writes its log with a
    /// short delay.
    ///
    /// # Errors
    /// [`Error::Server`] with the end of the log if the text does not come within [`PATIENCE`].
    pub async fn wait_log(&self, text: &str) -> Result<String, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if log.contains(text) {
                return Ok(log);
            }
            if Instant::now() > deadline {
                return Err(self.failure(&format!("did not log {text:?}")));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills it without warning (SIGKILL), as a power cut would end it.
    pub async fn kill9(&mut self) -> Result<(), Error> {
        self.handle.ends();
        self.child.kill().await.map_err(Error::io("killing the server"))
    }

    /// Asks it to end (SIGTERM) and waits for that; its exit status.
    pub async fn terminate(&mut self) -> Result<ExitStatus, Error> {
        if self.child.id().is_some() {
            self.signal(Signal::TERM)?;
        }
        self.handle.ends();
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.map_err(Error::io("waiting for the server to end")),
            Err(_) => Err(self.failure("did not end after SIGTERM")),
        }
    }

    /// Stops it in its tracks (SIGSTOP): its connections stay, and new ones are made, but nobody answers.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after a pause (SIGCONT).
    pub fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    fn process(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = self.process().ok_or_else(|| self.failure("has ended already"))?;
        kill_process(pid, signal).map_err(|error| Error::Io {
            doing: "sending a signal to the server",
            source: error.into(),
        })
    }

    /// Starts it again on the same data and the same address, after it was killed or terminated.
    pub async fn restart(&mut self) -> Result<(), Error> {
        let _ = std::fs::remove_file(self.folder.path().join("port"));
        self.config.listen = self.addr;
        self.child = spawn(&self.config, self.folder.path())?;
        self.wait_ready().await
    }

    async fn wait_ready(&mut self) -> Result<(), Error> {
        self.wait_answers().await?;
        self.handle.is_ready(self.process());
        Ok(())
    }

    /// Waits for the port file, which the server writes once it is ready, then for `/readyz` to answer 200.
    async fn wait_answers(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let port_file = self.folder.path().join("port");
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("ended while starting, with {status}")));
            }
            let written = std::fs::read_to_string(&port_file).unwrap_or_default();
            if let Some(addr) = written
                .strip_suffix('\n')
                .and_then(|line| line.trim().parse().ok())
            {
                self.addr = addr;
                if self.config.tls {
                    return Ok(());
                }
                if http::get(addr, "/readyz")
                    .await
                    .is_ok_and(|answer| answer.status == 200)
                {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                return Err(self.failure("was not ready in time"));
            }
            // A file that another process writes gives no event to wait for.
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn failure(&self, what: &str) -> Error {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        Error::Server(format!(
            "{} {what}; its log ends with:\n{tail}",
            self.config.binary.display()
        ))
    }
}

fn spawn(config: &Config, folder: &Path) -> Result<Child, Error> {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"));
    let log = log.map_err(Error::io("opening the server's log"))?;
    let errors = log.try_clone().map_err(Error::io("opening the server's log"))?;
    let mut words = config
        .wrapper
        .iter()
        .map(std::ffi::OsStr::new)
        .chain([config.binary.as_os_str()]);
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .arg("serve")
        .args(["--listen", &config.listen.to_string(), "--data"])
        .arg(folder.join("data"))
        .args(&config.args)
        // Settings of the caller must not reach the server under test.
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("ROOMFUL_")))
        .env("ROOMFUL_AUTH_SECRET", SECRET)
        .env("ROOMFUL_API_KEY", API_KEY)
        .env("ROOMFUL_PORT_FILE", folder.join("port"))
        .envs(config.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true);
    command.spawn().map_err(|error| {
        Error::Server(format!(
            "{} could not be started: {error}",
            config.binary.display()
        ))
    })
}
