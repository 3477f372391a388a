//! Opening the configured store with its options.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
    sync::Arc,
};

use roomful_store::{NotificationRetention, Options, Quotas, Retention, Store, StoreError};

use crate::{chat::millis, config::Config, outbox, start_error::StartError};

/// Returns the store to serve from, given the store that the settings name.
pub type StoreDecorator = fn(Arc<dyn Store>) -> Arc<dyn Store>;

/// Opens the store for serving: creates its folder (mode 0700) and migrates its schema. Blocks.
pub(crate) fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    roomful_store::open(&config.store_url(), options(config))
}

/// Opens the store as a guest, for commands that may run beside a server on the same store. Blocks.
pub(crate) fn open_as_guest(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let options = Options {
        guest: true,
        ..options(config)
    };
    roomful_store::open(&config.store_url(), options)
}

/// Opens the store for an import: without the outbox, since imported messages are no news for webhooks.
/// Blocks.
pub(crate) fn open_for_import(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let options = Options {
        outbox: roomful_store::OutboxOptions::default(),
        ..options(config)
    };
    roomful_store::open(&config.store_url(), options)
}

/// Returns the path of the missing file if the store is a file that does not exist. Always `Ok` for
/// PostgreSQL.
pub(crate) fn check_exists(config: &Config) -> Result<(), PathBuf> {
    let url = config.store_url();
    let Some(file) = url.strip_prefix("sqlite:") else {
        return Ok(());
    };
    let file = PathBuf::from(file.strip_prefix("//").unwrap_or(file));
    if file.exists() { Ok(()) } else { Err(file) }
}

/// Exclusive lock on a database file. Two servers on one file would each deliver their own messages only. The
/// operating system releases the lock when the process ends.
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Locks the store's file; `None` for PostgreSQL. Fails if another server holds the lock.
    pub(crate) fn take(config: &Config) -> Result<Option<Self>, StartError> {
        let url = config.store_url();
        let Some(database) = url.strip_prefix("sqlite:") else {
            return Ok(None);
        };
        let path = PathBuf::from(format!("{database}.lock"));
        let setup = |error: io::Error| StoreError::Setup(format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(setup)?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(setup)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Err(StartError::Locked(database.into())),
            Err(TryLockError::Error(error)) => Err(setup(error).into()),
        }
    }
}

/// Retention of messages in each room.
pub(crate) fn retention(config: &Config) -> Retention {
    let history = &config.history;
    Retention {
        max_entries: history.max_messages,
        max_age_ms: millis(history.max_age.0),
        dedup_for_ms: millis(history.dedup_for.0),
        dedup_per_room: history.dedup_per_room,
        unused_rooms_for_ms: millis(config.rooms.remove_unused_after.0),
    }
}

/// What one user may store. Without rate limits there are no quotas either.
fn quotas(config: &Config) -> Quotas {
    let limits = &config.limits;
    let only_with_rates = |quota| if limits.rates { quota } else { 0 };
    Quotas {
        daily_bytes: only_with_rates(limits.daily_size.0 as u64),
        daily_rooms: only_with_rates(limits.daily_rooms),
        edits: limits.edits,
    }
}

/// Retention of notifications for each user.
pub(crate) fn notifications(config: &Config) -> NotificationRetention {
    NotificationRetention {
        max_per_user: config.notifications.max_per_user,
        max_age_ms: millis(config.notifications.max_age.0),
        devices_per_user: config.notifications.devices_per_user,
    }
}

fn options(config: &Config) -> Options {
    Options {
        retention: retention(config),
        quotas: quotas(config),
        notifications: notifications(config),
        queue_writes: config.store.queue,
        queue_reads: config.store.queue,
        queue_reads_per_user: config.store.queue_per_user,
        readers: config.store.readers,
        // A page goes to its client as one message. Leave room in the socket's outbox for later ones.
        page_bytes: config.socket.outbox_bytes.0 / 2,
        reactions: config.limits.reactions,
        outbox: outbox::options(config),
        pool: config.store.pool,
        statement_timeout: config.store.statement_timeout.0,
        erase_within: config.store.erase_within.0,
        compact_up_to: config.store.compact_up_to.0 as u64,
        folder: Some(config.data.clone()),
        ..Options::default()
    }
}
