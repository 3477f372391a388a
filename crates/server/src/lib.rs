//! The `roomful` program: reads the command line, runs the command, and turns its end into an exit code.
//!
//! A library only in name: two binaries are made of it, the one that is shipped and the one with planted bugs.

mod chat;
mod cli;
mod clock;
mod cluster;
mod config;
mod http;
mod huge_pages;
mod lifecycle;
mod log;
mod open_files;
mod outbox;
mod secret;
mod server;
mod store;
mod streams;
mod token;
mod webhooks;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// All of the program.
pub fn main() -> ExitCode {
    huge_pages::decline();
    let cli = match cli::Cli::parse_args() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    cli.run().unwrap_or_else(|failure| {
        cli::print_error(&failure);
        failure.exit_code()
    })
}
