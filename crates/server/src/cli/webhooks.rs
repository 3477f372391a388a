//! `roomful webhooks`: lists records of webhooks and streams, and retries them. Works on the store
//! directly, with or without a running server; a running server sees the change within two seconds.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand, ValueEnum};
use roomful_chat::webhook;
use roomful_store::{Outbox, Record, RecordState, Replay, Store};
use tokio::runtime::Runtime;

use super::{Failure, missing_store, print};
use crate::{clock, config::Config, lifecycle, start_error::StartError, store};

/// Flags of `roomful webhooks`.
#[derive(Debug, Args)]
pub(super) struct WebhooksFlags {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists records, newest first, one per line: id, type, time, sink, state, attempts, last error.
    List {
        /// Only records in this state.
        #[arg(long)]
        state: Option<State>,
        /// Maximum number of records.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Makes records due now, with their attempts reset.
    Replay {
        /// Id of a record in any state.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All dead records.
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Pending,
    Delivered,
    Dead,
}

pub(super) fn run(config: &Config, flags: WebhooksFlags) -> Result<ExitCode, Failure> {
    if !config.has_sinks() {
        return Err(Failure::Usage(
            "no webhooks and no streams are configured; pass the server's --config".to_owned(),
        ));
    }
    store::check_exists(config).map_err(|path| missing_store(&path))?;
    // SQLite may create files beside the database.
    lifecycle::keep_files_private();
    let store = store::open_as_guest(config).map_err(StartError::Store)?;
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    let text = runtime.block_on(async {
        let text = run_action(&store, flags.action).await;
        store.close().await;
        text
    });
    print(&text?)
}

async fn run_action(store: &Arc<dyn Store>, action: Action) -> Result<String, Failure> {
    let Some(outbox) = store.outbox() else {
        return Ok(String::new());
    };
    match action {
        Action::List { state, limit } => list(outbox, state, limit).await,
        Action::Replay { id, .. } => {
            let which = id.clone().map_or(Replay::Dead, Replay::Id);
            let records = outbox
                .replay(which, clock::unix_millis())
                .await
                .map_err(StartError::Store)?;
            match id {
                Some(id) if records == 0 => Err(Failure::Usage(format!("there is no record {id:?}"))),
                _ => Ok(format!("{records} records are due again\n")),
            }
        }
    }
}

async fn list(outbox: &dyn Outbox, state: Option<State>, limit: u32) -> Result<String, Failure> {
    let state = state.map(|state| match state {
        State::Pending => RecordState::Pending,
        State::Delivered => RecordState::Delivered,
        State::Dead => RecordState::Dead,
    });
    let records = outbox.list(state, limit).await.map_err(StartError::Store)?;
    Ok(records.iter().map(line).collect())
}

fn line(record: &Record) -> String {
    let state = match record.state {
        RecordState::Pending => "pending",
        RecordState::Delivered => "delivered",
        RecordState::Dead => "dead",
    };
    format!(
        "{}\t{}\t{}\t{}\t{state}\t{}\t{}\n",
        record.id,
        webhook::type_name(record.kind),
        clock::rfc3339(record.at),
        record.sink,
        record.attempts,
        record.last_error.as_deref().unwrap_or("-")
    )
}
