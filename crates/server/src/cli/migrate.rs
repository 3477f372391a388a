//! `roomful migrate --to postgres://…`: copies the SQLite store to PostgreSQL. Clients keep their offsets.

use std::{ops::ControlFlow, path::Path, process::ExitCode};

use clap::Args;
use roomful_store::{Outage, Progress, StoreError};

use super::{Failure, missing_store, print, print_progress};
use crate::{
    config::Config,
    lifecycle,
    start_error::StartError,
    store::{self, Lock},
};

/// Flags of `roomful migrate`.
#[derive(Debug, Args)]
pub(super) struct MigrateFlags {
    /// Target database; it must be empty.
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
            "store.url is a PostgreSQL URL already; name the SQLite store to copy with --data or --config";
        return Err(Failure::Usage(what.to_owned()));
    };
    if !(flags.to.starts_with("postgres:") || flags.to.starts_with("postgresql:")) {
        let what = "--to must be a URL such as postgres://user:password@host/database";
        return Err(Failure::Usage(what.to_owned()));
    }
    roomful_store::check_url(&flags.to).map_err(|error| {
        let what = error.to_string();
        Failure::Usage(format!(
            "--to: {}",
            what.strip_prefix("store.url: ").unwrap_or(&what)
        ))
    })?;
    store::check_exists(config).map_err(|path| missing_store(&path))?;
    lifecycle::keep_files_private();
    // Fails while a server runs on the store, and keeps servers away until the copy is complete.
    let _lock = Lock::take(config)?;
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    let migrated = roomful_store::migrate(path, &flags.to, &mut report).map_err(target_error)?;
    let rows: u64 = migrated.tables.iter().map(|moved| moved.rows).sum();
    let count = migrated.tables.len();
    print(&format!(
        "Copied and verified {rows} rows of {count} tables.\n\
         Set store.url (or ROOMFUL_STORE_URL) to the database and start the server. Keep {} as a backup.\n",
        path.display()
    ))
}

/// Names the flag `--to` in errors of the target, where a server would name `store.url`.
fn target_error(error: StoreError) -> Failure {
    let of_flag = |text: String| text.replace("store.url", "--to");
    match error {
        StoreError::Setup(text) => Failure::Usage(of_flag(text)),
        StoreError::Unavailable(Outage::Connection(text)) => {
            StartError::Store(Outage::Connection(of_flag(text)).into()).into()
        }
        error => StartError::Store(error).into(),
    }
}

/// Prints one line a step to stderr.
fn report(progress: Progress) -> ControlFlow<()> {
    let line = match progress {
        Progress::Carried { table, rows, of } => format!("{table}: {rows} of {of}"),
        Progress::Verified { table, rows } => format!("{table}: {rows} compared"),
    };
    print_progress(&line);
    ControlFlow::Continue(())
}
