//! `cargo run --release -p roomful-torture -- --rounds 200 --messages 1000000`

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use roomful_torture::cluster::{self, CutBy, Strictness, Tcp, namespaces};
use roomful_torture::overload::{self, Attack};
use roomful_torture::{Fault, Options, Report, TortureError, run};

/// Kills, cuts off and starves a Roomful server that it starts itself, and checks that nothing is lost or
/// duplicated.
#[derive(Debug, Parser)]
#[command(version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command")]
struct Cli {
    /// Decides who does what, and the order of faults; random by default. The program prints it.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of kills.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Messages to acknowledge, over all rounds.
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
    /// Number of nodes, on their own PostgreSQL and Redis. Default: one node on SQLite.
    #[arg(long)]
    nodes: Option<usize>,
    /// Cluster: clients to drop at once at the end; 0 for none.
    #[arg(long, default_value_t = 500)]
    storm: usize,
    /// Cluster: check presence after every n-th kill; 0 for never.
    #[arg(long, default_value_t = 1)]
    watch_every: u64,
    /// Cluster: clock skew in seconds; the second node's clock is ahead, the third one's behind.
    #[arg(long, default_value_t = 0)]
    skew: u64,
    /// Cluster: a fault to inject beside the kills, by its name in reports; repeat for several. Default: all.
    #[arg(long = "fault")]
    faults: Vec<cluster::Fault>,
    /// Cluster: also check the targets, for a long run on an idle machine.
    #[arg(long)]
    targets: bool,
    /// Cluster: continue after a violation.
    #[arg(long)]
    go_on: bool,
    /// Cluster: run each node in its own network namespace, and drop packets instead of using silent proxies.
    #[arg(long, requires = "nodes")]
    namespaces: bool,
    /// Namespaces: keep the kernel's TCP defaults instead of the settings of deploy/sysctl.
    #[arg(long, requires = "namespaces")]
    tcp_as_it_is: bool,
    /// Attack a server beside honest users instead, and print what they see.
    #[arg(long)]
    overload: bool,
    /// Overload: an attack, by its name in reports; repeat for several. Default: all.
    #[arg(long = "attack", requires = "overload")]
    attacks: Vec<Attack>,
    /// Overload: seconds before each attack, and seconds of each attack.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Be the attacker of an overload run.
    #[arg(long, hide = true, requires_all = ["target", "secret", "api_key"])]
    attacker: Option<Attack>,
    #[arg(long, hide = true)]
    target: Option<SocketAddr>,
    #[arg(long, hide = true)]
    secret: Option<String>,
    #[arg(long, hide = true)]
    api_key: Option<String>,
    /// Do not ban, mute and erase users, and rotate no keys meanwhile.
    #[arg(long)]
    no_moderation: bool,
    /// One node: number of devices that run the client package, beside the others. It needs Node, and the
    /// packages built: `npm run build -w @roomful/client -w @roomful/server`.
    #[arg(long, default_value_t = 0, conflicts_with = "nodes")]
    package_devices: usize,
    /// Number of additional rounds on a disk that fills up.
    #[arg(long, default_value_t = 2)]
    full_disk_rounds: u64,
    /// The server binary. Default: `ROOMFUL_BIN`, or the `roomful` beside this program.
    #[arg(long = "bin")]
    binary: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.namespaces && !namespaces::inside() {
        return within_namespaces();
    }
    if cli.overload || cli.attacker.is_some() {
        return outcome(overload(&cli).await, "");
    }
    let seed = cli.seed.unwrap_or_else(rand::random);
    say(&format!("seed {seed}"));
    outcome(torture(&cli, seed).await, &format!(" (seed {seed})"))
}

fn outcome(sound: Result<bool, TortureError>, seed: &str) -> ExitCode {
    match sound {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("roomful-torture: {error}{seed}"));
            ExitCode::FAILURE
        }
    }
}

/// Attacks a server, or is the attacker. True if all targets were met.
async fn overload(cli: &Cli) -> Result<bool, TortureError> {
    if let (Some(attack), Some(addr), Some(secret), Some(api_key)) =
        (cli.attacker, cli.target, &cli.secret, &cli.api_key)
    {
        let target = overload::Target {
            addr,
            secret: secret.clone(),
            api_key: api_key.clone(),
        };
        overload::attack(attack, target).await?;
        return Ok(true);
    }
    let program = std::env::current_exe();
    let options = overload::Options {
        binary: Options::with_binary(0, cli.binary.clone())?.binary,
        program: program
            .map_err(|error| TortureError::Overload(format!("failed to find this program: {error}")))?,
        attacks: if cli.attacks.is_empty() {
            Attack::ALL.to_vec()
        } else {
            cli.attacks.clone()
        },
        measured: Duration::from_secs(cli.seconds),
        pin: true,
    };
    let report = overload::run(&options).await?;
    say(&report.to_string());
    Ok(report.sound())
}

/// Runs this program again, in namespaces.
fn within_namespaces() -> ExitCode {
    let ended = namespaces::again(std::env::args_os().skip(1)).and_then(|mut again| {
        let failed = |error| TortureError::Namespaces(format!("failed to start this program again: {error}"));
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

/// True if there was no violation.
async fn torture(cli: &Cli, seed: u64) -> Result<bool, TortureError> {
    let mut options = Options::with_binary(seed, cli.binary.clone())?;
    options.rounds = cli.rounds;
    options.messages = cli.messages;
    options.moderation = !cli.no_moderation;
    options.package_devices = cli.package_devices;
    options.progress = true;
    if let Some(nodes) = cli.nodes {
        return torture_cluster(cli, nodes, options).await;
    }
    let mut sound = print_report(&run(options.clone()).await?, seed);
    if sound && cli.full_disk_rounds > 0 {
        options.messages = (cli.messages / cli.rounds.max(1)).clamp(1, 2_000) * cli.full_disk_rounds;
        options.rounds = cli.full_disk_rounds;
        options.faults = vec![Fault::FullDisk];
        sound = print_report(&run(options).await?, seed);
    }
    Ok(sound)
}

async fn torture_cluster(cli: &Cli, nodes: usize, options: Options) -> Result<bool, TortureError> {
    let mut options = cluster::Options::new(options);
    options.nodes = nodes;
    options.storm = cli.storm;
    options.watch_every = cli.watch_every;
    options.skew = Duration::from_secs(cli.skew);
    if cli.targets {
        options.strictness = Strictness::BoundsAndTargets;
    }
    options.go_on = cli.go_on;
    if cli.namespaces {
        options.cut_by = CutBy::Network(if cli.tcp_as_it_is {
            Tcp::AsItIs
        } else {
            Tcp::AsRecommended
        });
        options.faults = cluster::Fault::all().collect();
    }
    if !cli.faults.is_empty() {
        options.faults.clone_from(&cli.faults);
    }
    let is_of_network = |fault: &&cluster::Fault| cluster::Fault::OF_NETWORK.contains(fault);
    if let Some(fault) = options
        .faults
        .iter()
        .find(is_of_network)
        .filter(|_| !cli.namespaces)
    {
        return Err(TortureError::Network(format!("\"{fault}\" needs --namespaces")));
    }
    let seed = options.seed;
    let report = cluster::run(options).await?;
    say(&report.to_string());
    Ok(print_verdict(report.sound(), seed))
}

fn print_report(report: &Report, seed: u64) -> bool {
    say(&report.to_string());
    print_verdict(report.sound(), seed)
}

fn print_verdict(sound: bool, seed: u64) -> bool {
    if !sound {
        say(&format!("violation found; repeat the run with --seed {seed}"));
    }
    sound
}

fn say(text: &str) {
    // Ignore errors: a run should not end because it cannot print its progress.
    let _ = writeln!(std::io::stderr(), "{text}");
}
