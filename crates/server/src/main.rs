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

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    cli.run().unwrap_or_else(|failure| {
        cli::complain(&failure);
        failure.exit_code()
    })
}
