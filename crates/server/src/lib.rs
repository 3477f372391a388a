//! The `roomful` program: parses the command line, runs the command and returns its exit code.
//!
//! It is a library so that a test program can run it on another store, see [`main_with_store`].

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

pub use self::store::StoreDecorator;

// Not under a fuzzer, whose sanitizer needs the standard one.
#[cfg(not(fuzzing))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the program to its end. Failures go to stderr and become a non-zero exit code.
pub fn main() -> ExitCode {
    main_with_store(|store| store)
}

/// Like [`main`], but `roomful serve` uses the store that `decorate` returns for the one it has opened. For
/// tests with a faulty store; no setting leads here.
pub fn main_with_store(decorate: StoreDecorator) -> ExitCode {
    huge_pages::decline();
    let cli = match cli::Cli::parse_args() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    cli.run(decorate).unwrap_or_else(|failure| {
        cli::print_error(&failure);
        failure.exit_code()
    })
}
