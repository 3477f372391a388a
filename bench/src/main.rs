//! Measures Roomful beside other servers: starts each of them in turn, loads them, and reports.
//!
//! `make bench`, or `cargo run --release -p roomful-bench -- run --workload fan-out-1 --only floor,node`

mod behind;
mod candidate;
mod clock;
mod cluster;
mod cores;
mod error;
mod figure;
mod floor;
mod loader;
mod machine;
mod progress;
mod report;
mod results;
mod run;
mod server;
mod spent;
mod sqlite;
mod stats;
mod targets;
mod workload;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::error::BenchError;

/// Measures Roomful beside other servers, over loopback.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run workloads and write the report
    Run(run::Options),
    /// Write the report again from stored results
    Report(report::Options),
    /// Serve as the floor that servers are compared with
    #[command(hide = true)]
    Floor {
        /// The port on loopback
        #[arg(long)]
        port: u16,
        /// One write for all that one turn of epoll has brought
        #[arg(long)]
        batched: bool,
    },
    /// Append rows to SQLite without a server, and print how many a second
    #[command(hide = true)]
    BareSqlite {
        /// Where the database goes
        #[arg(long)]
        folder: PathBuf,
        /// Rooms that the rows go to, in turn
        #[arg(long)]
        rooms: u32,
        /// Rows a commit
        #[arg(long)]
        batch: u32,
        /// For how long
        #[arg(long)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::line(&format!("roomful-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), BenchError> {
    match command {
        Command::Run(options) => {
            let layout = cores::Layout::detect();
            layout.pin_loader()?;
            run::run(options, &layout)
        }
        Command::Report(options) => report::run(options),
        Command::Floor { port, batched } => floor::serve(*port, *batched),
        Command::BareSqlite {
            folder,
            rooms,
            batch,
            seconds,
        } => {
            let rate = sqlite::bare(folder, *rooms, *batch, Duration::from_secs(*seconds))?;
            writeln!(std::io::stdout(), "{rate:.0}").map_err(BenchError::file("standard output"))
        }
    }
}
