//! Opens the store that the settings name, with their bounds.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
    sync::Arc,
};

use roomful_store::{NotificationRetention, Options, Retention, Store, StoreError};

use crate::{config::Config, outbox, server::StartError};

/// Opens the store as its server, making its folder, for its owner alone, where needed. Blocks while it migrates.
pub(crate) fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    roomful_store::open(&config.store_url(), options(config))
}

/// Opens the store for a command that looks at it, or mends something in it, while a server may be running on it.
pub(crate) fn visit(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let options = Options {
        guest: true,
        ..options(config)
    };
    roomful_store::open(&config.store_url(), options)
}

/// Whether there is a store; otherwise where it was looked for. Of a database only its server knows.
pub(crate) fn existing(config: &Config) -> Result<(), PathBuf> {
    let url = config.store_url();
    let Some(file) = url.strip_prefix("sqlite:") else {
        return Ok(());
    };
    let file = PathBuf::from(file.strip_prefix("//").unwrap_or(file));
    if file.exists() { Ok(()) } else { Err(file) }
}

/// The right to serve from a database file. Two servers on one file would number alike, but each would deliver only what
/// it took in itself. The system gives it back when the process ends, however it ends.
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Takes it; `None` for a store that is no file.
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

/// How much of each room is kept.
pub(crate) fn retention(config: &Config) -> Retention {
    let age = config.history.max_age.0.as_millis();
    Retention {
        max_entries: config.history.max_messages,
        max_age_ms: i64::try_from(age).unwrap_or(i64::MAX),
    }
}

/// How much of each user's notifications is kept.
pub(crate) fn notifications(config: &Config) -> NotificationRetention {
    let age = config.notifications.max_age.0.as_millis();
    NotificationRetention {
        max_per_user: config.notifications.max_per_user,
        max_age_ms: i64::try_from(age).unwrap_or(i64::MAX),
        devices_per_user: config.notifications.devices_per_user,
    }
}

fn options(config: &Config) -> Options {
    Options {
        retention: retention(config),
        notifications: notifications(config),
        queue_writes: config.store.queue,
        queue_reads: config.store.queue,
        readers: config.store.readers,
        // A page goes to its client as one message: it leaves room in the outbox for those that follow it.
        page_bytes: config.socket.outbox_bytes.0 / 2,
        reactions: config.limits.reactions,
        outbox: outbox::options(config),
        pool: config.store.pool,
        statement_timeout: config.store.statement_timeout.0,
        folder: Some(config.data.clone()),
        ..Options::default()
    }
}
