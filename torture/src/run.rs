//! A run: rounds of traffic under blows and kills, and an audit at the end of each.

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

use crate::crowd::{Crowd, DEVICES};
use crate::disk::Disk;
use crate::error::TortureError;
use crate::log_reader::LogReader;
use crate::nemesis::{Blow, Field, next_blow};
use crate::poster::Poster;
use crate::report::Report;
use crate::stage::Stage;

/// How long a server that nothing ails any more may take to acknowledge everything, and everybody to catch up.
pub(crate) const RECOVERY: Duration = Duration::from_mins(1);
/// What a server is started with: it keeps everything, refuses nobody, and notices a dead line soon.
pub(crate) const SETTINGS: [(&str, &str); 6] = [
    ("ROOMFUL_LIMITS", "off"),
    ("ROOMFUL_LOG", "warn"),
    ("ROOMFUL__HISTORY__MAX_MESSAGES", "100000000"),
    ("ROOMFUL__SOCKET__PING_INTERVAL", "1s"),
    ("ROOMFUL__SOCKET__PING_TIMEOUT", "1500ms"),
    ("ROOMFUL__AUTH__LEEWAY", "0s"),
];

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides who does what and which blow falls when.
    pub seed: u64,
    /// How often the server is killed.
    pub rounds: u64,
    /// Messages to be acknowledged, over all rounds.
    pub messages: u64,
    /// The lesser blows to choose from.
    pub blows: Vec<Blow>,
    /// The server.
    pub binary: PathBuf,
    /// Its further environment.
    pub env: Vec<(String, String)>,
    /// Whether to go on when a law is broken.
    pub go_on: bool,
    /// Whether to show each round on standard error.
    pub progress: bool,
}

impl Options {
    /// A short run of the server that `ROOMFUL_BIN` names, or else of the `roomful` that lies beside this program.
    ///
    /// # Errors
    /// [`TortureError::NoBinary`] if there is none.
    pub fn new(seed: u64) -> Result<Self, TortureError> {
        Self::with_binary(seed, None)
    }

    /// As [`new`](Self::new), of the given server if there is one.
    pub fn with_binary(seed: u64, binary: Option<PathBuf>) -> Result<Self, TortureError> {
        let beside = || {
            let program = std::env::current_exe().unwrap_or_default();
            // A test's program lies one folder deeper.
            let folders = program.ancestors().skip(1).take(2);
            let mut candidates = folders.map(|folder| folder.join("roomful"));
            candidates.find(|path| path.is_file()).unwrap_or("roomful".into())
        };
        let named = binary.or_else(|| std::env::var_os("ROOMFUL_BIN").map(PathBuf::from));
        let binary = named.unwrap_or_else(beside);
        if !binary.is_file() {
            return Err(TortureError::NoBinary(binary));
        }
        Ok(Self {
            seed,
            rounds: 5,
            messages: 2_000,
            blows: Blow::COMMON.to_vec(),
            binary,
            env: Vec::new(),
            go_on: false,
            progress: false,
        })
    }
}

/// Carries out a run. It ends early when a law is broken, unless it is to go on.
///
/// # Errors
/// If the run itself could not be carried out; a broken law is in the report.
pub async fn run(options: Options) -> Result<Report, TortureError> {
    let disk = if options.blows.contains(&Blow::FullDisk) {
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
            break;
        }
    }
    run.report.took = started.elapsed();
    Ok(run.report)
}

struct Run {
    options: Options,
    rng: StdRng,
    server: ServerProcess,
    stage: Arc<Stage>,
    crowd: Crowd,
    /// Ends with the run.
    _posting: JoinSet<()>,
    checker: Checker,
    reader: LogReader,
    report: Report,
    /// Last, so that it is unmounted when nobody uses it any more.
    disk: Disk,
}

impl Run {
    async fn start(options: Options, disk: Disk) -> Result<Self, TortureError> {
        let mut config = server::Config::new(&options.binary);
        config.folder = disk.folder();
        let settings = SETTINGS.map(|(name, text)| (name.to_owned(), text.to_owned()));
        config.env.extend(settings.into_iter().chain(options.env.clone()));
        let server = ServerProcess::start_with(config).await?;
        let stage = Arc::new(Stage::new(server.secret()));
        let mut proxies = Vec::new();
        for _ in 0..DEVICES {
            proxies.push(Proxy::start(server.addr()).await?);
        }
        let crowd = Crowd::gather(&stage, proxies, options.seed);
        let poster = Poster {
            stage: Arc::clone(&stage),
            users: crowd.users.clone(),
            addrs: vec![server.addr()],
            api_key: server.api_key(),
            seed: options.seed,
        };
        let mut posting = JoinSet::new();
        posting.spawn(poster.live());
        Ok(Self {
            rng: StdRng::seed_from_u64(options.seed),
            report: Report {
                seed: options.seed,
                ..Report::default()
            },
            options,
            server,
            stage,
            crowd,
            _posting: posting,
            checker: Checker::default(),
            reader: LogReader::default(),
            disk,
        })
    }

    /// Half of the round's messages see a lesser blow, the other half a kill.
    async fn round(&mut self, round: u64) -> Result<(), TortureError> {
        let quota = (self.options.messages / self.options.rounds).max(20);
        let base = self.stage.acknowledged();
        let (half, all) = (base + quota / 2, base + quota);

        self.stage.allow(quota / 4);
        let early = base + self.rng.random_range(1..=quota / 8);
        self.stage.reaches(early).await;
        if let Some(blow) = next_blow(&mut self.options.blows, round, &mut self.rng) {
            self.report.blows.push(blow);
            self.strike(blow, quota / 2 - quota / 4, half).await?;
        }

        self.stage.allow(quota - quota / 2);
        let late = half + self.rng.random_range(0..=quota / 4);
        self.stage.reaches(late).await;
        let metrics = http::get(self.server.addr(), "/metrics").await?;
        self.report.count_closed(&metrics.text());
        self.server.kill9().await?;
        self.report.kills += 1;
        self.report.met += u64::from(self.stage.acknowledged() < all);
        self.server.restart().await?;

        if !self.stage.reaches(all).await {
            let now = self.stage.acknowledged();
            self.stage
                .trouble(format!("{} messages were never acknowledged", all - now));
        }
        self.report.acknowledged = self.stage.acknowledged();
        (self.report.claims, self.report.recovered) = self.stage.came_back_so_far();
        self.audit(round + 1 == self.options.rounds).await
    }

    async fn strike(&mut self, blow: Blow, messages: u64, acknowledged: u64) -> Result<(), TortureError> {
        let mut field = Field {
            stage: &self.stage,
            crowd: &self.crowd,
            disk: &self.disk,
            rng: &mut self.rng,
            messages,
            acknowledged,
        };
        field.strike(blow).await
    }

    /// When all is quiet: reads the logs, waits until everybody has seen them, and holds everything to the laws.
    async fn audit(&mut self, whole: bool) -> Result<(), TortureError> {
        self.crowd.end_races();
        let quiet = || self.crowd.quiet() && !self.stage.owes_notices();
        if !self.stage.wait_until(RECOVERY, quiet).await {
            self.stage
                .trouble("some operations were never answered".to_owned());
        }
        let (addr, secret) = (self.server.addr(), self.server.secret());
        let audits = self.reader.read(addr, secret, &self.crowd.rooms, whole).await?;
        self.crowd.wait_for_all(&self.stage, &audits).await;
        let events = self.stage.recorder.take();
        self.report.hold(&mut self.checker, events, &audits);
        self.report.troubles = self.stage.troubles();
        Ok(())
    }

    fn progress(&self, round: u64) {
        if self.options.progress {
            let blow = self
                .report
                .blows
                .last()
                .map(ToString::to_string)
                .unwrap_or_default();
            // Nobody is helped by a run that ends because its progress cannot be shown.
            let _ = writeln!(
                std::io::stderr(),
                "round {}/{}: {} acknowledged; {blow}, kill",
                round + 1,
                self.options.rounds,
                self.report.acknowledged
            );
        }
    }
}
