//! Webhooks as sinks of the outbox: posts each record at least once, signed by the Standard Webhooks
//! specification.
//!
//! | file | what |
//! |---|---|
//! | `endpoint` | an endpoint, and one attempt to post a record |
//! | `signature` | the signature header |

mod endpoint;
mod signature;

use std::{io, sync::Arc};

use roomful_store::Store;
use roomful_supervisor::Supervised;

use self::endpoint::Client;
pub(crate) use self::signature::SigningKeys;
use crate::{
    chat::millis,
    config::Config,
    outbox::{Backoff, SinkRunner},
};

/// Starts a runner for each endpoint; they end when the store closes. Returns their signing keys by name,
/// so that a reload can replace them.
pub(crate) fn start(
    config: &Config,
    store: &Arc<dyn Store>,
    tasks: &mut Vec<Supervised>,
) -> io::Result<Vec<(String, SigningKeys)>> {
    let mut keys = Vec::new();
    if config.webhooks.is_empty() {
        return Ok(keys);
    }
    let client = Client::new(config.outbox.timeout.0, config.outbox.concurrency)?;
    for webhook in &config.webhooks {
        let Some(endpoint) = client.endpoint(webhook) else {
            continue;
        };
        keys.push((endpoint.name.clone(), endpoint.keys.clone()));
        let backoff = Backoff {
            first_ms: millis(config.outbox.retry_first.0),
            max_ms: millis(config.outbox.retry_max.0),
            attempts: config.outbox.attempts,
        };
        tasks.push(SinkRunner::start(store, endpoint, backoff));
    }
    Ok(keys)
}
