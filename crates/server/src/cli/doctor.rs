//! `roomful doctor`: checks the machine and the settings for problems, and suggests fixes.

mod exposure;

use std::{
    fmt,
    net::{TcpListener, ToSocketAddrs as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::ExitCode,
    time::Duration,
};

use roomful_store::SchemaState;
use rustix::process::{Resource, getrlimit};
use tokio::{runtime::Runtime, time::timeout};

use super::{Failure, print};
use crate::{
    clock,
    clock_skew::Skew,
    cluster,
    config::{Auth, Config, Issuer, Stream},
    exposure::{API_KEY, secrets},
    http::assets::{Assets, BUILT},
    issuers, lifecycle,
    open_files::OWN_FILES,
    secret::Keys,
    store,
    streams::{self, StreamCheck},
};

/// Free bytes below which doctor warns, and below which it fails.
const LITTLE_SPACE: u64 = 1 << 30;
const NO_SPACE: u64 = 64 << 20;
/// 2026-01-01 in seconds since 1970: a clock before that is wrong, since this program is younger.
const BUILT_AFTER: u64 = 1_767_225_600;

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of output.
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
    // Opening the store may create files, with the server's permissions.
    lifecycle::keep_files_private();
    let (store, opened) = check_store(config);
    let (identity, skew) = opened.map_or((None, None), |opened| (Some(opened.identity), opened.skew));
    let mut findings = vec![
        data_folder(&config.data),
        secret(config),
        free_space(&config.data),
        store,
        bus(config, identity.as_deref()),
    ];
    findings.extend(api_keys(config));
    findings.extend(other_secrets(config));
    findings.extend(
        config
            .secret_files
            .iter()
            .chain([&config.http.tls.key])
            .filter_map(|file| exposure::secret_file(file)),
    );
    findings.extend(
        config
            .auth
            .issuers
            .iter()
            .map(|entry| issuer(&config.auth, entry)),
    );
    findings.extend(config.streams.iter().map(stream));
    findings.extend([port(&config.listen), open_files(config), wall_clock(skew)]);
    findings.extend(exposure::findings(config));
    findings.push(page());
    let worst = findings
        .iter()
        .map(|finding| finding.verdict)
        .max()
        .unwrap_or(Verdict::Ok);
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    print(&format!("{}\n", lines.join("\n")))?;
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
            format!("{shown} does not exist yet; the first start creates it"),
        );
    };
    if !metadata.is_dir() {
        return finding(
            Verdict::Fail,
            format!("{shown} is not a folder; set `data` to a folder"),
        );
    }
    if let Err(error) = try_create_file(folder) {
        return finding(
            Verdict::Fail,
            format!("cannot write to {shown} ({error}); make the server's user its owner"),
        );
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!(
            "other users can enter {shown} (mode {mode:03o}); run `chmod 700 {shown}` to keep messages \
             private"
        );
        return finding(Verdict::Warn, text);
    }
    finding(Verdict::Ok, format!("only the server's user can enter {shown}"))
}

/// Creates a file in the folder and removes it.
fn try_create_file(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".doctor.{:016x}", rand::random::<u64>()));
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    std::fs::remove_file(&probe)
}

fn secret(config: &Config) -> Finding {
    let finding = |verdict, text: String| finding("secret", verdict, text);
    let keys = match Keys::read(config) {
        Ok(keys) => keys,
        Err(error) => return finding(Verdict::Fail, error.to_string()),
    };
    if config.bus.is_shared() && keys.is_generated_here(config) {
        let text = "this node generated its own secret; set the same auth.secret on all nodes";
        return finding(Verdict::Warn, text.to_owned());
    }
    let Some(secret) = keys.secret() else {
        let text = if keys.is_complete() {
            "auth.keys verify tokens"
        } else {
            "the first start generates one in the data folder"
        };
        return finding(Verdict::Ok, text.to_owned());
    };
    let generated = config.secret_path();
    if let Ok(metadata) = generated.metadata()
        && config.auth.secret.expose().is_none()
        && metadata.permissions().mode() & 0o077 != 0
    {
        let shown = generated.display();
        return finding(
            Verdict::Fail,
            format!("other users can read {shown}; run `chmod 600 {shown}`"),
        );
    }
    exposure::strength("secret", secret)
}

fn api_keys(config: &Config) -> Vec<Finding> {
    let keys: Vec<_> = secrets(config)
        .into_iter()
        .filter(|secret| secret.subject == API_KEY)
        .map(|secret| exposure::strength(secret.subject, secret.value))
        .collect();
    if keys.is_empty() {
        return vec![finding(API_KEY, Verdict::Ok, "not set: the HTTP API is closed")];
    }
    keys
}

/// The weak ones among the secrets that are neither `auth.secret` nor API keys.
fn other_secrets(config: &Config) -> Vec<Finding> {
    secrets(config)
        .into_iter()
        .filter(|secret| secret.key != "auth.secret" && secret.subject != API_KEY)
        .map(|secret| exposure::strength(secret.subject, secret.value))
        .filter(|finding| finding.verdict != Verdict::Ok)
        .collect()
}

/// Fetches the keys of one entry of `auth.issuers`.
fn issuer(auth: &Auth, issuer: &Issuer) -> Finding {
    let finding = |verdict, text: &str| finding("issuer", verdict, format!("{}: {text}", issuer.issuer));
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return finding(Verdict::Fail, &error.to_string()),
    };
    match runtime.block_on(issuers::check(auth, issuer)) {
        Ok(_) if issuer.audience().is_empty() => finding(
            Verdict::Warn,
            "its tokens for any other app are valid here, too; set its audience",
        ),
        Ok(keys) => finding(Verdict::Ok, &format!("{keys} keys")),
        Err(what) => finding(
            Verdict::Fail,
            &format!("{what}; until then its tokens are refused"),
        ),
    }
}

fn free_space(folder: &Path) -> Finding {
    let finding = |verdict, text: String| finding("disk space", verdict, text);
    // If the folder does not exist yet, its nearest ancestor is on the same disk.
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
                    format!("{text}; sends will fail: free some space or move `data`"),
                ),
                NO_SPACE..LITTLE_SPACE => finding(
                    Verdict::Warn,
                    format!("{text}; free some space or shorten [history]"),
                ),
                _ => finding(Verdict::Ok, text),
            }
        }
        Err(error) => finding(Verdict::Warn, format!("failed to read it: {error}")),
    }
}

/// What the check of the store has found for the other checks.
struct OpenedStore {
    identity: String,
    skew: Option<Skew>,
}

/// Checks an existing store without changing its schema. Also returns the database's identity, if it opened.
fn check_store(config: &Config) -> (Finding, Option<OpenedStore>) {
    let finding = |verdict, text: String| finding("store", verdict, text);
    match roomful_store::schema_state(&config.store_url()) {
        Ok(SchemaState::Missing) => {
            let text = "not there yet; the first start creates it".to_owned();
            return (finding(Verdict::Ok, text), None);
        }
        Ok(SchemaState::Older { found, supported }) => {
            let text =
                format!("the next start upgrades its schema from {found} to {supported}; back it up first");
            return (finding(Verdict::Warn, text), None);
        }
        Ok(_) => {}
        Err(error) => return (finding(Verdict::Fail, error.to_string()), None),
    }
    let check = || -> Result<OpenedStore, String> {
        let store = store::open_as_guest(config).map_err(|error| error.to_string())?;
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let checks = async {
                store.check().await?;
                Skew::measure(&*store).await
            };
            let checked = timeout(Duration::from_secs(10), checks).await;
            store.close().await;
            let skew = checked
                .map_err(|_| "the store did not answer within 10 s".to_owned())?
                .map_err(|error| error.to_string())?;
            let identity = store.identity().to_owned();
            Ok(OpenedStore { identity, skew })
        })
    };
    match check() {
        Ok(opened) => {
            let text = "opened, read and written".to_owned();
            (finding(Verdict::Ok, text), Some(opened))
        }
        Err(what) => (finding(Verdict::Fail, what), None),
    }
}

/// Checks the bus, and counts the nodes that share the database if its identity is known.
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
        // The bus connects in the background.
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
            "Redis answers, but the store is a local file, so nodes share no messages; set store.url to \
             postgres://…"
                .to_owned(),
        ),
        Ok(nodes) => {
            let nodes = identity.map(|_| format!("; live nodes of this database: {nodes}"));
            finding(Verdict::Ok, format!("Redis answers{}", nodes.unwrap_or_default()))
        }
        Err(what) => finding(Verdict::Fail, format!("{what}; without the bus no node is ready")),
    }
}

fn stream(stream: &Stream) -> Finding {
    let finding = |verdict, text: &str| finding("stream", verdict, format!("{}: {text}", stream.name()));
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return finding(Verdict::Fail, &error.to_string()),
    };
    match runtime.block_on(streams::check(stream)) {
        StreamCheck::Ok => finding(Verdict::Ok, "Redis answers and persists entries"),
        StreamCheck::Warning(what) => finding(Verdict::Warn, &what),
        StreamCheck::Failed(what) => finding(Verdict::Fail, &format!("{what}; until then its records wait")),
    }
}

fn port(listen: &str) -> Finding {
    let finding = |verdict, text: String| finding("port", verdict, text);
    let addresses = match listen.to_socket_addrs() {
        Ok(addresses) => addresses.collect::<Vec<_>>(),
        Err(error) => return finding(Verdict::Fail, format!("failed to resolve {listen}: {error}")),
    };
    match TcpListener::bind(addresses.as_slice()) {
        Ok(_) => finding(Verdict::Ok, format!("{listen} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let text =
                format!("{listen} is in use, perhaps by this server; otherwise choose another with --listen");
            finding(Verdict::Warn, text)
        }
        Err(error) => finding(Verdict::Fail, format!("failed to listen on {listen}: {error}")),
    }
}

fn open_files(config: &Config) -> Finding {
    let finding = |verdict, text: String| finding("open files", verdict, text);
    let limit = getrlimit(Resource::Nofile);
    // At start the server raises its soft limit to the hard one.
    let Some(most) = limit.maximum else {
        return finding(Verdict::Ok, "no limit".to_owned());
    };
    let wanted = config.limits.connections as u64 + OWN_FILES;
    let hint = "raise it with LimitNOFILE in the systemd unit, or `ulimit -Hn`";
    if wanted > most {
        let text = format!("the limit is {most}, but limits.connections needs {wanted}; {hint}");
        return finding(Verdict::Fail, text);
    }
    if most < 4096 {
        return finding(
            Verdict::Warn,
            format!("the limit is {most}, which also limits connections; {hint}"),
        );
    }
    finding(Verdict::Ok, format!("the limit is {most}"))
}

/// Checks the machine's clock. `skew` is its difference from the database's, if that has its own.
fn wall_clock(skew: Option<Skew>) -> Finding {
    let now = clock::unix_seconds();
    if now < BUILT_AFTER {
        return finding(
            "clock",
            Verdict::Fail,
            "this machine's clock is before 2026, so the server would refuse tokens; set it (NTP)",
        );
    }
    if let Some(skew) = skew.filter(|skew| skew.is_far()) {
        let seconds = skew.seconds();
        let side = if seconds > 0.0 { "ahead of" } else { "behind" };
        let text = format!(
            "this machine's clock is {:.1} s {side} PostgreSQL's; set both by NTP",
            seconds.abs()
        );
        return finding("clock", Verdict::Warn, text);
    }
    finding("clock", Verdict::Ok, format!("{now} seconds since 1970"))
}

fn page() -> Finding {
    if Assets::is_built(BUILT) {
        return finding("page", Verdict::Ok, "built into this binary");
    }
    finding(
        "page",
        Verdict::Warn,
        "not built into this binary; `make run` builds it. Clients connect without it",
    )
}
