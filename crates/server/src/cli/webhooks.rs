//! `roomful webhooks`: shows what waits for endpoints and streams and what was given up, and lets it be tried again. It
//! works on the store itself, whether a server runs on it or not; a running one notices within two seconds.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand, ValueEnum};
use roomful_chat::webhook;
use roomful_store::{Outbox, Record, RecordState, Replay, Store};
use tokio::runtime::Runtime;

use super::{Failure, answer, no_store};
use crate::{clock, config::Config, lifecycle, server::StartError, store};

/// Flags of `roomful webhooks`.
#[derive(Debug, Args)]
pub(super) struct WebhooksFlags {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists records, the newest first, one a line: id, type, time, endpoint or stream, state, attempts, last error.
    List {
        /// Only those in this state.
        #[arg(long)]
        state: Option<State>,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Makes records due again, as if they had never been tried.
    Replay {
        /// The id of a record, whatever its state.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All that were given up.
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
            "no webhooks and no streams are configured; give the server's own --config".to_owned(),
        ));
    }
    store::existing(config).map_err(|path| no_store(&path))?;
    // What SQLite makes beside the file is for its owner alone.
    lifecycle::keep_files_private();
    let store = store::visit(config).map_err(StartError::Store)?;
    let runtime = Runtime::new().map_err(StartError::Runtime)?;
    let text = runtime.block_on(async {
        let text = carry_out(&store, flags.what).await;
        store.close().await;
        text
    });
    answer(&text?)
}

async fn carry_out(store: &Arc<dyn Store>, what: What) -> Result<String, Failure> {
    let Some(outbox) = store.outbox() else {
        return Ok(String::new());
    };
    match what {
        What::List { state, limit } => list(outbox, state, limit).await,
        What::Replay { id, .. } => {
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
