//! Measures Roomful beside other servers: starts each of them in turn, loads them, and reports.
//!
//! `make bench`, or `cargo run --release -p roomful-bench -- run --workload fan-out-1 --only floor,node`

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
mod services;
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
    /// Measure the cost of messages and deliveries at several rates and room sizes, for docs/capacity.md
    Capacity {
        /// How often to measure each cell; the table shows medians
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Serve as the floor that reports compare servers with
    #[command(hide = true)]
    Floor {
        /// The port on loopback
        #[arg(long)]
        port: u16,
        /// One write for all frames of an epoll turn
        #[arg(long)]
        batched: bool,
    },
    /// Append rows to SQLite without a server, and print the rate
    #[command(hide = true)]
    BareSqlite {
        /// The database folder
        #[arg(long)]
        folder: PathBuf,
        /// Rooms to spread the rows over
        #[arg(long)]
        rooms: u32,
        /// Rows per commit
        #[arg(long)]
        batch: u32,
        /// Duration
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
        Command::Capacity { rounds } => {
            let layout = cores::Layout::detect();
            layout.pin_loader()?;
            workload::capacity::run(*rounds, &layout)
        }
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
