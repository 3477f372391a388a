//! The command line: which commands and flags there are, and what a failure looks like. Each command has a file of its own.

mod check_config;
mod default_config;
mod doctor;
mod migrate;
mod new_epoch;
mod serve;
mod token;
mod webhooks;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    config::{Config, ConfigError, Origin, Sources},
    server::StartError,
};

const CONFIG_VARIABLE: &str = "ROOMFUL_CONFIG";

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
    #[arg(long, global = true, value_name = "FILE", env = CONFIG_VARIABLE)]
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
    /// Lists records for webhooks and streams, and has them tried again.
    Webhooks(webhooks::WebhooksFlags),
    /// Checks the settings from file, environment and flags.
    CheckConfig(ServeFlags),
    /// Checks store, streams, disk, limits of the system, clock and port, and says what to do.
    Doctor(ServeFlags),
    /// Has all clients start over, after a restore that the server can't notice. With SQLite the server must be stopped; on
    /// PostgreSQL nodes may run, and take it up.
    NewEpoch,
    /// Carries a SQLite store over to PostgreSQL; the server must be stopped.
    Migrate(migrate::MigrateFlags),
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
            Failure::Start(error) if error.is_setting() => ExitCode::from(2),
            Failure::Start(_) | Failure::Output(_) => ExitCode::from(1),
        }
    }
}

impl Cli {
    /// Reads the command line. What it can't be is said in one line, as every failure is.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        // clap refuses an empty value, but here an empty variable counts as not set.
        let unset = std::env::var_os(CONFIG_VARIABLE).is_some_and(|value| value.is_empty());
        let command = <Self as CommandFactory>::command();
        let command = if unset {
            command.mut_arg("config", |arg| arg.env(None))
        } else {
            command
        };
        let outcome = command
            .try_get_matches()
            .and_then(|matches| Self::from_arg_matches(&matches));
        outcome.map_err(|error| {
            if !error.use_stderr() {
                // Help and version are answers, not failures.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            let line: Vec<_> = first.trim_start_matches("error: ").split_whitespace().collect();
            complain(&Failure::Usage(format!("{}; see roomful --help", line.join(" "))));
            ExitCode::from(2)
        })
    }

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
            Some(Command::Webhooks(flags)) => webhooks::run(&common.load(ServeFlags::default())?, flags),
            Some(Command::CheckConfig(flags)) => check_config::run(&common.load(serve.with(flags))?),
            Some(Command::Doctor(flags)) => doctor::run(&common.load(serve.with(flags))?),
            Some(Command::NewEpoch) => new_epoch::run(&common.load(ServeFlags::default())?),
            Some(Command::Migrate(flags)) => migrate::run(&common.load(ServeFlags::default())?, &flags),
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
            file: self.config.filter(|file| !file.as_os_str().is_empty()),
            env: Vec::new(),
            flags: Vec::new(),
        };
        for (name, text) in std::env::vars_os() {
            // A name that is not UTF-8 can be none of ours.
            let Ok(name) = name.into_string() else { continue };
            match text.into_string() {
                Ok(text) => sources.env.push((name, text)),
                Err(_) if name.starts_with("ROOMFUL_") => {
                    return Err(ConfigError::layer(
                        Origin::Env(name),
                        "is not UTF-8; set it to plain text",
                    ));
                }
                Err(_) => {}
            }
        }
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

/// What a command says that needs a store where none is.
fn no_store(path: &Path) -> Failure {
    Failure::Usage(format!(
        "there is no store at {}; give the server's own --data or --config",
        path.display()
    ))
}

/// Prints `text` as the command's whole answer.
fn answer(text: &str) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// One line on stderr about a failure.
pub(crate) fn complain(failure: &Failure) {
    notice(&failure.to_string());
}

/// One line on stderr.
fn notice(line: &str) {
    // If stderr is gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "roomful: {line}");
}
