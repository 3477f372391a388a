//! `roomful migrate --to postgres://…`: carries the SQLite store of the settings over to PostgreSQL, so that the server can go
//! on there and no client notices.

use std::{io::Write as _, ops::ControlFlow, path::Path, process::ExitCode};

use clap::Args;
use roomful_store::{Outage, Progress, StoreError};

use super::{Failure, answer, no_store};
use crate::{
    config::Config,
    lifecycle,
    server::StartError,
    store::{self, Lock},
};

/// Flags of `roomful migrate`.
#[derive(Debug, Args)]
pub(super) struct MigrateFlags {
    /// The database to carry everything to; it must be empty.
    #[arg(
        long,
        value_name = "postgres://USER:PASSWORD@HOST/DATABASE",
        env = "ROOMFUL_MIGRATE_TO",
        hide_env_values = true
    )]
    to: String,
}

pub(super) fn run(config: &Config, flags: &MigrateFlags) -> Result<ExitCode, Failure> {
    let url = config.store_url();
    let Some(path) = url.strip_prefix("sqlite:") else {
        let what =
            "store.url names PostgreSQL already; name the SQLite store to carry over with --data or --config";
        return Err(Failure::Usage(what.to_owned()));
    };
    if !(flags.to.starts_with("postgres:") || flags.to.starts_with("postgresql:")) {
        let what = "--to takes a URL such as postgres://user:password@host/database";
        return Err(Failure::Usage(what.to_owned()));
    }
    roomful_store::check_url(&flags.to).map_err(|error| {
        let what = error.to_string();
        Failure::Usage(format!(
            "--to: {}",
            what.strip_prefix("store.url: ").unwrap_or(&what)
        ))
    })?;
    store::existing(config).map_err(|path| no_store(&path))?;
    lifecycle::keep_files_private();
    // No server on it, and none until this is done.
    let _lock = Lock::take(config)?;
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    let migrated = roomful_store::migrate(path, &flags.to, &mut tell).map_err(named)?;
    let rows: u64 = migrated.tables.iter().map(|moved| moved.rows).sum();
    let count = migrated.tables.len();
    answer(&format!(
        "{rows} rows of {count} tables are in PostgreSQL, and the same there as here.\n\
         Set store.url (or ROOMFUL_STORE_URL) to the database and start the server; keep {} until all is well.\n",
        path.display()
    ))
}

/// What goes wrong with the target is said of the key by which a server would name it.
fn named(error: StoreError) -> Failure {
    let of_flag = |text: String| text.replace("store.url", "--to");
    match error {
        StoreError::Setup(text) => Failure::Usage(of_flag(text)),
        StoreError::Unavailable(Outage::Connection(text)) => {
            StartError::Store(Outage::Connection(of_flag(text)).into()).into()
        }
        error => StartError::Store(error).into(),
    }
}

/// Each step is a line on stderr, since stdout may be a file.
fn tell(progress: Progress) -> ControlFlow<()> {
    let line = match progress {
        Progress::Carried { table, rows, of } => format!("{table}: {rows} of {of}"),
        Progress::Verified { table, rows } => format!("{table}: {rows} compared"),
    };
    // If stderr is gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
    ControlFlow::Continue(())
}
