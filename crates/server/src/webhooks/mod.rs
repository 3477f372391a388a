//! Webhooks: posts the records of the store's outbox to the configured endpoints, each signed after the Standard Webhooks
//! specification, at least once. What a record says is `roomful-chat`'s; that it is written with its cause, the store's.
//!
//! | file | what |
//! |---|---|
//! | `endpoint` | an endpoint and one attempt to reach it |
//! | `signature` | the three headers |
//! | `backoff` | when a failed record is tried again |
//! | `dispatcher` | one endpoint's loop: due records out, outcomes back |
//! | `upkeep` | figures, and what is removed |

mod backoff;
mod dispatcher;
mod endpoint;
mod signature;
mod upkeep;

use std::{io, sync::Arc};

use roomful_store::{OutboxOptions, Sink, Store};
use tokio::task::JoinSet;

use self::{backoff::Backoff, dispatcher::Dispatcher, endpoint::Client};
use crate::{chat::millis, config::Config};

/// Which records the store writes.
pub(crate) fn options(config: &Config) -> OutboxOptions {
    let sink = |webhook: &crate::config::Webhook| Sink {
        name: webhook.name(),
        kinds: webhook.kinds(),
    };
    OutboxOptions {
        sinks: config.webhooks.iter().map(sink).collect(),
        // By then, whoever left before the message was sent counts as away.
        first_look_ms: millis(config.presence.grace.0),
        last_look_ms: millis(config.outbox.undelivered_after.0),
        members_max: config.outbox.undelivered_members,
    }
}

/// Starts a dispatcher for each endpoint, and the upkeep of the outbox. They end when the store is closed.
pub(crate) fn start(config: &Config, store: &Arc<dyn Store>, tasks: &mut JoinSet<()>) -> io::Result<()> {
    if config.webhooks.is_empty() {
        return Ok(());
    }
    let client = Client::new(config.outbox.timeout.0)?;
    for webhook in &config.webhooks {
        let Some(endpoint) = client.endpoint(webhook) else {
            continue;
        };
        let backoff = Backoff {
            first_ms: millis(config.outbox.retry_first.0),
            most_ms: millis(config.outbox.retry_max.0),
            attempts: config.outbox.attempts,
        };
        let dispatcher = Dispatcher::new(Arc::clone(store), endpoint, backoff, config.outbox.concurrency);
        tasks.spawn(dispatcher.run());
    }
    tasks.spawn(upkeep::run(Arc::clone(store), upkeep::keep(config)));
    Ok(())
}
