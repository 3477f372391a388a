//! `roomful import FILE.ndjson`: imports rooms, members and messages of another system.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Args;
use tokio::runtime::Runtime;

use super::{Failure, print, print_progress};
use crate::{
    chat, clock,
    config::Config,
    import::{self, Import, ImportError, Imported},
    lifecycle,
    start_error::StartError,
    store::{self, Lock},
};

/// Flags of `roomful import`.
#[derive(Debug, Args)]
pub(super) struct ImportFlags {
    /// The file, one JSON object a line; docs/import.md describes it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only checks the file; writes nothing.
    #[arg(long)]
    check: bool,
}

pub(super) fn run(config: &Config, flags: &ImportFlags) -> Result<ExitCode, Failure> {
    lifecycle::keep_files_private();
    // Fails while a server runs on the store, and keeps servers away until the import is complete.
    let _lock = Lock::take(config)?;
    let store = store::open_for_import(config).map_err(StartError::Store)?;
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    let imported = runtime.block_on(async {
        let import = Import {
            file: flags.file.clone(),
            store: store.clone(),
            limits: chat::limits(config),
            retention: store::retention(config),
            now: clock::unix_millis(),
            check_only: flags.check,
        };
        let imported = import::run(import, &mut print_progress).await;
        store.close().await;
        imported
    });
    match imported {
        Ok(imported) => print(&summary(&imported, flags.check)),
        Err(ImportError::Store(error)) => Err(StartError::Store(error).into()),
        Err(error) => Err(Failure::Usage(format!("{}: {error}", flags.file.display()))),
    }
}

/// Text with the counts of imported records, and of skipped ones by reason.
fn summary(imported: &Imported, check_only: bool) -> String {
    let Imported {
        rooms,
        members,
        messages,
        present,
        too_old,
        too_many,
        in_use,
        replies,
        lost_marks,
    } = imported;
    let verb = if check_only { "Would import" } else { "Imported" };
    let mut text = format!("{verb} {rooms} rooms, {members} members and {messages} messages.\n");
    let reasons = [
        (*present, "messages are there already"),
        (*too_old, "messages are older than history.max_age"),
        (
            *too_many,
            "messages are beyond history.max_messages of their room",
        ),
        (
            *in_use,
            "messages belong to rooms with messages that are not from this file",
        ),
        (
            *replies,
            "replies have no link, since their message is not imported",
        ),
        (
            *lost_marks,
            "members have no read mark, since the file lacks the message of their lastRead",
        ),
    ];
    for (count, what) in reasons.into_iter().filter(|(count, _)| *count > 0) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{count} {what}.");
    }
    text
}
