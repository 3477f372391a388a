//! A run over a cluster: rounds of traffic with faults and kills, an audit after each, and the final steps.

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

use super::fault::{Fault, FaultTarget};
use super::limits::Strictness;
use super::network::{Dropped, Tcp};
use super::nodes::Nodes;
use super::presence::{Sighting, Watch};
use super::report::Report;
use super::storm::storm;
use crate::client_pool::{ClientPool, DEVICES};
use crate::error::TortureError;
use crate::log_reader::LogReader;
use crate::moderation::{Moderation, Node, Setup, Storage};
use crate::nemesis::next_fault;
use crate::poster::Poster;
use crate::run::RECOVERY;
use crate::run_state::RunState;

/// The nodes' lease: short, so that rounds are short.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// Pause after a request that a node refused.
const REST: Duration = Duration::from_millis(100);
/// The presence grace of the nodes.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Options of a run.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the run")]
pub struct Options {
    /// Decides who does what, and the order of faults.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// Number of rounds, each with one kill. Without rounds, only the storm runs.
    pub rounds: u64,
    /// Messages to acknowledge, over all rounds.
    pub messages: u64,
    /// The faults to choose from.
    pub faults: Vec<Fault>,
    /// Check presence after every n-th kill, which takes some seconds; never if 0.
    pub watch_every: u64,
    /// Clients to drop at once at the end; none if 0.
    pub storm: usize,
    /// Restore an old backup of the database at the very end.
    pub restore: bool,
    /// How to partition nodes.
    pub cut_by: CutBy,
    /// The clock skew of nodes: the second one's clock is ahead, the third one's behind.
    pub skew: Duration,
    /// The server binary.
    pub binary: PathBuf,
    /// Additional environment of the server.
    pub env: Vec<(String, String)>,
    /// The limits to check at the end.
    pub strictness: Strictness,
    /// Ban, mute and erase users and rotate keys meanwhile.
    pub moderation: bool,
    /// Continue after a violation.
    pub go_on: bool,
    /// Print each round to standard error.
    pub progress: bool,
}

/// The means that cut nodes off from the store, the bus and each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutBy {
    /// Proxies that fall silent.
    Proxies,
    /// A network that drops packets: each node has its own network namespace. Needs a process that runs in
    /// [`namespaces`](super::namespaces).
    Network(Tcp),
}

impl Options {
    /// A short run over three nodes; other options as in [`crate::Options`].
    pub fn new(common: crate::Options) -> Self {
        Self {
            seed: common.seed,
            nodes: 3,
            rounds: common.rounds,
            messages: common.messages,
            faults: Fault::COMMON.to_vec(),
            watch_every: 1,
            storm: 500,
            restore: true,
            cut_by: CutBy::Proxies,
            skew: Duration::ZERO,
            binary: common.binary,
            env: common.env,
            strictness: Strictness::Bounds,
            moderation: common.moderation,
            go_on: common.go_on,
            progress: common.progress,
        }
    }
}

/// Runs the torture. Ends early on a violation, unless told to continue.
///
/// # Errors
/// If the run itself failed; the report lists violations.
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
    run.finish_moderation().await?;
    run.final_faults().await?;
    run.report.common.took = started.elapsed();
    Ok(run.report)
}

struct Run {
    options: Options,
    rng: StdRng,
    nodes: Nodes,
    state: Arc<RunState>,
    client_pool: ClientPool,
    /// Ends with the run.
    _posting: JoinSet<()>,
    moderation: Option<Moderation>,
    checker: Checker,
    reader: LogReader,
    report: Report,
    /// The copy of the old database.
    backup: Option<PathBuf>,
}

impl Run {
    async fn start(options: Options) -> Result<Self, TortureError> {
        if options.cut_by == CutBy::Proxies
            && options
                .faults
                .iter()
                .any(|fault| Fault::OF_NETWORK.contains(fault))
        {
            let what = "without them, there is no network between nodes that could be hurt";
            return Err(TortureError::Namespaces(what.to_owned()));
        }
        // A run with only a storm measures the storm alone.
        let moderated = options.moderation && options.rounds > 0;
        let setup = moderated.then(Setup::new).transpose()?;
        let nodes = Nodes::start(&options, setup.as_ref()).await?;
        let (secret, api_key) = (nodes.servers[0].secret(), nodes.servers[0].api_key());
        let mut run_state = RunState::new(secret);
        run_state.polls = true;
        let run_state = Arc::new(run_state);
        let mut proxies = Vec::new();
        for addr in nodes.addrs() {
            for _ in 0..DEVICES {
                proxies.push(Proxy::start(addr).await?);
            }
        }
        let client_pool = ClientPool::start(&run_state, proxies, options.seed);
        let poster = Poster {
            run_state: Arc::clone(&run_state),
            users: client_pool.users.clone(),
            addrs: nodes.addrs(),
            api_key,
            seed: options.seed,
        };
        let mut posting = JoinSet::new();
        posting.spawn(poster.run());
        let servers = nodes.servers.iter().map(|server| Node {
            addr: server.addr(),
            process: server.handle(),
        });
        let moderation =
            setup.map(|setup| Moderation::start(setup, &run_state, servers.collect(), options.seed));
        let mut report = Report::default();
        report.common.seed = options.seed;
        Ok(Self {
            rng: StdRng::seed_from_u64(options.seed),
            report,
            options,
            nodes,
            state: run_state,
            client_pool,
            _posting: posting,
            moderation,
            checker: Checker::default(),
            reader: LogReader::default(),
            backup: None,
        })
    }

    /// Half of the round's messages meet a fault, the other half the kill of a node.
    async fn round(&mut self, round: u64) -> Result<(), TortureError> {
        let quota = self.options.messages.div_ceil(self.options.rounds).max(20);
        let base = self.state.acknowledged();
        let (half, all) = (base + quota / 2, base + quota);

        self.state.allow(quota / 4);
        let early = base + self.rng.random_range(1..=quota / 8);
        self.state.wait_acknowledged(early).await;
        if let Some(fault) = next_fault(&mut self.options.faults, round, &mut self.rng) {
            self.report.faults.push(fault);
            self.inject(fault, quota / 2 - quota / 4, half).await?;
            let healed = Instant::now();
            let took = all_up_to_date(&self.state, &self.client_pool, healed).await;
            self.report
                .catch_up
                .extend(took.into_iter().map(|took| (fault, took)));
            self.state.wait_acknowledged(half).await;
            all_up_to_date(&self.state, &self.client_pool, healed).await;
            self.report.settled.push((fault, healed.elapsed()));
            self.wait_ready().await;
            self.report.ready.push((fault, healed.elapsed()));
        }
        self.wait_ready().await;
        self.kill(round, quota - quota / 2, half, all).await?;

        if !self.state.wait_acknowledged(all).await {
            let now = self.state.acknowledged();
            self.state
                .add_problem(format!("{} messages were never acknowledged", all - now));
        }
        self.report.common.acknowledged = self.state.acknowledged();
        (self.report.common.claims, self.report.common.recovered) = self.state.reconnects();
        self.report.lost_messages = self.nodes.lost();
        self.report.polled = self.state.polled_so_far();
        self.audit(round + 1 == self.options.rounds).await
    }

    async fn inject(&mut self, fault: Fault, messages: u64, acknowledged: u64) -> Result<(), TortureError> {
        let mut target = FaultTarget {
            run_state: &self.state,
            client_pool: &self.client_pool,
            nodes: &mut self.nodes,
            rng: &mut self.rng,
            messages,
            acknowledged,
        };
        let noticed = target.inject(fault).await?;
        self.report.lost_tail.extend(noticed.tails);
        self.report.common.count_closed(&noticed.closed);
        self.report.forgotten += noticed.forgotten;
        self.report.shown_as_gone += noticed.shown_as_gone;
        if noticed.dropped != Dropped::default() {
            self.report.dropped.push((fault, noticed.dropped));
        }
        Ok(())
    }

    /// Kills a node during sends and checks presence. The node restarts at once, or after all have noticed.
    async fn kill(&mut self, round: u64, messages: u64, half: u64, all: u64) -> Result<(), TortureError> {
        let victim = self.rng.random_range(0..self.nodes.servers.len());
        let every = self.options.watch_every;
        let watch = if every > 0 && round.is_multiple_of(every) {
            let (addrs, rng) = (self.nodes.addrs(), &mut self.rng);
            let tag = round.to_string();
            Some(Watch::set_up(&addrs, victim, self.state.secret, &tag, rng).await?)
        } else {
            None
        };
        self.state.allow(messages);
        let late = half + self.rng.random_range(0..=(all - half) / 2);
        self.state.wait_acknowledged(late).await;
        let metrics = http::get(self.nodes.servers[victim].addr(), "/metrics").await?;
        self.report.common.count_closed(&metrics.text());
        if let Some(moderation) = &mut self.moderation {
            moderation.before_kill().await;
        }
        self.nodes.servers[victim].kill9().await?;
        let death = Instant::now();
        self.report.common.kills += 1;
        self.report.common.met += u64::from(self.state.acknowledged() < all);
        let at_once = self.rng.random();
        let server = &mut self.nodes.servers[victim];
        let catch_up = all_up_to_date(&self.state, &self.client_pool, death);
        let looking = async {
            match watch {
                Some(watch) => watch.look(death).await,
                None => Ok(Sighting::default()),
            }
        };
        let (took, seen) = if at_once {
            let (took, seen, restarted) = tokio::join!(catch_up, looking, server.restart());
            restarted?;
            (took, seen?)
        } else {
            let (took, seen) = tokio::join!(catch_up, looking);
            server.restart().await?;
            (took, seen?)
        };
        self.report.after_kill.extend(took);
        self.add_sighting(seen);
        Ok(())
    }

    fn add_sighting(&mut self, seen: Sighting) {
        self.report.ghosts.extend(seen.ghosts);
        self.report.movers += seen.movers;
        self.report.returners += seen.returners;
        self.report.flaps += seen.flaps.len() as u64;
        for flap in seen.flaps {
            self.state.add_problem(flap);
        }
    }

    /// When all is quiet: reads the logs, waits until all devices have them, and checks the laws.
    async fn audit(&mut self, whole: bool) -> Result<(), TortureError> {
        self.client_pool.discard_shared_messages();
        let quiet = || self.client_pool.quiet() && !self.state.has_unposted_notices();
        if !self.state.wait_until(RECOVERY, quiet).await {
            self.state
                .add_problem("some operations were never answered".to_owned());
        }
        self.wait_ready().await;
        let audits = self.read(whole).await?;
        self.client_pool.wait_for_all(&self.state, &audits).await;
        let events = self.state.recorder.take();
        self.report.common.check_laws(&mut self.checker, events, &audits);
        self.report.common.moderation = self.moderation.as_ref().map(Moderation::report);
        self.check_bounds();
        Ok(())
    }

    async fn wait_ready(&self) {
        if !self.nodes.ready(RECOVERY).await {
            self.state
                .add_problem("some nodes did not become ready again".to_owned());
        }
    }

    /// Reads the logs from any node. Retries: a node that recovers from a fault may still refuse.
    async fn read(&mut self, whole: bool) -> Result<Vec<Audit>, TortureError> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            let node = self.rng.random_range(0..self.nodes.servers.len());
            let addr = self.nodes.servers[node].addr();
            let mut reader = self.reader.clone();
            match reader
                .read(addr, self.state.secret, &self.client_pool.rooms, whole)
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

    fn check_bounds(&mut self) {
        self.report.common.problems = self.state.problems();
        self.report.check_bounds();
    }

    async fn finish_moderation(&mut self) -> Result<(), TortureError> {
        if let Some(moderation) = self.moderation.take() {
            let storage = Storage::Database {
                postgres: &self.nodes.postgres,
                name: &self.nodes.database,
            };
            self.report.common.moderation = Some(moderation.finish(storage).await?);
            self.check_bounds();
        }
        Ok(())
    }

    /// Copies the database, which stops for that.
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

    /// The storm, then the restore of the old backup.
    async fn final_faults(&mut self) -> Result<(), TortureError> {
        if self.options.storm > 0 {
            let (clients, seed) = (self.options.storm, self.options.seed);
            let thoroughly = self.options.strictness == Strictness::BoundsAndTargets;
            let storm = storm(&self.nodes, self.state.secret, clients, seed, thoroughly).await?;
            self.report.storm = Some(storm);
        }
        self.check_bounds();
        if self.options.strictness == Strictness::BoundsAndTargets {
            self.report.check_targets();
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
        // Ignore the devices' other complaints from here on: their logs are gone.
        let told = || self.client_pool.not_reset().is_empty();
        if self.state.wait_until(RECOVERY, told).await {
            self.report.restored = Some(restored.elapsed());
        } else {
            let trouble = format!(
                "after an old backup, some clients got no reset: {:?}",
                self.client_pool.not_reset()
            );
            self.report.common.problems.push(trouble);
        }
        Ok(())
    }

    fn progress(&self, round: u64) {
        if self.options.progress {
            let fault = self.report.faults.last().map(ToString::to_string);
            // Ignore errors: a run should not end because it cannot print its progress.
            let _ = writeln!(
                std::io::stderr(),
                "round {}/{}, {:.0} s: {} acknowledged; {}, kill",
                round + 1,
                self.options.rounds,
                self.report.common.took.as_secs_f64(),
                self.report.common.acknowledged,
                fault.unwrap_or_default(),
            );
        }
    }
}

/// Waits until every device has all messages acknowledged by now. Returns how long after `since` each had
/// them.
async fn all_up_to_date(run_state: &RunState, client_pool: &ClientPool, since: Instant) -> Vec<Duration> {
    let heads = run_state.heads();
    let mut took: HashMap<usize, Duration> = HashMap::new();
    let done = |client_pool: &ClientPool| {
        let late = client_pool.late(&heads);
        (0..client_pool.devices()).filter(move |device| !late.contains(device))
    };
    loop {
        for device in done(client_pool) {
            took.entry(device).or_insert_with(|| since.elapsed());
        }
        if took.len() == client_pool.devices() {
            break;
        }
        let another = || done(client_pool).any(|device| !took.contains_key(&device));
        if !run_state.wait_until(RECOVERY, another).await {
            run_state.add_problem(format!(
                "after a heal or a kill, some devices did not catch up: {}",
                client_pool.shortfalls(&heads)
            ));
            break;
        }
    }
    took.into_values().collect()
}
