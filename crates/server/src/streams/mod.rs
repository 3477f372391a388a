//! Redis streams as sinks of the outbox: adds records in order, at least once.
//!
//! | file | what |
//! |---|---|
//! | `connection` | connection to Redis, and one attempt to add a batch |
//! | `sink` | a stream as a sink: batches of entries |
//! | `check` | check of a stream and its Redis for `roomful doctor` |

mod check;
mod connection;
mod sink;

use std::sync::Arc;

use roomful_store::Store;
use roomful_supervisor::Supervised;

pub(crate) use self::check::{StreamCheck, check};
use self::{connection::Connection, sink::StreamSink};
use crate::{config::Config, outbox::SinkRunner};

/// Starts a runner for each stream; they end when the store closes. Redis need not be reachable yet.
pub(crate) fn start(config: &Config, store: &Arc<dyn Store>, tasks: &mut Vec<Supervised>) {
    for stream in &config.streams {
        let Some(connection) = Connection::new(stream, config.outbox.timeout.0) else {
            continue;
        };
        let sink = StreamSink::new(stream.name(), connection);
        tasks.push(SinkRunner::start(store, sink, sink::backoff(&config.outbox)));
    }
}
