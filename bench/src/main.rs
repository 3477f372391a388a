//! Load programs that measure Roomful: each subcommand asks one question and prints one answer.
//!
//! `cargo run --release -p roomful-bench -- idle --clients 10000 --bin target/release/roomful`

mod cores;
mod crowd;
mod error;
mod idle;
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::BenchError;

/// Measures a Roomful server that it starts itself, over loopback.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// What does a client cost that is connected, in a room, and silent?
    Idle(idle::Options),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::progress_line(&format!("roomful-bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), BenchError> {
    // Pinned before the runtime starts: threads take over the affinity of the one that makes them.
    let layout = cores::Layout::detect();
    layout.pin_loader()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(BenchError::Runtime)?.block_on(async {
        match &cli.command {
            Question::Idle(options) => idle::run(options, &layout).await,
        }
    })
}
