//! The command line: commands, flags and exit codes. Each command has its own file.

mod check_config;
mod default_config;
mod doctor;
mod explain;
mod health;
mod import;
mod local_server;
mod local_tls;
mod migrate;
mod new_epoch;
mod schema;
mod serve;
mod token;
mod webhooks;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::LazyLock,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    config::{Config, ConfigError, Origin, Sources},
    start_error::StartError,
    store::StoreDecorator,
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
#[derive(Debug, Clone, Args)]
struct Common {
    /// TOML configuration file; `roomful default-config` prints one.
    #[arg(long, global = true, value_name = "FILE", env = CONFIG_VARIABLE)]
    config: Option<PathBuf>,
    /// Folder for the database and the generated secret.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
}

/// Flags of the server.
#[derive(Debug, Clone, Default, Args)]
struct ServeFlags {
    /// Address to listen on, such as 127.0.0.1:3000. Port 0 picks a free port.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Dev mode: anyone may sign in on the page under any name.
    #[arg(long)]
    dev: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server. This is the default command.
    Serve(ServeFlags),
    /// Prints a token for a user, signed with the configured secret.
    Token(token::TokenFlags),
    /// Lists records of webhooks and streams, and retries them.
    Webhooks(webhooks::WebhooksFlags),
    /// Validates the settings from file, environment and flags.
    CheckConfig(ServeFlags),
    /// Checks store, bus, streams, disk, system limits, clock, port and exposure, and suggests fixes.
    Doctor(ServeFlags),
    /// Asks the running server whether it is alive; the exit code is 0 if it is. For container health
    /// checks.
    Health(ServeFlags),
    /// Explains the delivery of a message to one user: its commit, the user's marks and devices, the records
    /// of webhooks, and the reason if it did not arrive. Asks the running server.
    Explain(explain::ExplainFlags),
    /// Gives every room a new epoch, so that clients start over after a restore that the server cannot
    /// detect. Stop the server first with SQLite; with PostgreSQL the nodes may keep running.
    NewEpoch,
    /// Copies a SQLite store to PostgreSQL. Stop the server first.
    Migrate(migrate::MigrateFlags),
    /// Imports rooms, members and messages from a file, one JSON object a line. Stop the server first.
    Import(import::ImportFlags),
    /// Prints every setting with its default and description.
    DefaultConfig,
    /// Prints the description of every event, with payloads, acks and error codes.
    Schema(schema::SchemaFlags),
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
    #[error("the server does not answer: {0}")]
    Unreachable(String),
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("failed to write to stdout: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// 2 for usage and configuration errors, 1 for failures.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Config(_) | Failure::Usage(_) => ExitCode::from(2),
            Failure::Start(error) if error.is_setting() => ExitCode::from(2),
            Failure::Start(_) | Failure::Unreachable(_) | Failure::Refused(_) | Failure::Output(_) => {
                ExitCode::from(1)
            }
        }
    }
}

impl Cli {
    /// Parses the command line. Prints a usage error as one line and returns its exit code.
    pub(crate) fn parse_args() -> Result<Self, ExitCode> {
        // clap rejects an empty value, but an empty variable counts as not set.
        let unset = std::env::var_os(CONFIG_VARIABLE).is_some_and(|value| value.is_empty());
        let command = <Self as CommandFactory>::command().version(VERSION.as_str());
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
                // --help and --version.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            let line: Vec<_> = first.trim_start_matches("error: ").split_whitespace().collect();
            print_error(&Failure::Usage(format!("{}; see roomful --help", line.join(" "))));
            ExitCode::from(2)
        })
    }

    /// Runs the command. The server uses the decorated store.
    pub(crate) fn run(self, decorate: StoreDecorator) -> Result<ExitCode, Failure> {
        let Cli {
            common,
            serve,
            command,
        } = self;
        match command {
            None => serve::run(&|| common.clone().load(serve.clone()), decorate),
            Some(Command::Serve(flags)) => {
                let flags = serve.merge(flags);
                serve::run(&|| common.clone().load(flags.clone()), decorate)
            }
            Some(Command::Token(flags)) => token::run(&common.load(ServeFlags::default())?, flags),
            Some(Command::Webhooks(flags)) => webhooks::run(&common.load(ServeFlags::default())?, flags),
            Some(Command::CheckConfig(flags)) => check_config::run(&common.load(serve.merge(flags))?),
            Some(Command::Doctor(flags)) => doctor::run(&common.load(serve.merge(flags))?),
            Some(Command::Health(flags)) => health::run(&common.load(serve.merge(flags))?),
            Some(Command::Explain(flags)) => explain::run(&common.load(serve)?, &flags),
            Some(Command::NewEpoch) => new_epoch::run(&common.load(ServeFlags::default())?),
            Some(Command::Migrate(flags)) => migrate::run(&common.load(ServeFlags::default())?, &flags),
            Some(Command::Import(flags)) => import::run(&common.load(ServeFlags::default())?, &flags),
            Some(Command::DefaultConfig) => default_config::run(),
            Some(Command::Schema(flags)) => schema::run(flags),
        }
    }
}

impl ServeFlags {
    /// Merges flags before and after the command's name; those after it win.
    fn merge(self, after: ServeFlags) -> ServeFlags {
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
            // All our names are UTF-8.
            let Ok(name) = name.into_string() else { continue };
            match text.into_string() {
                Ok(text) => sources.env.push((name, text)),
                Err(_) if name.starts_with("ROOMFUL_") => {
                    return Err(ConfigError::layer(Origin::Env(name), "is not valid UTF-8"));
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

/// Version of the program, and the newest schema it supports on each kind of store.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let schemas = roomful_store::schema_versions();
    format!(
        "{}\nschema: SQLite {}, PostgreSQL {}",
        env!("CARGO_PKG_VERSION"),
        schemas.sqlite,
        schemas.postgres
    )
});

/// The error of a command that needs an existing store.
fn missing_store(path: &Path) -> Failure {
    Failure::Usage(format!(
        "there is no store at {}; give the server's own --data or --config",
        path.display()
    ))
}

/// Prints `text` to stdout as the command's whole output.
fn print(text: &str) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a failure to stderr as one line.
pub(crate) fn print_error(failure: &Failure) {
    print_notice(&failure.to_string());
}

/// Prints one line to stderr, beginning with the program's name.
fn print_notice(line: &str) {
    print_progress(&format!("roomful: {line}"));
}

/// Prints one line to stderr.
fn print_progress(line: &str) {
    // A closed stderr is not an error.
    let _ = writeln!(io::stderr(), "{line}");
}
