//! `roomful doctor`: looks at everything the server needs from the machine, and says what to do about what is missing.
//! It leaves nothing behind but a store that was made, as the server would make it.

use std::{
    fmt,
    net::{TcpListener, ToSocketAddrs as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::ExitCode,
    time::Duration,
};

use rustix::process::{Resource, getrlimit};
use tokio::{runtime::Runtime, time::timeout};

use super::{Failure, answer};
use crate::{
    clock, cluster,
    config::{Config, MIN_SECRET_BYTES, Stream},
    http::assets::{Assets, BUILT},
    lifecycle,
    open_files::OWN_FILES,
    secret::Keys,
    store,
    streams::{self, Checkup},
};

/// Free space below which the disk will be full soon, and below which it is too late.
const LITTLE_SPACE: u64 = 1 << 30;
const NO_SPACE: u64 = 64 << 20;
/// 2026-01-01: a clock before it is wrong, for this program is younger.
const BUILT_AFTER: u64 = 1_767_225_600;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of the answer.
#[derive(Debug)]
struct Finding {
    subject: &'static str,
    verdict: Verdict,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        write!(f, "{verdict}  {:<11}  {}", self.subject, self.text)
    }
}

fn finding(subject: &'static str, verdict: Verdict, text: impl Into<String>) -> Finding {
    Finding {
        subject,
        verdict,
        text: text.into(),
    }
}

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    // The store may be made here, and should be as the server makes it.
    lifecycle::keep_files_private();
    let (store, identity) = opened_store(config);
    let mut findings = vec![
        data_folder(&config.data),
        secret(config),
        api_key(config),
        free_space(&config.data),
        store,
        bus(config, identity.as_deref()),
    ];
    findings.extend(config.streams.iter().map(stream));
    findings.extend([
        port(&config.listen),
        open_files(config),
        wall_clock(),
        exposure(config),
        page(),
    ]);
    let worst = findings
        .iter()
        .map(|finding| finding.verdict)
        .max()
        .unwrap_or(Verdict::Ok);
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    answer(&format!("{}\n", lines.join("\n")))?;
    Ok(if worst == Verdict::Fail {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn data_folder(folder: &Path) -> Finding {
    let finding = |verdict, text: String| finding("data folder", verdict, text);
    let shown = folder.display();
    let Ok(metadata) = folder.metadata() else {
        return finding(
            Verdict::Ok,
            format!("{shown} is not there yet; the first start makes it"),
        );
    };
    if !metadata.is_dir() {
        return finding(Verdict::Fail, format!("{shown} is no folder; set `data` to one"));
    }
    if let Err(error) = tempfile_in(folder) {
        return finding(
            Verdict::Fail,
            format!("{shown} can't be written to ({error}); give it to the server's user"),
        );
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!(
            "{shown} can be entered by other users (mode {mode:03o}); `chmod 700 {shown}` keeps messages private"
        );
        return finding(Verdict::Warn, text);
    }
    finding(Verdict::Ok, format!("{shown} belongs to the server alone"))
}

/// Can a file be made in the folder? It is gone afterwards.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".doctor.{:016x}", rand::random::<u64>()));
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    std::fs::remove_file(&probe)
}

fn secret(config: &Config) -> Finding {
    let finding = |verdict, text: String| finding("secret", verdict, text);
    let keys = match Keys::look(config) {
        Ok(keys) => keys,
        Err(error) => return finding(Verdict::Fail, error.to_string()),
    };
    if config.bus.is_shared() && keys.is_made_here(config) {
        let text = "none is set, so this node has one of its own, which the other nodes don't know; set auth.secret, the same on all";
        return finding(Verdict::Warn, text.to_owned());
    }
    let Some(secret) = keys.secret() else {
        let text = if keys.is_complete() {
            "tokens are checked with auth.keys"
        } else {
            "the first start makes one in the data folder"
        };
        return finding(Verdict::Ok, text.to_owned());
    };
    let mut kinds: Vec<u8> = secret.bytes().collect();
    kinds.sort_unstable();
    kinds.dedup();
    // 32 random bytes as hex have about 14 kinds of characters, a phrase typed by hand often fewer.
    if kinds.len() < 10 {
        let text = format!(
            "{} different characters make it easy to guess; `openssl rand -base64 48` makes a good one",
            kinds.len()
        );
        return finding(Verdict::Warn, text);
    }
    let generated = config.secret_path();
    if let Ok(metadata) = generated.metadata()
        && config.auth.secret.expose().is_none()
        && metadata.permissions().mode() & 0o077 != 0
    {
        let shown = generated.display();
        return finding(
            Verdict::Fail,
            format!("other users can read {shown}; `chmod 600 {shown}`"),
        );
    }
    finding(Verdict::Ok, format!("{} bytes", secret.len()))
}

fn api_key(config: &Config) -> Finding {
    match config.api.key.expose() {
        None => finding("API key", Verdict::Ok, "not set: the HTTP API is closed"),
        Some(key) if key.len() < MIN_SECRET_BYTES => {
            let text = format!(
                "{} bytes are few; `openssl rand -base64 48` makes a good one",
                key.len()
            );
            finding("API key", Verdict::Warn, text)
        }
        Some(key) => finding("API key", Verdict::Ok, format!("{} bytes", key.len())),
    }
}

fn free_space(folder: &Path) -> Finding {
    let finding = |verdict, text: String| finding("disk space", verdict, text);
    // The folder may not be there yet: its nearest ancestor is on the same disk.
    let nearest = folder
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("."));
    match rustix::fs::statvfs(nearest) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{} MB free", free >> 20);
            match free {
                0..NO_SPACE => finding(
                    Verdict::Fail,
                    format!("{text}; sends will fail: make room, or move `data`"),
                ),
                NO_SPACE..LITTLE_SPACE => finding(
                    Verdict::Warn,
                    format!("{text}; make room, or keep less with [history]"),
                ),
                _ => finding(Verdict::Ok, text),
            }
        }
        Err(error) => finding(Verdict::Warn, format!("can't be read: {error}")),
    }
}

/// Also answers which database it is.
fn opened_store(config: &Config) -> (Finding, Option<String>) {
    let finding = |verdict, text: String| finding("store", verdict, text);
    let check = || -> Result<String, String> {
        let store = store::visit(config).map_err(|error| error.to_string())?;
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let checked = timeout(Duration::from_secs(10), store.check()).await;
            store.close().await;
            checked
                .map_err(|_| "it did not answer within 10 s".to_owned())?
                .map_err(|error| error.to_string())?;
            Ok(store.identity().to_owned())
        })
    };
    match check() {
        Ok(identity) => {
            let text = "opened, written durably, and read".to_owned();
            (finding(Verdict::Ok, text), Some(identity))
        }
        Err(what) => (finding(Verdict::Fail, what), None),
    }
}

/// Nodes are counted that share the database, if that is known.
fn bus(config: &Config, identity: Option<&str>) -> Finding {
    let finding = |verdict, text: String| finding("bus", verdict, text);
    if !config.bus.is_shared() {
        return finding(Verdict::Ok, "one node, in memory".to_owned());
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return finding(Verdict::Fail, error.to_string()),
    };
    let asked = runtime.block_on(async {
        let bus = cluster::open(config, identity.unwrap_or_default()).map_err(|error| error.to_string())?;
        // The connection is made in the meantime.
        let asked = timeout(Duration::from_secs(10), async {
            while bus.check().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let asked = match asked.await {
            Ok(()) => bus
                .members()
                .await
                .map(|members| members.len())
                .map_err(|error| error.to_string()),
            Err(_) => match bus.check().await {
                Ok(()) => Ok(0),
                Err(error) => Err(error.to_string()),
            },
        };
        bus.close().await;
        asked
    });
    match asked {
        Ok(_) if config.store.sqlite_file().is_some() => finding(
            Verdict::Warn,
            "Redis answers, but the store is a file of this node's own, so that it shares nothing: set store.url to postgres://…".to_owned(),
        ),
        Ok(nodes) => {
            let nodes = identity.map(|_| format!("; living nodes of this database: {nodes}"));
            finding(Verdict::Ok, format!("Redis answers{}", nodes.unwrap_or_default()))
        }
        Err(what) => finding(
            Verdict::Fail,
            format!("{what}; without it no node of the cluster is ready"),
        ),
    }
}

fn stream(stream: &Stream) -> Finding {
    let finding = |verdict, text: &str| finding("stream", verdict, format!("{}: {text}", stream.name()));
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return finding(Verdict::Fail, &error.to_string()),
    };
    match runtime.block_on(streams::check(stream)) {
        Checkup::Well => finding(Verdict::Ok, "its Redis answers, and keeps what it is given"),
        Checkup::Doubtful(what) => finding(Verdict::Warn, &what),
        Checkup::Broken(what) => finding(Verdict::Fail, &format!("{what}; until then its records wait")),
    }
}

fn port(listen: &str) -> Finding {
    let finding = |verdict, text: String| finding("port", verdict, text);
    let addresses = match listen.to_socket_addrs() {
        Ok(addresses) => addresses.collect::<Vec<_>>(),
        Err(error) => return finding(Verdict::Fail, format!("{listen} has no address: {error}")),
    };
    match TcpListener::bind(addresses.as_slice()) {
        Ok(_) => finding(Verdict::Ok, format!("{listen} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let text = format!(
                "{listen} is in use, perhaps by this server already running; else choose another with --listen"
            );
            finding(Verdict::Warn, text)
        }
        Err(error) => finding(Verdict::Fail, format!("{listen} can't be listened on: {error}")),
    }
}

fn open_files(config: &Config) -> Finding {
    let finding = |verdict, text: String| finding("open files", verdict, text);
    let limit = getrlimit(Resource::Nofile);
    // The server raises its soft limit to the hard one when it starts.
    let Some(most) = limit.maximum else {
        return finding(Verdict::Ok, "no limit".to_owned());
    };
    let wanted = config.limits.connections as u64 + OWN_FILES;
    let hint = "raise it with LimitNOFILE in the systemd unit, or `ulimit -Hn`";
    if wanted > most {
        let text = format!("{most} are allowed and limits.connections asks for {wanted}; {hint}");
        return finding(Verdict::Fail, text);
    }
    if most < 4096 {
        return finding(
            Verdict::Warn,
            format!("{most} are allowed, so no more connections than that; {hint}"),
        );
    }
    finding(Verdict::Ok, format!("{most} are allowed"))
}

fn wall_clock() -> Finding {
    let now = clock::unix_seconds();
    if now < BUILT_AFTER {
        return finding(
            "clock",
            Verdict::Fail,
            "it is before 2026 by this machine's clock; tokens will be refused: set it (NTP)",
        );
    }
    finding("clock", Verdict::Ok, format!("{now} seconds since 1970"))
}

fn exposure(config: &Config) -> Finding {
    let finding = |verdict, text: &str| finding("exposure", verdict, text);
    if config.dev.enabled && config.dev.allow_remote {
        return finding(
            Verdict::Warn,
            "dev mode is open to others: anybody who reaches the address may sign in as anyone",
        );
    }
    if !config.limits.rates {
        return finding(
            Verdict::Warn,
            "the rate limits are off; turn them on for anything but a benchmark",
        );
    }
    if config.http.origins.iter().any(|origin| origin == "*") {
        return finding(
            Verdict::Warn,
            "pages of every origin may connect; list yours in http.origins",
        );
    }
    finding(Verdict::Ok, "rate limits on, origins limited")
}

fn page() -> Finding {
    if Assets::is_built(BUILT) {
        return finding("page", Verdict::Ok, "built into this binary");
    }
    finding(
        "page",
        Verdict::Warn,
        "not built into this binary; `make run` builds it, clients connect without it",
    )
}
