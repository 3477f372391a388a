//! The `roomful` program: parses the command line, runs the command and returns its exit code.
//!
//! It is a library so that two binaries can share it: the shipped one, and the one with planted bugs.

mod bounded_file;
mod chat;
mod cli;
mod clock;
mod clock_skew;
mod cluster;
mod config;
mod content_rules;
mod exposure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hooks;
mod http;
mod http_client;
mod huge_pages;
mod import;
mod in_force;
mod issuers;
mod json_reason;
mod lifecycle;
mod log;
mod open_files;
mod outbox;
mod reload;
mod retention;
mod scope;
mod secret;
mod server;
mod start_error;
mod store;
mod store_size;
mod streams;
mod systemd;
mod token;
mod webhooks;

use std::process::ExitCode;

// Not under a fuzzer, whose sanitizer needs the standard one.
#[cfg(not(fuzzing))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the program to its end. Failures go to stderr and become a non-zero exit code.
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
