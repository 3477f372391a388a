//! `cargo run --release -p roomful-torture -- --rounds 200 --messages 1000000`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use roomful_torture::cluster::{self, CutBy, HeldTo, Tcp, namespaces};
use roomful_torture::{Blow, Options, Report, TortureError, run};

/// Kills, cuts and starves a Roomful server that it starts itself, and checks that nothing was lost or doubled.
#[derive(Debug, Parser)]
#[command(version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
struct Cli {
    /// Decides who does what and which blow falls when; a random one if not given. It is printed either way.
    #[arg(long)]
    seed: Option<u64>,
    /// How often the server is killed.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Messages that must be acknowledged, over all rounds.
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
    /// Nodes, over a PostgreSQL and a Redis of their own. Without it: one, on SQLite.
    #[arg(long)]
    nodes: Option<usize>,
    /// Of a cluster: clients that are all dropped at once at the end; 0 for none.
    #[arg(long, default_value_t = 500)]
    storm: usize,
    /// Of a cluster: how often it is looked at who is shown as online after a kill: 1 for each time, 2 for every second
    /// time, 0 for never.
    #[arg(long, default_value_t = 1)]
    watch_every: u64,
    /// Of a cluster: by how many seconds the clocks of nodes are off, the second one's ahead, the third one's behind.
    #[arg(long, default_value_t = 0)]
    skew: u64,
    /// Of a cluster: a blow beside the kills, by the name that reports give it; again for more of them. All without it.
    #[arg(long = "blow")]
    blows: Vec<cluster::Blow>,
    /// Of a cluster: whether the figures are held to the marks, too, which is for a quiet machine and a long run.
    #[arg(long)]
    marks: bool,
    /// Of a cluster: whether to go on when a law is broken.
    #[arg(long)]
    go_on: bool,
    /// Of a cluster: whether each node runs in a network namespace of its own, and is cut off by dropped packets instead of
    /// proxies that fall silent.
    #[arg(long, requires = "nodes")]
    namespaces: bool,
    /// Of namespaces: whether the kernel's TCP is left as it is, instead of set as deploy/sysctl recommends.
    #[arg(long, requires = "namespaces")]
    tcp_as_it_is: bool,
    /// Of the rounds, how many more are run on a disk that fills up.
    #[arg(long, default_value_t = 2)]
    full_disk_rounds: u64,
    /// The server. Without it: the environment variable `ROOMFUL_BIN`, or the `roomful` beside this program.
    #[arg(long = "bin")]
    binary: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.namespaces && !namespaces::inside() {
        return within_namespaces();
    }
    let seed = cli.seed.unwrap_or_else(rand::random);
    say(&format!("seed {seed}"));
    match torture(&cli, seed).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("roomful-torture: {error} (seed {seed})"));
            ExitCode::FAILURE
        }
    }
}

/// Runs all of this once more, within namespaces.
fn within_namespaces() -> ExitCode {
    let ended = namespaces::again(std::env::args_os().skip(1)).and_then(|mut again| {
        let failed = |error| TortureError::Namespaces(format!("starting this program again failed: {error}"));
        again.status().map_err(failed)
    });
    match ended {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            say(&format!("roomful-torture: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Answers whether every law held.
async fn torture(cli: &Cli, seed: u64) -> Result<bool, TortureError> {
    let mut options = Options::with_binary(seed, cli.binary.clone())?;
    options.rounds = cli.rounds;
    options.messages = cli.messages;
    options.progress = true;
    if let Some(nodes) = cli.nodes {
        return torture_cluster(cli, nodes, options).await;
    }
    let mut sound = tell(&run(options.clone()).await?, seed);
    if sound && cli.full_disk_rounds > 0 {
        options.messages = (cli.messages / cli.rounds.max(1)).clamp(1, 2_000) * cli.full_disk_rounds;
        options.rounds = cli.full_disk_rounds;
        options.blows = vec![Blow::FullDisk];
        sound = tell(&run(options).await?, seed);
    }
    Ok(sound)
}

async fn torture_cluster(cli: &Cli, nodes: usize, options: Options) -> Result<bool, TortureError> {
    let mut options = cluster::Options::new(options);
    options.nodes = nodes;
    options.storm = cli.storm;
    options.watch_every = cli.watch_every;
    options.skew = Duration::from_secs(cli.skew);
    if cli.marks {
        options.held_to = HeldTo::Marks;
    }
    options.go_on = cli.go_on;
    if cli.namespaces {
        options.cut_by = CutBy::Network(if cli.tcp_as_it_is {
            Tcp::AsItIs
        } else {
            Tcp::AsRecommended
        });
        options.blows = cluster::Blow::all().collect();
    }
    if !cli.blows.is_empty() {
        options.blows.clone_from(&cli.blows);
    }
    let is_of_network = |blow: &&cluster::Blow| cluster::Blow::OF_NETWORK.contains(blow);
    if let Some(blow) = options
        .blows
        .iter()
        .find(is_of_network)
        .filter(|_| !cli.namespaces)
    {
        return Err(TortureError::Network(format!("\"{blow}\" needs --namespaces")));
    }
    let seed = options.seed;
    let report = cluster::run(options).await?;
    say(&report.to_string());
    Ok(tell_sound(report.sound(), seed))
}

fn tell(report: &Report, seed: u64) -> bool {
    say(&report.to_string());
    tell_sound(report.sound(), seed)
}

fn tell_sound(sound: bool, seed: u64) -> bool {
    if !sound {
        say(&format!("a law was broken; repeat it with --seed {seed}"));
    }
    sound
}

fn say(text: &str) {
    // Nobody is helped by a run that ends because its progress cannot be shown.
    let _ = writeln!(std::io::stderr(), "{text}");
}
