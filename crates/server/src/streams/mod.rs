//! Redis streams as sinks of the outbox: adds records in order, at least once.
//!
//! | file | what |
//! |---|---|
//! | `connection` | connection to Redis, and one attempt to add a batch |
//! | `dispatcher` | one stream's loop: due records out, outcomes back |
//! | `check` | check of a stream and its Redis for `roomful doctor` |

mod check;
mod connection;
mod dispatcher;

use std::sync::Arc;

use roomful_store::Store;
use tokio::task::JoinSet;

pub(crate) use self::check::{StreamCheck, check};
use self::{connection::Connection, dispatcher::Dispatcher};
use crate::config::Config;

/// Starts a dispatcher for each stream. They end when the store is closed. Whether Redis is there shows
/// later.
pub(crate) fn start(config: &Config, store: &Arc<dyn Store>, tasks: &mut JoinSet<()>) {
    for stream in &config.streams {
        let Some(connection) = Connection::new(stream, config.outbox.timeout.0) else {
            continue;
        };
        let name = stream.name().to_owned();
        let dispatcher = Dispatcher::new(
            Arc::clone(store),
            name,
            connection,
            dispatcher::backoff(&config.outbox),
        );
        tasks.spawn(dispatcher.run());
    }
}
