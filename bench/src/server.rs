//! A candidate's server process: started on its core, watched, and killed when it is dropped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use roomful_testkit::usage::Usage;
use tempfile::TempDir;

use crate::candidate::{Candidate, Checkout, Launch, Links, Mode, SECRET};
use crate::clock;
use crate::cores::Layout;
use crate::error::BenchError;

const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// What to start, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) candidate: &'a Candidate,
    pub(crate) mode: Mode,
    pub(crate) checkout: &'a Checkout,
    pub(crate) layout: &'a Layout,
    /// The services of its cluster, if it is in one.
    pub(crate) links: Option<&'a Links>,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Starts the server on a free port and a folder, which may hold data, and waits until it accepts
    /// connections.
    pub(crate) fn start(start: &Start<'_>, folder: TempDir) -> Result<Self, BenchError> {
        let candidate = start.candidate;
        let failed = |why: String| BenchError::Start {
            what: candidate.label.to_owned(),
            why,
        };
        let port = free_port().map_err(|error| failed(error.to_string()))?;
        let launch = Launch {
            port,
            mode: start.mode,
            folder: folder.path(),
            links: start.links,
        };
        let command = (candidate.command)(start.checkout, &launch);
        let log = folder.path().join("log");
        let child = spawn(&command, &log, start.layout).map_err(|error| failed(error.to_string()))?;
        let mut server = Self {
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
            folder,
        };
        server.wait_ready(candidate.ready).map_err(failed)?;
        Ok(server)
    }

    fn wait_ready(&mut self, path: Option<&str>) -> Result<(), String> {
        let start = clock::now();
        while !self.is_ready(path) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}; {}", self.log_tail()));
            }
            if clock::now() - start > clock::nanos(PATIENCE) {
                let seconds = PATIENCE.as_secs();
                return Err(format!("it was not ready after {seconds} s; {}", self.log_tail()));
            }
            // There is no event for another process's readiness, so poll.
            std::thread::sleep(STEP);
        }
        Ok(())
    }

    fn is_ready(&self, path: Option<&str>) -> bool {
        match path {
            Some(path) => self.get(path).starts_with("HTTP/1.1 200"),
            None => TcpStream::connect_timeout(&self.addr, Duration::from_secs(1)).is_ok(),
        }
    }

    /// Its address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Memory and processor time so far.
    pub(crate) fn usage(&self) -> Result<Usage, BenchError> {
        Usage::of(self.child.id()).map_err(BenchError::Usage)
    }

    /// The body of a GET; empty if there is no answer in time.
    pub(crate) fn get(&self, path: &str) -> String {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.addr
        );
        let mut answer = String::new();
        let asked = TcpStream::connect(self.addr).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            stream.read_to_string(&mut answer)
        });
        match asked {
            Ok(_) => answer,
            Err(_) => String::new(),
        }
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        const LINES: usize = 5;
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LINES)..].join(" | ");
        format!("its log ends with: {tail}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: &Command, log: &Path, layout: &Layout) -> std::io::Result<Child> {
    let log = std::fs::File::create(log)?;
    let mut words = layout.server_wrapper().into_iter();
    let mut wrapped = Command::new(words.next().unwrap_or_default());
    wrapped
        .args(words)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        wrapped.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
        .env("BENCH_SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
