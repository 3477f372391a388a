//! Webhooks as sinks of the outbox: posts each record at least once, signed by the Standard Webhooks
//! specification.
//!
//! | file | what |
//! |---|---|
//! | `client` | signed posts, which hooks use too |
//! | `endpoint` | an endpoint, and one attempt to post a record |
//! | `signature` | the signature header |

mod client;
mod endpoint;
mod signature;

use std::{io, sync::Arc};

use roomful_store::Store;
use roomful_supervisor::Supervised;

use self::endpoint::{Endpoint, Posting};
pub(crate) use self::{
    client::{Answer, Client, PostError, Target},
    signature::SigningKeys,
};
use crate::{
    chat::millis,
    config::Config,
    outbox::{Backoff, SinkRunner},
};

/// Idle connections kept for each host.
const IDLE_CONNECTIONS: usize = 4;

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
    let posting = Posting {
        client: Client::new(IDLE_CONNECTIONS, client::RESPONSE_BYTES)?,
        timeout: config.outbox.timeout.0,
        concurrency: config.outbox.concurrency,
    };
    for webhook in &config.webhooks {
        let Some(endpoint) = Endpoint::new(webhook, &posting) else {
            continue;
        };
        keys.push((endpoint.name.clone(), endpoint.keys()));
        let backoff = Backoff {
            first_ms: millis(config.outbox.retry_first.0),
            max_ms: millis(config.outbox.retry_max.0),
            attempts: config.outbox.attempts,
        };
        tasks.push(SinkRunner::start(store, endpoint, backoff));
    }
    Ok(keys)
}
