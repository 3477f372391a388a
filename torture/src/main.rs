//! `cargo run --release -p roomful-torture -- --rounds 200 --messages 1000000`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use roomful_torture::{Blow, Options, Report, TortureError, run};

/// Kills, cuts and starves a Roomful server that it starts itself, and checks that nothing was lost or doubled.
#[derive(Debug, Parser)]
#[command(version)]
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

/// Answers whether every law held.
async fn torture(cli: &Cli, seed: u64) -> Result<bool, TortureError> {
    let mut options = Options::with_binary(seed, cli.binary.clone())?;
    options.rounds = cli.rounds;
    options.messages = cli.messages;
    options.progress = true;
    let mut sound = tell(&run(options.clone()).await?, seed);
    if sound && cli.full_disk_rounds > 0 {
        options.messages = (cli.messages / cli.rounds.max(1)).clamp(1, 2_000) * cli.full_disk_rounds;
        options.rounds = cli.full_disk_rounds;
        options.blows = vec![Blow::FullDisk];
        sound = tell(&run(options).await?, seed);
    }
    Ok(sound)
}

fn tell(report: &Report, seed: u64) -> bool {
    say(&report.to_string());
    if !report.sound() {
        say(&format!("a law was broken; repeat it with --seed {seed}"));
    }
    report.sound()
}

fn say(text: &str) {
    // Nobody is helped by a run that ends because its progress cannot be shown.
    let _ = writeln!(std::io::stderr(), "{text}");
}
