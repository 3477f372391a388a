//! The `roomful` binary: reads the command line, runs the command, and turns its end into an exit code.

mod cli;
mod clock;
mod config;
mod log;
mod secret;
mod token;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = cli::Cli::parse().run();
    outcome.unwrap_or_else(|failure| {
        cli::complain(&failure);
        failure.exit_code()
    })
}
