//! A run on one node: rounds of traffic with faults and kills, and an audit after each.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::history::Checker;
use roomful_testkit::proxy::Proxy;
use roomful_testkit::{ServerProcess, http, server};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client_pool::{ClientPool, DEVICES};
use crate::disk::Disk;
use crate::error::TortureError;
use crate::log_reader::LogReader;
use crate::moderation::{Moderation, Node, Setup, Storage};
use crate::nemesis::{Fault, FaultTarget, next_fault};
use crate::package;
use crate::poster::Poster;
use crate::report::Report;
use crate::run_state::RunState;

/// How long a healthy server may take to acknowledge everything, and all clients to catch up.
pub(crate) const RECOVERY: Duration = Duration::from_mins(1);
/// The server's settings: keep everything, refuse nobody, notice a dead connection soon.
pub(crate) const SETTINGS: [(&str, &str); 6] = [
    ("ROOMFUL_LIMITS", "off"),
    ("ROOMFUL_LOG", "warn"),
    ("ROOMFUL__HISTORY__MAX_MESSAGES", "100000000"),
    ("ROOMFUL__SOCKET__PING_INTERVAL", "1s"),
    ("ROOMFUL__SOCKET__PING_TIMEOUT", "1500ms"),
    ("ROOMFUL__AUTH__LEEWAY", "0s"),
];

/// Options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides who does what, and the order of faults.
    pub seed: u64,
    /// Number of rounds, each with one kill.
    pub rounds: u64,
    /// Messages to acknowledge, over all rounds.
    pub messages: u64,
    /// The faults to choose from.
    pub faults: Vec<Fault>,
    /// The server binary.
    pub binary: PathBuf,
    /// Additional environment of the server.
    pub env: Vec<(String, String)>,
    /// Ban, mute and erase users and rotate keys meanwhile.
    pub moderation: bool,
    /// Number of devices that run the client package, which must be built.
    pub package_devices: usize,
    /// Continue after a violation.
    pub go_on: bool,
    /// Print each round to standard error.
    pub progress: bool,
}

impl Options {
    /// A short run of the server named by `ROOMFUL_BIN`, or of the `roomful` beside this program.
    ///
    /// # Errors
    /// [`TortureError::NoBinary`] if there is none.
    pub fn new(seed: u64) -> Result<Self, TortureError> {
        Self::with_binary(seed, None)
    }

    /// Like [`new`](Self::new), with the given server if there is one.
    pub fn with_binary(seed: u64, binary: Option<PathBuf>) -> Result<Self, TortureError> {
        let sibling = || {
            let program = std::env::current_exe().unwrap_or_default();
            // A test binary is one folder deeper.
            let folders = program.ancestors().skip(1).take(2);
            let mut candidates = folders.map(|folder| folder.join("roomful"));
            candidates.find(|path| path.is_file()).unwrap_or("roomful".into())
        };
        let named = binary.or_else(|| std::env::var_os("ROOMFUL_BIN").map(PathBuf::from));
        let binary = named.unwrap_or_else(sibling);
        if !binary.is_file() {
            return Err(TortureError::NoBinary(binary));
        }
        Ok(Self {
            seed,
            rounds: 5,
            messages: 2_000,
            faults: Fault::COMMON.to_vec(),
            binary,
            env: Vec::new(),
            moderation: true,
            package_devices: 0,
            go_on: false,
            progress: false,
        })
    }
}

/// Runs the torture. Ends early on a violation, unless told to continue.
///
/// # Errors
/// If the run itself failed; the report lists violations.
pub async fn run(options: Options) -> Result<Report, TortureError> {
    let disk = if options.faults.contains(&Fault::FullDisk) {
        Disk::small()?
    } else {
        Disk::Ordinary
    };
    let mut run = Run::start(options, disk).await?;
    let started = Instant::now();
    for round in 0..run.options.rounds {
        run.round(round).await?;
        run.progress(round);
        if !run.report.sound() && !run.options.go_on {
            run.report.took = started.elapsed();
            return Ok(run.report);
        }
    }
    run.finish_moderation().await?;
    run.report.took = started.elapsed();
    Ok(run.report)
}

struct Run {
    options: Options,
    rng: StdRng,
    server: ServerProcess,
    state: Arc<RunState>,
    client_pool: ClientPool,
    /// Ends with the run.
    _posting: JoinSet<()>,
    moderation: Option<Moderation>,
    package: Option<package::Devices>,
    checker: Checker,
    reader: LogReader,
    report: Report,
    /// Last, so that it is unmounted after all users of it are gone.
    disk: Disk,
}

impl Run {
    async fn start(options: Options, disk: Disk) -> Result<Self, TortureError> {
        let mut config = server::Config::new(&options.binary);
        config.folder = disk.folder();
        let settings = SETTINGS.map(|(name, text)| (name.to_owned(), text.to_owned()));
        config.env.extend(settings.into_iter().chain(options.env.clone()));
        // An erased user is nowhere once it is over.
        config = config.env("ROOMFUL__PRESENCE__GRACE", "1s");
        let setup = options.moderation.then(Setup::new).transpose()?;
        if let Some(setup) = &setup {
            setup.apply(&mut config);
        }
        let server = ServerProcess::start_with(config).await?;
        let run_state = Arc::new(RunState::new(server.secret()));
        let mut proxies = Vec::new();
        for _ in 0..DEVICES {
            proxies.push(Proxy::start(server.addr()).await?);
        }
        let client_pool = ClientPool::start(&run_state, proxies, options.seed);
        let poster = Poster {
            run_state: Arc::clone(&run_state),
            users: client_pool.users.clone(),
            addrs: vec![server.addr()],
            api_key: server.api_key(),
            seed: options.seed,
        };
        let mut posting = JoinSet::new();
        posting.spawn(poster.run());
        let node = Node {
            addr: server.addr(),
            process: server.handle(),
        };
        let access = package::Access {
            server: server.addr(),
            lines: client_pool.proxies.iter().map(Proxy::addr).collect(),
            secret: server.secret(),
            api_key: server.api_key(),
        };
        let package = (options.package_devices > 0)
            .then(|| package::Devices::start(options.package_devices, &access))
            .transpose()?;
        let moderation = setup.map(|setup| Moderation::start(setup, &run_state, vec![node], options.seed));
        Ok(Self {
            rng: StdRng::seed_from_u64(options.seed),
            report: Report {
                seed: options.seed,
                ..Report::default()
            },
            options,
            server,
            state: run_state,
            client_pool,
            _posting: posting,
            moderation,
            package,
            checker: Checker::default(),
            reader: LogReader::default(),
            disk,
        })
    }

    /// Half of the round's messages meet a fault, the other half a kill.
    async fn round(&mut self, round: u64) -> Result<(), TortureError> {
        let quota = (self.options.messages / self.options.rounds).max(20);
        let base = self.state.acknowledged();
        let (half, all) = (base + quota / 2, base + quota);

        if let Some(devices) = &mut self.package {
            devices.write().await?;
        }
        self.state.allow(quota / 4);
        let early = base + self.rng.random_range(1..=quota / 8);
        self.state.wait_acknowledged(early).await;
        if let Some(fault) = next_fault(&mut self.options.faults, round, &mut self.rng) {
            self.report.faults.push(fault);
            self.inject(fault, quota / 2 - quota / 4, half).await?;
        }

        self.state.allow(quota - quota / 2);
        let late = half + self.rng.random_range(0..=quota / 4);
        self.state.wait_acknowledged(late).await;
        let metrics = http::get(self.server.addr(), "/metrics").await?;
        self.report.count_closed(&metrics.text());
        if let Some(moderation) = &mut self.moderation {
            moderation.before_kill().await;
        }
        self.server.kill9().await?;
        self.report.kills += 1;
        self.report.met += u64::from(self.state.acknowledged() < all);
        self.server.restart().await?;

        if !self.state.wait_acknowledged(all).await {
            let now = self.state.acknowledged();
            self.state
                .add_problem(format!("{} messages were never acknowledged", all - now));
        }
        self.report.acknowledged = self.state.acknowledged();
        (self.report.claims, self.report.recovered) = self.state.reconnects();
        self.audit(round + 1 == self.options.rounds).await
    }

    async fn inject(&mut self, fault: Fault, messages: u64, acknowledged: u64) -> Result<(), TortureError> {
        let mut target = FaultTarget {
            run_state: &self.state,
            client_pool: &self.client_pool,
            disk: &self.disk,
            rng: &mut self.rng,
            messages,
            acknowledged,
        };
        target.inject(fault).await
    }

    /// When all is quiet: reads the logs, waits until all devices have them, and checks the laws.
    async fn audit(&mut self, whole: bool) -> Result<(), TortureError> {
        self.client_pool.discard_shared_messages();
        let quiet = || self.client_pool.quiet() && !self.state.has_unposted_notices();
        if !self.state.wait_until(RECOVERY, quiet).await {
            self.state
                .add_problem("some operations were never answered".to_owned());
        }
        let (addr, secret) = (self.server.addr(), self.server.secret());
        let audits = self
            .reader
            .read(addr, secret, &self.client_pool.rooms, whole)
            .await?;
        self.client_pool.wait_for_all(&self.state, &audits).await;
        let events = self.state.recorder.take();
        self.report.check_laws(&mut self.checker, events, &audits);
        if let Some(devices) = &mut self.package {
            self.report.package = Some(devices.check().await?);
        }
        self.report.moderation = self.moderation.as_ref().map(Moderation::report);
        self.report.problems = self.state.problems();
        Ok(())
    }

    async fn finish_moderation(&mut self) -> Result<(), TortureError> {
        if let Some(moderation) = self.moderation.take() {
            let storage = Storage::Folder(self.server.data());
            self.report.moderation = Some(moderation.finish(storage).await?);
            self.report.problems = self.state.problems();
        }
        Ok(())
    }

    fn progress(&self, round: u64) {
        if self.options.progress {
            let fault = self
                .report
                .faults
                .last()
                .map(ToString::to_string)
                .unwrap_or_default();
            // Ignore errors: a run should not end because it cannot print its progress.
            let _ = writeln!(
                std::io::stderr(),
                "round {}/{}: {} acknowledged; {fault}, kill",
                round + 1,
                self.options.rounds,
                self.report.acknowledged
            );
        }
    }
}
