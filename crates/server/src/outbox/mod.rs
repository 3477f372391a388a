//! What the outbox of the store holds goes out from here, to webhooks and to streams. What a record says is
//! `roomful-chat`'s; that it is written with its cause, the store's.
//!
//! | file | what |
//! |---|---|
//! | `payload` | a record as every sink gets it |
//! | `backoff` | when what failed is tried again |
//! | `attempts` | attempts counted by what came of them |
//! | `upkeep` | figures, and what is removed |

mod attempts;
mod backoff;
mod payload;
mod upkeep;

use std::{io, sync::Arc};

use roomful_store::{OutboxOptions, Sink, Store};
use tokio::task::JoinSet;

pub(crate) use self::{
    attempts::{Attempts, Cause},
    backoff::Backoff,
    payload::Payload,
};
use crate::{chat::millis, config::Config, streams, webhooks};

/// Which records the store writes.
pub(crate) fn options(config: &Config) -> OutboxOptions {
    let webhooks = config.webhooks.iter().map(|webhook| Sink {
        name: webhook.name(),
        kinds: webhook.kinds(),
    });
    let streams = config.streams.iter().map(|stream| Sink {
        name: stream.name().to_owned(),
        kinds: stream.kinds(),
    });
    OutboxOptions {
        sinks: webhooks.chain(streams).collect(),
        // By then, whoever left before the message was sent counts as away.
        first_look_ms: millis(config.presence.grace.0),
        last_look_ms: millis(config.outbox.undelivered_after.0),
        members_max: config.outbox.undelivered_members,
    }
}

/// Starts a dispatcher for each sink, and the upkeep of the outbox. They end when the store is closed.
pub(crate) fn start(config: &Config, store: &Arc<dyn Store>, tasks: &mut JoinSet<()>) -> io::Result<()> {
    if !config.has_sinks() {
        return Ok(());
    }
    webhooks::start(config, store, tasks)?;
    streams::start(config, store, tasks);
    tasks.spawn(upkeep::run(Arc::clone(store), upkeep::keep(config)));
    Ok(())
}

/// An error with what is behind it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    printable(&text)
}

/// What others sent, as a log and a list may show it: in one line, within bounds.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
