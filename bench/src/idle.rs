//! `idle`: what a connected, authenticated client in a room costs while nothing happens.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use roomful_testkit::ServerProcess;
use roomful_testkit::server::Config;
use roomful_testkit::usage::Usage;
use tokio::task::LocalSet;

use crate::cores::{Layout, check_open_files};
use crate::crowd::{self, Crowd, Plan};
use crate::error::BenchError;
use crate::report::{Report, progress_line};

/// The command line of `idle`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How many clients to connect
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    clients: usize,
    /// Over how many rooms to spread them [default: one room for each 10 clients]
    #[arg(long, value_parser = at_least_one)]
    rooms: Option<usize>,
    /// The server's binary
    #[arg(long, default_value = "target/release/roomful")]
    bin: PathBuf,
    /// For how many seconds to measure processor time, once memory has settled
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("give a whole number from 1".into()),
        Ok(number) => Ok(number),
    }
}

/// Starts a server, fills it with idle clients, and prints what they cost.
pub(crate) async fn run(options: &Options, layout: &Layout) -> Result<(), BenchError> {
    let clients = options.clients;
    let plan = Plan {
        clients,
        rooms: options.rooms.unwrap_or((clients / 10).max(1)),
    };
    check_open_files(clients)?;
    let mut config = Config::new(&options.bin)
        .env("ROOMFUL_LIMITS", "off")
        .env("ROOMFUL_LOG", "warn");
    config.wrapper = layout.server_wrapper();
    let mut server = ServerProcess::start_with(config).await?;
    let tasks = LocalSet::new();

    let before = settle(&tasks, &server, None).await?;
    progress_line(&format!(
        "server is up with {} KiB; connecting {clients} clients",
        before.rss / 1024
    ));
    let crowd = Crowd::gather(&tasks, server.addr(), server.secret(), plan).await?;
    progress_line("waiting for the server's memory to settle");
    let after = settle(&tasks, &server, Some(&crowd)).await?;
    progress_line(&format!("measuring processor time for {} s", options.seconds));
    let start = Usage::of(server.pid())?;
    crowd::live(&tasks, Duration::from_secs(options.seconds)).await;
    let end = Usage::of(server.pid())?;
    crowd.check()?;

    report(plan, layout, options.seconds, [before, after, start, end]).print(options.json)?;
    drop(tasks);
    server.kill9().await?;
    Ok(())
}

/// Reads the memory each two seconds until three readings in a row are within half a percent of one another.
async fn settle(
    tasks: &LocalSet,
    server: &ServerProcess,
    crowd: Option<&Crowd>,
) -> Result<Usage, BenchError> {
    const STEP: Duration = Duration::from_secs(2);
    const STEPS: usize = 90;
    let mut readings = Vec::new();
    for _ in 0..STEPS {
        crowd::live(tasks, STEP).await;
        if let Some(crowd) = crowd {
            crowd.check()?;
        }
        let usage = Usage::of(server.pid())?;
        readings.push(usage.rss / 1024);
        if let [.., a, b, c] = readings[..] {
            let (low, high) = (a.min(b).min(c), a.max(b).max(c));
            if high - low <= low / 200 {
                return Ok(usage);
            }
        }
    }
    let seconds = STEP.as_secs() * STEPS as u64;
    Err(BenchError::Restless {
        seconds,
        readings: readings.split_off(readings.len().saturating_sub(5)),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a report: 52 bits are more than they mean"
)]
fn report(plan: Plan, layout: &Layout, seconds: u64, [before, after, start, end]: [Usage; 4]) -> Report {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let per_client = after.rss.saturating_sub(before.rss) as f64 / plan.clients as f64;
    let cpu = end.cpu.saturating_sub(start.cpu);
    let cpu_micros = cpu.as_secs_f64() * 1e6 / (plan.clients as f64 * seconds as f64);
    let busy = cpu.as_secs_f64() / seconds as f64;
    let mut report = Report::default();
    let split = if layout.is_split() {
        "a core each"
    } else {
        "one core shared"
    };
    report.add("server and loader", split.into(), "split", layout.is_split());
    report.add("clients", plan.clients.to_string(), "clients", plan.clients);
    report.add("rooms", plan.rooms.to_string(), "rooms", plan.rooms);
    report.add("RSS before", mib(before.rss), "rssBefore", before.rss);
    report.add("RSS with clients", mib(after.rss), "rssAfter", after.rss);
    report.add("RSS after the measurement", mib(end.rss), "rssEnd", end.rss);
    report.add(
        "RSS per client",
        format!("{:.2} KiB", per_client / 1024.0),
        "rssPerClient",
        per_client,
    );
    let text = format!("{cpu_micros:.2} µs ({:.2} % of a core in all)", busy * 100.0);
    report.add(
        "CPU per client-second",
        text,
        "cpuMicrosPerClientSecond",
        cpu_micros,
    );
    report
}
