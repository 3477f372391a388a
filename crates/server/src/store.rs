//! Opens the store that the settings name, with their bounds.

use std::sync::Arc;

use roomful_store::{Options, Retention, Store, StoreError};

use crate::config::Config;

/// Opens the store, making its folder, for its owner alone, where needed. Blocks while it migrates.
pub(crate) fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    roomful_store::open(&config.store_url(), options(config))
}

/// How much of each room is kept.
pub(crate) fn retention(config: &Config) -> Retention {
    let age = config.history.max_age.0.as_millis();
    Retention {
        max_entries: config.history.max_messages,
        max_age_ms: i64::try_from(age).unwrap_or(i64::MAX),
    }
}

fn options(config: &Config) -> Options {
    Options {
        retention: retention(config),
        queue_writes: config.store.queue,
        queue_reads: config.store.queue,
        readers: config.store.readers,
        // A page goes to its client as one message: it leaves room in the outbox for those that follow it.
        page_bytes: config.socket.outbox_bytes.0 / 2,
        ..Options::default()
    }
}
