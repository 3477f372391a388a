//! The command line: which commands and flags there are, and what a failure looks like. Each command has a file of its own.

mod check_config;
mod default_config;
mod doctor;
mod serve;
mod token;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Config, ConfigError, Sources},
    server::StartError,
};

/// A chat and presence server for stock Socket.IO clients.
#[derive(Debug, Parser)]
#[command(name = "roomful", version, about, args_conflicts_with_subcommands = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    serve: ServeFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Flags of every command.
#[derive(Debug, Args)]
struct Common {
    /// TOML file with settings; `roomful default-config` prints one.
    #[arg(long, global = true, value_name = "FILE", env = "ROOMFUL_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for the database and the generated secret.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
}

/// Flags of the server.
#[derive(Debug, Default, Args)]
struct ServeFlags {
    /// Address to serve on, such as 127.0.0.1:3000; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Dev mode: anybody may sign in on the page with any name.
    #[arg(long)]
    dev: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server (also without any command).
    Serve(ServeFlags),
    /// Prints a token for a user, signed with the configured secret.
    Token(token::TokenFlags),
    /// Checks the settings from file, environment and flags.
    CheckConfig(ServeFlags),
    /// Checks store, disk, limits of the system, clock and port, and says what to do.
    Doctor(ServeFlags),
    /// Prints every setting with its default and what it means.
    DefaultConfig,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("can't write the answer: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// 2 for what the user has to write differently, 1 for what went wrong.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Config(_) | Failure::Usage(_) => ExitCode::from(2),
            Failure::Start(_) | Failure::Output(_) => ExitCode::from(1),
        }
    }
}

impl Cli {
    /// Runs the command that was asked for.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let Cli {
            common,
            serve,
            command,
        } = self;
        match command {
            None => serve::run(&common.load(serve)?),
            Some(Command::Serve(flags)) => serve::run(&common.load(serve.with(flags))?),
            Some(Command::Token(flags)) => token::run(&common.load(ServeFlags::default())?, flags),
            Some(Command::CheckConfig(flags)) => check_config::run(&common.load(serve.with(flags))?),
            Some(Command::Doctor(flags)) => doctor::run(&common.load(serve.with(flags))?),
            Some(Command::DefaultConfig) => default_config::run(),
        }
    }
}

impl ServeFlags {
    /// Flags may stand before and after the command's name; those after it win.
    fn with(self, after: ServeFlags) -> ServeFlags {
        ServeFlags {
            listen: after.listen.or(self.listen),
            dev: self.dev || after.dev,
        }
    }
}

impl Common {
    fn load(self, flags: ServeFlags) -> Result<Config, ConfigError> {
        let mut sources = Sources {
            file: self.config,
            env: Vec::new(),
            flags: Vec::new(),
        };
        // A variable that is not UTF-8 can be none of ours.
        sources.env.extend(
            std::env::vars_os()
                .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))),
        );
        sources
            .flags
            .extend(flags.listen.map(|listen| ("--listen", "listen", listen)));
        sources
            .flags
            .extend(flags.dev.then(|| ("--dev", "dev.enabled", "on".to_owned())));
        sources
            .flags
            .extend(self.data.map(|data| ("--data", "data", data)));
        Config::load(sources)
    }
}

/// Prints `text` as the command's whole answer.
fn answer(text: &str) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// One line on stderr.
pub(crate) fn complain(failure: &Failure) {
    // If stderr is gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "roomful: {failure}");
}
