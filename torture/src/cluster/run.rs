//! A run over a cluster: rounds of traffic under blows and kills, an audit at the end of each, and what comes last.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::history::{Audit, Checker};
use roomful_testkit::http;
use roomful_testkit::proxy::Proxy;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep};

use super::blow::{Blow, Field};
use super::judge::HeldTo;
use super::network::{Dropped, Tcp};
use super::nodes::Nodes;
use super::presence::{Sighting, Watch};
use super::report::Report;
use super::storm::storm;
use crate::crowd::{Crowd, DEVICES};
use crate::error::TortureError;
use crate::log_reader::LogReader;
use crate::nemesis::next_blow;
use crate::poster::Poster;
use crate::run::RECOVERY;
use crate::stage::Stage;

/// How long a node counts as alive without a sign of life: short, so that rounds are.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// How long to rest after something that a node has refused.
const REST: Duration = Duration::from_millis(100);
/// After this a user whose last connection went is announced as offline.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides who does what and which blow falls when.
    pub seed: u64,
    /// The nodes.
    pub nodes: usize,
    /// How often one of them is killed. Without a round there is the storm alone.
    pub rounds: u64,
    /// Messages to be acknowledged, over all rounds.
    pub messages: u64,
    /// The lesser blows to choose from.
    pub blows: Vec<Blow>,
    /// How often it is looked at who is shown as online after a kill, which takes some seconds: each time if 1, every second
    /// time if 2; never if 0.
    pub watch_every: u64,
    /// Clients that are all dropped at once at the end; none if 0.
    pub storm: usize,
    /// Whether to put back an old backup of the database at the very end.
    pub restore: bool,
    /// How nodes are cut off.
    pub cut_by: CutBy,
    /// How far the clocks of nodes are off: the second one's is ahead, the third one's behind.
    pub skew: Duration,
    /// The server.
    pub binary: PathBuf,
    /// Its further environment.
    pub env: Vec<(String, String)>,
    /// What the figures are held to at the end.
    pub held_to: HeldTo,
    /// Whether to go on when a law is broken.
    pub go_on: bool,
    /// Whether to show each round on standard error.
    pub progress: bool,
}

/// What cuts nodes off from the store, the bus and each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutBy {
    /// Proxies, which fall silent.
    Proxies,
    /// The network, which drops packets: each node has a network namespace of its own. Only in a process that runs within
    /// [`namespaces`](super::namespaces).
    Network(Tcp),
}

impl Options {
    /// A short run over three nodes; everything else as [`crate::Options`] say.
    pub fn new(common: crate::Options) -> Self {
        Self {
            seed: common.seed,
            nodes: 3,
            rounds: common.rounds,
            messages: common.messages,
            blows: Blow::COMMON.to_vec(),
            watch_every: 1,
            storm: 500,
            restore: true,
            cut_by: CutBy::Proxies,
            skew: Duration::ZERO,
            binary: common.binary,
            env: common.env,
            held_to: HeldTo::Laws,
            go_on: common.go_on,
            progress: common.progress,
        }
    }
}

/// Carries out a run. It ends early when a law is broken, unless it is to go on.
///
/// # Errors
/// If the run itself could not be carried out; a broken law is in the report.
pub async fn run(options: Options) -> Result<Report, TortureError> {
    let mut run = Run::start(options).await?;
    let started = Instant::now();
    let backup = run.options.rounds / 2;
    for round in 0..run.options.rounds {
        if round == backup && run.options.restore {
            run.back_up().await?;
        }
        run.round(round).await?;
        run.report.common.took = started.elapsed();
        run.progress(round);
        if !run.report.sound() && !run.options.go_on {
            return Ok(run.report);
        }
    }
    run.last_things().await?;
    run.report.common.took = started.elapsed();
    Ok(run.report)
}

struct Run {
    options: Options,
    rng: StdRng,
    nodes: Nodes,
    stage: Arc<Stage>,
    crowd: Crowd,
    /// Ends with the run.
    _posting: JoinSet<()>,
    checker: Checker,
    reader: LogReader,
    report: Report,
    /// Where the old data of the database lies.
    backup: Option<PathBuf>,
}

impl Run {
    async fn start(options: Options) -> Result<Self, TortureError> {
        if options.cut_by == CutBy::Proxies
            && options.blows.iter().any(|blow| Blow::OF_NETWORK.contains(blow))
        {
            let what = "without them, there is no network between nodes that could be hurt";
            return Err(TortureError::Namespaces(what.to_owned()));
        }
        let nodes = Nodes::start(&options).await?;
        let (secret, api_key) = (nodes.servers[0].secret(), nodes.servers[0].api_key());
        let mut stage = Stage::new(secret);
        stage.polls = true;
        let stage = Arc::new(stage);
        let mut proxies = Vec::new();
        for addr in nodes.addrs() {
            for _ in 0..DEVICES {
                proxies.push(Proxy::start(addr).await?);
            }
        }
        let crowd = Crowd::gather(&stage, proxies, options.seed);
        let poster = Poster {
            stage: Arc::clone(&stage),
            users: crowd.users.clone(),
            addrs: nodes.addrs(),
            api_key,
            seed: options.seed,
        };
        let mut posting = JoinSet::new();
        posting.spawn(poster.live());
        let mut report = Report::default();
        report.common.seed = options.seed;
        Ok(Self {
            rng: StdRng::seed_from_u64(options.seed),
            report,
            options,
            nodes,
            stage,
            crowd,
            _posting: posting,
            checker: Checker::default(),
            reader: LogReader::default(),
            backup: None,
        })
    }

    /// Half of the round's messages see a lesser blow, the other half the kill of a node.
    async fn round(&mut self, round: u64) -> Result<(), TortureError> {
        let quota = self.options.messages.div_ceil(self.options.rounds).max(20);
        let base = self.stage.acknowledged();
        let (half, all) = (base + quota / 2, base + quota);

        self.stage.allow(quota / 4);
        let early = base + self.rng.random_range(1..=quota / 8);
        self.stage.reaches(early).await;
        if let Some(blow) = next_blow(&mut self.options.blows, round, &mut self.rng) {
            self.report.blows.push(blow);
            self.strike(blow, quota / 2 - quota / 4, half).await?;
            let healed = Instant::now();
            let took = all_up_to_date(&self.stage, &self.crowd, healed).await;
            self.report
                .catch_up
                .extend(took.into_iter().map(|took| (blow, took)));
            self.stage.reaches(half).await;
            all_up_to_date(&self.stage, &self.crowd, healed).await;
            self.report.settled.push((blow, healed.elapsed()));
            self.wait_ready().await;
            self.report.ready.push((blow, healed.elapsed()));
        }
        self.wait_ready().await;
        self.kill(round, quota - quota / 2, half, all).await?;

        if !self.stage.reaches(all).await {
            let now = self.stage.acknowledged();
            self.stage
                .trouble(format!("{} messages were never acknowledged", all - now));
        }
        self.report.common.acknowledged = self.stage.acknowledged();
        (self.report.common.claims, self.report.common.recovered) = self.stage.came_back_so_far();
        self.report.lost_messages = self.nodes.lost();
        self.report.polled = self.stage.polled_so_far();
        self.audit(round + 1 == self.options.rounds).await
    }

    async fn strike(&mut self, blow: Blow, messages: u64, acknowledged: u64) -> Result<(), TortureError> {
        let mut field = Field {
            stage: &self.stage,
            crowd: &self.crowd,
            nodes: &mut self.nodes,
            rng: &mut self.rng,
            messages,
            acknowledged,
        };
        let noticed = field.strike(blow).await?;
        self.report.lost_tail.extend(noticed.tails);
        self.report.common.count_closed(&noticed.closed);
        self.report.forgotten += noticed.forgotten;
        self.report.shown_as_gone += noticed.shown_as_gone;
        if noticed.dropped != Dropped::default() {
            self.report.dropped.push((blow, noticed.dropped));
        }
        Ok(())
    }

    /// Kills a node amid sends, and looks who is there then. It comes back at once, or when all have noticed.
    async fn kill(&mut self, round: u64, messages: u64, half: u64, all: u64) -> Result<(), TortureError> {
        let victim = self.rng.random_range(0..self.nodes.servers.len());
        let every = self.options.watch_every;
        let watch = if every > 0 && round.is_multiple_of(every) {
            let (addrs, rng) = (self.nodes.addrs(), &mut self.rng);
            let tag = round.to_string();
            Some(Watch::set_up(&addrs, victim, self.stage.secret, &tag, rng).await?)
        } else {
            None
        };
        self.stage.allow(messages);
        let late = half + self.rng.random_range(0..=(all - half) / 2);
        self.stage.reaches(late).await;
        let metrics = http::get(self.nodes.servers[victim].addr(), "/metrics").await?;
        self.report.common.count_closed(&metrics.text());
        self.nodes.servers[victim].kill9().await?;
        let death = Instant::now();
        self.report.common.kills += 1;
        self.report.common.met += u64::from(self.stage.acknowledged() < all);
        let at_once = self.rng.random();
        let server = &mut self.nodes.servers[victim];
        let catching_up = all_up_to_date(&self.stage, &self.crowd, death);
        let looking = async {
            match watch {
                Some(watch) => watch.look(death).await,
                None => Ok(Sighting::default()),
            }
        };
        let (took, seen) = if at_once {
            let (took, seen, restarted) = tokio::join!(catching_up, looking, server.restart());
            restarted?;
            (took, seen?)
        } else {
            let (took, seen) = tokio::join!(catching_up, looking);
            server.restart().await?;
            (took, seen?)
        };
        self.report.after_kill.extend(took);
        self.sighted(seen);
        Ok(())
    }

    fn sighted(&mut self, seen: Sighting) {
        self.report.ghosts.extend(seen.ghosts);
        self.report.movers += seen.movers;
        self.report.returners += seen.returners;
        self.report.flaps += seen.flaps.len() as u64;
        for flap in seen.flaps {
            self.stage.trouble(flap);
        }
    }

    /// When all is quiet: reads the logs, waits until everybody has seen them, and holds everything to the laws.
    async fn audit(&mut self, whole: bool) -> Result<(), TortureError> {
        self.crowd.end_races();
        let quiet = || self.crowd.quiet() && !self.stage.owes_notices();
        if !self.stage.wait_until(RECOVERY, quiet).await {
            self.stage
                .trouble("some operations were never answered".to_owned());
        }
        self.wait_ready().await;
        let audits = self.read(whole).await?;
        self.crowd.wait_for_all(&self.stage, &audits).await;
        let events = self.stage.recorder.take();
        self.report.common.hold(&mut self.checker, events, &audits);
        self.judge();
        Ok(())
    }

    async fn wait_ready(&self) {
        if !self.nodes.ready(RECOVERY).await {
            self.stage.trouble("some nodes were never ready again".to_owned());
        }
    }

    /// Reads the logs from any node. One that was hurt just before may refuse even now.
    async fn read(&mut self, whole: bool) -> Result<Vec<Audit>, TortureError> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            let node = self.rng.random_range(0..self.nodes.servers.len());
            let addr = self.nodes.servers[node].addr();
            let mut reader = self.reader.clone();
            match reader
                .read(addr, self.stage.secret, &self.crowd.rooms, whole)
                .await
            {
                Ok(audits) => {
                    self.reader = reader;
                    return Ok(audits);
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(REST).await,
            }
        }
    }

    fn judge(&mut self) {
        self.report.common.troubles = self.stage.troubles();
        self.report.judge();
    }

    /// Copies the database, which has to stand for that.
    async fn back_up(&mut self) -> Result<(), TortureError> {
        let postgres = &self.nodes.postgres;
        self.backup = Some(block_in_place(|| {
            postgres.stop()?;
            let copy = postgres.copy_data()?;
            postgres.restart()?;
            Ok::<_, TortureError>(copy)
        })?);
        self.nodes.ready(RECOVERY).await;
        Ok(())
    }

    /// The storm, and the old backup.
    async fn last_things(&mut self) -> Result<(), TortureError> {
        if self.options.storm > 0 {
            let (clients, seed) = (self.options.storm, self.options.seed);
            let thoroughly = self.options.held_to == HeldTo::Marks;
            let storm = storm(&self.nodes, self.stage.secret, clients, seed, thoroughly).await?;
            self.report.storm = Some(storm);
        }
        self.judge();
        if self.options.held_to == HeldTo::Marks {
            self.report.judge_by_marks();
        }
        let Some(backup) = self.backup.take() else {
            return Ok(());
        };
        let postgres = &self.nodes.postgres;
        block_in_place(|| {
            postgres.stop()?;
            postgres.put_back(&backup)?;
            postgres.restart()
        })?;
        let restored = Instant::now();
        // What else the devices find odd then is not looked at: their logs are gone.
        let told = || self.crowd.not_reset().is_empty();
        if self.stage.wait_until(RECOVERY, told).await {
            self.report.restored = Some(restored.elapsed());
        } else {
            let trouble = format!(
                "after an old backup, not everybody was told to begin anew: {:?}",
                self.crowd.not_reset()
            );
            self.report.common.troubles.push(trouble);
        }
        Ok(())
    }

    fn progress(&self, round: u64) {
        if self.options.progress {
            let blow = self.report.blows.last().map(ToString::to_string);
            // Nobody is helped by a run that ends because its progress cannot be shown.
            let _ = writeln!(
                std::io::stderr(),
                "round {}/{}, {:.0} s: {} acknowledged; {}, kill",
                round + 1,
                self.options.rounds,
                self.report.common.took.as_secs_f64(),
                self.report.common.acknowledged,
                blow.unwrap_or_default(),
            );
        }
    }
}

/// Waits until every device has had all that has been acknowledged by now. Answers after how long from `since` each had.
async fn all_up_to_date(stage: &Stage, crowd: &Crowd, since: Instant) -> Vec<Duration> {
    let heads = stage.heads();
    let mut took: HashMap<usize, Duration> = HashMap::new();
    let done = |crowd: &Crowd| {
        let late = crowd.late(&heads);
        (0..crowd.devices()).filter(move |device| !late.contains(device))
    };
    loop {
        for device in done(crowd) {
            took.entry(device).or_insert_with(|| since.elapsed());
        }
        if took.len() == crowd.devices() {
            break;
        }
        let another = || done(crowd).any(|device| !took.contains_key(&device));
        if !stage.wait_until(RECOVERY, another).await {
            stage.trouble(format!(
                "after a heal or a kill, not everybody came up to date: {}",
                crowd.shortfalls(&heads)
            ));
            break;
        }
    }
    took.into_values().collect()
}
