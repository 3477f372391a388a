//! Overload: attackers at full speed beside honest users, with default limits.
//!
//! The server, the honest users and the attackers are three processes. With two cores or more, the server
//! has the first core and the others share the second, where the attackers yield to the honest users.

mod attack;
mod attacker;
mod flood;
mod honest;
mod report;
mod unread;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use roomful_testkit::usage::Usage;
use roomful_testkit::{ServerProcess, server};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval, sleep};

pub use self::attack::Attack;
use self::attacker::READY;
pub use self::attacker::{Target, attack};
use self::honest::{HonestUsers, Sample, Seen, p99, waits};
pub use self::report::{Outcome, Report};
use self::unread::Database;
use crate::error::TortureError;

const WARM_UP: Duration = Duration::from_secs(2);
/// How long the honest users are watched after an attack.
const AFTERWARDS: Duration = Duration::from_secs(6);
/// After an attack, waits are compared with quiet times in spans of this length.
const SPAN: Duration = Duration::from_millis(500);
/// A span is normal if one of ten waits at most is above the p99 of quiet times by this factor. Single waits
/// tell nothing: a sync of the disk can take long at any time.
const NORMAL: f64 = 1.5;
const OUTLIERS: f64 = 0.1;
/// A webhook at which nobody listens.
const DEAD_WEBHOOK: &str = concat!(
    r#"[{url = "http://127.0.0.1:9/", name = "dead", events = ["message.created", "message.undelivered"], "#,
    r#"secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}]"#,
);
const MEMORY_EVERY: Duration = Duration::from_millis(100);

/// Options of an overload run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server binary.
    pub binary: PathBuf,
    /// This program, which is started again as the attacker.
    pub program: PathBuf,
    /// The attacks, one after the other, each on a fresh server.
    pub attacks: Vec<Attack>,
    /// The time before each attack, and the time of the attack.
    pub measured: Duration,
    /// Give the server a core of its own.
    pub pin: bool,
}

/// Runs all attacks.
///
/// # Errors
/// If the run itself failed. The report has the missed targets.
pub async fn run(options: &Options) -> Result<Report, TortureError> {
    let pin = options.pin && std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    if pin {
        let mut cores = CpuSet::new();
        cores.set(1);
        let failed =
            |error: rustix::io::Errno| TortureError::Overload(format!("failed to set the core: {error}"));
        sched_setaffinity(None, &cores).map_err(failed)?;
    }
    let mut report = Report::default();
    for attack in &options.attacks {
        report.outcomes.push(one(*attack, options, pin).await?);
    }
    Ok(report)
}

async fn one(kind: Attack, options: &Options, pin: bool) -> Result<Outcome, TortureError> {
    let database = Database::prepare(kind, &options.binary).await?;
    let mut config = server::Config::new(&options.binary)
        .env("ROOMFUL_LOG", "info")
        .env("ROOMFUL_STORE_URL", &database.url());
    if pin {
        config.wrapper = ["taskset", "-c", "0"].map(str::to_owned).into();
    }
    if kind == Attack::AbsentMembers {
        config = config.env("ROOMFUL__WEBHOOKS", DEAD_WEBHOOK);
    }
    let server = ServerProcess::start_with(config).await?;
    let mut attacker = start_attacker(kind, options, &server).await?;
    let users = HonestUsers::start(server.addr(), server.secret()).await?;
    sleep(WARM_UP).await;
    let usage = || Usage::of(server.pid());
    let (began, before) = (Instant::now(), usage()?);
    sleep(options.measured).await;
    let (onset, calm) = (Instant::now(), usage()?);
    let logins = users.seen.failed_logins();
    if let Some(mut input) = attacker.stdin.take() {
        let _ = input.write_all(b"go\n").await;
    }
    let peak = peak_memory(options.measured, &usage).await?;
    let busy = usage()?;
    let failed =
        |error: std::io::Error| TortureError::Overload(format!("failed to end the attacker: {error}"));
    attacker.kill().await.map_err(failed)?;
    let ended = Instant::now();
    sleep(AFTERWARDS).await;
    let (acks, deliveries) = (
        users.seen.acks.lock().clone(),
        users.seen.deliveries.lock().clone(),
    );
    let both = |samples: &[Sample]| [p99(samples, began, onset), p99(samples, onset, ended)];
    let load = |from: Usage, to: Usage| {
        to.cpu.saturating_sub(from.cpu).as_secs_f64() / options.measured.as_secs_f64()
    };
    Ok(Outcome {
        attack: kind,
        ack: both(&acks),
        delivery: both(&deliveries),
        failed_logins: users.seen.failed_logins() - logins,
        failed_sends: users.seen.failed_sends(),
        growth: peak.saturating_sub(calm.rss),
        cpu: [load(before, calm), load(calm, busy)],
        recovery: recovery(&users.seen, &acks, [began, onset, ended]),
    })
}

/// Starts the attacker and waits until it has prepared its data.
async fn start_attacker(
    kind: Attack,
    options: &Options,
    server: &ServerProcess,
) -> Result<Child, TortureError> {
    let failed =
        |error: std::io::Error| TortureError::Overload(format!("failed to start the attacker: {error}"));
    // It yields to the honest users, so that their waits are the server's and not its own.
    let mut attacker = Command::new("nice")
        .args(["-n", "19"])
        .arg(&options.program)
        .args(["--attacker", kind.name(), "--target", &server.addr().to_string()])
        .args(["--secret", server.secret(), "--api-key", server.api_key()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let output = attacker.stdout.take().map(BufReader::new);
    let mut lines = output.map(BufReader::lines);
    let line = match &mut lines {
        Some(lines) => lines.next_line().await.map_err(failed)?,
        None => None,
    };
    if line.as_deref() == Some(READY) {
        return Ok(attacker);
    }
    Err(TortureError::Overload(format!(
        "the attacker {kind} failed to prepare its data"
    )))
}

/// The largest memory within a time.
async fn peak_memory(
    time: Duration,
    usage: &impl Fn() -> Result<Usage, roomful_testkit::Error>,
) -> Result<u64, TortureError> {
    let (end, mut ticks, mut peak) = (Instant::now() + time, interval(MEMORY_EVERY), 0);
    while Instant::now() < end {
        ticks.tick().await;
        peak = peak.max(usage()?.rss);
    }
    Ok(peak)
}

/// The time from the end of the attack to the end of the last span that is not normal. `None` if that is the
/// last one of all, or a send failed.
fn recovery(seen: &Seen, acks: &[Sample], [began, onset, ended]: [Instant; 3]) -> Option<Duration> {
    let longest = p99(acks, began, onset).mul_f64(NORMAL);
    let last = (0..AFTERWARDS.as_millis() / SPAN.as_millis()).map_while(|n| u32::try_from(n).ok());
    let ends = last.map(|n| SPAN * (n + 1));
    let abnormal = |end: &Duration| !is_normal(acks, longest, ended + *end);
    let recovered = ends.filter(abnormal).last().unwrap_or_default();
    (seen.failed_sends() == 0 && recovered < AFTERWARDS).then_some(recovered)
}

/// Whether the span up to `end` is normal. One without answers is not.
#[allow(clippy::cast_precision_loss, reason = "a few hundred waits")]
fn is_normal(acks: &[Sample], longest: Duration, end: Instant) -> bool {
    let waits: Vec<_> = waits(acks, end - SPAN, end).collect();
    let long = waits.iter().filter(|wait| **wait > longest).count();
    !waits.is_empty() && long as f64 <= waits.len() as f64 * OUTLIERS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One wait each 10 ms, long ones within the first `long` of every span of half a second.
    fn span(start: Instant, long: u64) -> Vec<Sample> {
        let sample = |n: u64| Sample {
            at: start + Duration::from_millis(n * 10),
            took: Duration::from_millis(if n < long { 50 } else { 5 }),
        };
        (0..50).map(sample).collect()
    }

    #[test]
    fn a_span_is_normal_with_a_few_long_waits_and_not_with_many_or_without_answers() {
        let (start, longest) = (Instant::now(), Duration::from_millis(10));
        let end = start + SPAN;
        assert!(is_normal(&span(start, 0), longest, end));
        assert!(is_normal(&span(start, 5), longest, end));
        assert!(!is_normal(&span(start, 6), longest, end));
        assert!(!is_normal(&[], longest, end));
    }
}
