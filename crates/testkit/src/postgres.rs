//! A real PostgreSQL, run on a temporary folder and a free port; killed, paused, restarted, copied and
//! put back at will.
//!
//! Its processes are children of a small shell that reads a pipe of ours: however the test's process
//! ends, the pipe ends with it, the server is stopped, and its folder removed. So one server may serve
//! all tests of a binary from a `static`. PostgreSQL refuses to run as root: as root, it runs as the user
//! `postgres`, or `nobody`. All calls block.

use std::{
    fs, io,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, getuid, kill_process};
use tokio::time::Instant;

use crate::{Error, PATIENCE, ports::free_port};

/// The one user of the server, who may do all.
const USER: &str = "roomful";
/// Attempts with another port if another process takes the free one first.
const PORTS: usize = 5;

/// Waits for a signal's name, or the end of the pipe; then ends the server, and removes its folder if it
/// is marked.
const KEEPER: &str = r#"folder=$1; shift
"$@" </dev/null >>"$folder/log" 2>&1 &
echo $! >"$folder/pid"
read -r how || how=QUIT
kill "-$how" "$(cat "$folder/pid")" 2>/dev/null; kill -CONT "$(cat "$folder/pid")" 2>/dev/null
wait
if [ -e "$folder/remove" ]; then rm -rf "$folder"; fi"#;

/// A running PostgreSQL. Dropping it ends the server and removes its data.
#[derive(Debug)]
pub struct PostgresServer {
    folder: PathBuf,
    binaries: PathBuf,
    port: u16,
    owner: Option<Owner>,
    settings: Mutex<Vec<String>>,
    keeper: Mutex<Child>,
    databases: AtomicU32,
}

/// Whom the server runs as, where we are root.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl PostgresServer {
    /// Makes one and waits until it answers.
    ///
    /// # Errors
    /// [`Error::Postgres`] if PostgreSQL is not installed, or does not answer in time.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// Makes one with further settings, such as `fsync=off`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(settings: &[&str]) -> Result<Self, Error> {
        let mut failure = None;
        for _ in 0..PORTS {
            let server = Self::make(settings)?;
            match server.wait_ready() {
                Ok(()) => return Ok(server),
                Err(error) if server.log().contains("Address already in use") => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Postgres("no port is free".into())))
    }

    /// Makes one that speaks TLS, by a certificate and its key as PEM.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_tls(certificate: &str, key: &str) -> Result<Self, Error> {
        let server = Self::start()?;
        server.stop()?;
        for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
            let path = server.folder.join("data").join(name);
            let mut options = fs::File::options();
            std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
            let mut file = options.open(&path).map_err(Error::io("writing a certificate"))?;
            file.write_all(pem.as_bytes())
                .map_err(Error::io("writing a certificate"))?;
            if let Some(owner) = server.owner {
                std::os::unix::fs::chown(&path, Some(owner.uid), Some(owner.gid))
                    .map_err(Error::io("giving a certificate away"))?;
            }
        }
        let settings = vec!["ssl=on".to_owned()];
        *server.settings.lock() = settings;
        server.restart()?;
        Ok(server)
    }

    fn make(settings: &[&str]) -> Result<Self, Error> {
        let binaries = binaries()?;
        let folder = tempfile::Builder::new().prefix("pg-").tempdir();
        let folder = folder.map_err(Error::io("making a temporary folder"))?.keep();
        let owner = owner()?;
        if let Some(owner) = owner {
            std::os::unix::fs::chown(&folder, Some(owner.uid), Some(owner.gid))
                .map_err(Error::io("giving a folder away"))?;
        }
        let data = folder.join("data");
        let mut initdb = command(&binaries.join("initdb"), owner);
        initdb
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", USER, "--auth", "trust"]);
        initdb.args(["--encoding", "UTF8", "--locale", "C", "--no-sync"]);
        run(initdb, "initdb")?;
        fs::write(folder.join("remove"), "").map_err(Error::io("marking a folder"))?;
        let port = free_port()?;
        let settings: Vec<_> = settings.iter().map(ToString::to_string).collect();
        let keeper = keep(&folder, &binaries, port, owner, &settings)?;
        Ok(Self {
            folder,
            binaries,
            port,
            owner,
            settings: Mutex::new(settings),
            keeper: Mutex::new(keeper),
            databases: AtomicU32::new(0),
        })
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database, and answers its URL.
    pub fn new_database(&self) -> Result<String, Error> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Runs statements in a database, and answers what `psql` prints of their rows.
    pub fn sql(&self, database: &str, statements: &str) -> Result<String, Error> {
        let mut psql = command(&self.binaries.join("psql"), self.owner);
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set",
            "ON_ERROR_STOP=1",
        ]);
        psql.args(["--dbname", &self.url(database), "--command", statements]);
        run(psql, "psql")
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its processes now: the first one, those that serve a connection each, and those that write in the
    /// background.
    pub fn processes(&self) -> Result<Vec<u32>, Error> {
        let first = self.postmaster()?;
        let all = children(first).into_iter().chain([first]);
        Ok(all.map(i32::cast_unsigned).collect())
    }

    /// Its log since the first start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Kills all its processes without warning (SIGKILL).
    pub fn kill9(&self) -> Result<(), Error> {
        let children = children(self.postmaster()?);
        self.signal_all(Signal::KILL)?;
        self.wait_ended("KILL")?;
        // They are nobody's children now, and as long as one is there the memory that they share is.
        while children
            .iter()
            .any(|pid| Path::new(&format!("/proc/{pid}")).exists())
        {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops it with a fast shutdown (SIGINT), which ends open transactions.
    pub fn stop(&self) -> Result<(), Error> {
        self.wait_ended("INT")
    }

    /// Starts it again on the same data and the same port, after it was killed or stopped.
    pub fn restart(&self) -> Result<(), Error> {
        let pid = self.folder.join("data/postmaster.pid");
        match fs::remove_file(&pid) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("removing postmaster.pid")(error));
            }
            _ => {}
        }
        *self.keeper.lock() = keep(
            &self.folder,
            &self.binaries,
            self.port,
            self.owner,
            &self.settings.lock(),
        )?;
        self.wait_ready()
    }

    /// Stops all its processes in their tracks (SIGSTOP): connections stay, but nobody answers.
    pub fn pause(&self) -> Result<(), Error> {
        self.signal_all(Signal::STOP)
    }

    /// Lets them go on after a pause (SIGCONT).
    pub fn resume(&self) -> Result<(), Error> {
        self.signal_all(Signal::CONT)
    }

    /// The folder with the files of all tables and indexes, without the write-ahead log.
    pub fn tables(&self) -> PathBuf {
        self.folder.join("data/base")
    }

    /// Copies the data of a stopped server aside. Answers where it is.
    pub fn copy_data(&self) -> Result<PathBuf, Error> {
        let copy = self
            .folder
            .join(format!("copy{}", self.databases.fetch_add(1, Ordering::Relaxed)));
        self.copy(&self.folder.join("data"), &copy)?;
        Ok(copy)
    }

    /// Puts such a copy in the place of the data of a stopped server.
    pub fn put_back(&self, copy: &Path) -> Result<(), Error> {
        let data = self.folder.join("data");
        fs::remove_dir_all(&data).map_err(Error::io("removing data"))?;
        self.copy(copy, &data)
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let mut cp = command(Path::new("cp"), self.owner);
        cp.arg("-a").arg(from).arg(to);
        run(cp, "cp").map(drop)
    }

    fn postmaster(&self) -> Result<i32, Error> {
        let pid = fs::read_to_string(self.folder.join("pid")).ok();
        let pid = pid.and_then(|pid| pid.trim().parse().ok());
        pid.ok_or_else(|| self.failure("left no process id"))
    }

    fn signal_all(&self, what: Signal) -> Result<(), Error> {
        let postmaster = self.postmaster()?;
        // It first, so that it makes no more.
        signal(postmaster, what)?;
        for child in children(postmaster) {
            // One that has ended meanwhile needs none.
            let _ = signal(child, what);
        }
        Ok(())
    }

    /// Has it ended by a signal, and waits for that.
    fn wait_ended(&self, signal: &str) -> Result<(), Error> {
        let mut keeper = self.keeper.lock();
        fs::remove_file(self.folder.join("remove")).map_err(Error::io("keeping a folder"))?;
        if let Some(mut pipe) = keeper.stdin.take() {
            writeln!(pipe, "{signal}").map_err(Error::io("telling PostgreSQL's keeper"))?;
        }
        let ended = keeper.wait().map_err(Error::io("waiting for PostgreSQL to end"));
        fs::write(self.folder.join("remove"), "").map_err(Error::io("marking a folder"))?;
        ended.map(drop)
    }

    /// Waits until it answers.
    fn wait_ready(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut ready = command(&self.binaries.join("pg_isready"), self.owner);
            ready.args(["--quiet", "--host", "127.0.0.1", "--port", &self.port.to_string()]);
            if run(ready, "pg_isready").is_ok() {
                return Ok(());
            }
            if self.log().contains("Address already in use") {
                return Err(self.failure("found its port in use"));
            }
            if Instant::now() > deadline {
                return Err(self.failure("was not ready in time"));
            }
            // A process that does not listen yet gives no event to wait for.
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn failure(&self, what: &str) -> Error {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        Error::Postgres(format!("postgres {what}; its log ends with:\n{tail}"))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut();
        drop(keeper.stdin.take());
        // A paused one would not see that it shall end.
        if let Ok(pid) = fs::read_to_string(self.folder.join("pid"))
            && let Ok(pid) = pid.trim().parse()
        {
            for child in children(pid) {
                let _ = signal(child, Signal::CONT);
            }
        }
        let _ = keeper.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Starts the server under its keeper.
fn keep(
    folder: &Path,
    binaries: &Path,
    port: u16,
    owner: Option<Owner>,
    settings: &[String],
) -> Result<Child, Error> {
    let mut keeper = command(Path::new("sh"), owner);
    keeper.arg("-c").arg(KEEPER).arg("keeper").arg(folder);
    keeper
        .arg(binaries.join("postgres"))
        .arg("-D")
        .arg(folder.join("data"));
    keeper
        .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"])
        .arg(folder);
    for setting in settings {
        keeper.arg("-c").arg(setting);
    }
    // The pipe is the only thing of ours that the server's processes may keep open.
    keeper
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Not to be ended by the terminal's Ctrl-C before its test has ended.
    keeper.process_group(0);
    keeper.spawn().map_err(Error::io("starting PostgreSQL"))
}

fn command(program: &Path, owner: Option<Owner>) -> Command {
    let mut command = Command::new(program);
    if let Some(owner) = owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    // The folder we are in may be closed to that user.
    command.current_dir("/").env("LC_ALL", "C");
    command
}

/// Runs a command and returns its output.
fn run(mut command: Command, name: &str) -> Result<String, Error> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::Postgres(format!("{name} could not be started: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(Error::Postgres(format!(
        "{name} failed with {}: {said}",
        output.status
    )))
}

fn signal(pid: i32, what: Signal) -> Result<(), Error> {
    let pid = Pid::from_raw(pid).ok_or_else(|| Error::Postgres("no such process".into()))?;
    kill_process(pid, what).map_err(|error| Error::io("sending a signal to PostgreSQL")(error.into()))
}

/// The processes that the server has made.
fn children(parent: i32) -> Vec<i32> {
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // `pid (name) state ppid`; the name may hold anything.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(1).and_then(|ppid| ppid.parse().ok()) == Some(parent)
    };
    ids.filter(is_child).collect()
}

/// Where PostgreSQL's programs are: in PATH, or where Debian puts the newest of them.
fn binaries() -> Result<PathBuf, Error> {
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&in_path).collect();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    versions.sort_unstable();
    folders.extend(versions.into_iter().rev().map(|(_, path)| path));
    let whole = |folder: &PathBuf| {
        ["initdb", "postgres", "psql", "pg_isready"]
            .iter()
            .all(|name| folder.join(name).exists())
    };
    let found = folders.into_iter().find(whole);
    found.ok_or_else(|| Error::Postgres("PostgreSQL is not installed; install the package postgresql".into()))
}

fn owner() -> Result<Option<Owner>, Error> {
    if !getuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").map_err(Error::io("reading /etc/passwd"))?;
    let find = |wanted: &str| {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Owner { uid, gid })
    };
    let owner = find("postgres").or_else(|| find("nobody"));
    owner.map(Some).ok_or_else(|| {
        Error::Postgres("PostgreSQL does not run as root, and there is no user postgres or nobody".into())
    })
}
