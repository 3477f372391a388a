//! The `roomful` binary: reads the command line, runs the command, and turns its end into an exit code.

mod chat;
mod cli;
mod clock;
mod config;
mod http;
mod lifecycle;
mod log;
mod open_files;
mod secret;
mod server;
mod store;
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
