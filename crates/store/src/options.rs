//! Every bound of a store, and the choice of the engine.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{NotificationRetention, OutboxOptions, SchemaState, SchemaVersions, Store, StoreError};

/// How much of a room's log is kept. What exceeds either limit goes, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Entries per room, at least 1.
    pub max_entries: u64,
    /// Milliseconds. Only [`Store::trim`] looks at it.
    pub max_age_ms: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            max_age_ms: 90 * 24 * 3_600_000,
        }
    }
}

/// The bounds of a store. All counts are at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What an append keeps of the room it appends to.
    pub retention: Retention,
    /// What a post and a mark keep of their users' notifications.
    pub notifications: NotificationRetention,
    /// Writes that may wait for the writer.
    pub queue_writes: usize,
    /// Bytes of the writes that wait or are being written.
    pub queue_bytes: usize,
    /// Entries (and other writes) that go into one commit.
    pub batch_writes: usize,
    /// Bytes that go into one commit.
    pub batch_bytes: usize,
    /// Reader threads, each with its own connection; 16 at most.
    pub readers: usize,
    /// Reads that may wait for a reader.
    pub queue_reads: usize,
    /// How long a call waits for room in a full queue before it answers [`crate::Outage::Busy`].
    pub queue_wait: Duration,
    /// Bytes of bodies after which a page of history or of an inbox ends early. One entry is always let through.
    pub page_bytes: usize,
    /// Which records go to the outbox.
    pub outbox: OutboxOptions,
    /// Different reactions that one message may have.
    pub reactions: u32,
    /// Opens an existing store as a guest, beside a server that may use it at the same time. A guest never creates a
    /// store or changes its schema, does not detect restores, and must not append.
    pub guest: bool,
    /// SQLite: time within which deleted text leaves the write-ahead log.
    pub erase_within: Duration,
    /// Connections to PostgreSQL for all but appends and the node's signs of life, which have one of their own each.
    pub pool: usize,
    /// How long PostgreSQL may take for one statement, or a lock, before the call is given up.
    pub statement_timeout: Duration,
    /// How long a node on PostgreSQL may give no sign of life before others take over its sessions and its sinks.
    pub node_timeout: Duration,
    /// The folder in which a node on PostgreSQL notes how far it has come, so that it notices when the database was restored
    /// while it was stopped. Each node has its own.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            notifications: NotificationRetention::default(),
            queue_writes: 4096,
            queue_bytes: 16 << 20,
            batch_writes: 1024,
            batch_bytes: 4 << 20,
            readers: 2,
            queue_reads: 1024,
            queue_wait: Duration::from_secs(5),
            page_bytes: 1 << 20,
            outbox: OutboxOptions::default(),
            reactions: 20,
            guest: false,
            erase_within: Duration::from_secs(5),
            pool: 8,
            statement_timeout: Duration::from_secs(5),
            node_timeout: Duration::from_secs(15),
            folder: None,
        }
    }
}

impl Options {
    fn validate(&self) -> Result<(), StoreError> {
        let at_least_one = [
            ("queue_writes", self.queue_writes),
            ("queue_bytes", self.queue_bytes),
            ("batch_writes", self.batch_writes),
            ("batch_bytes", self.batch_bytes),
            ("readers", self.readers),
            ("queue_reads", self.queue_reads),
            ("pool", self.pool),
            ("page_bytes", self.page_bytes),
            ("reactions", self.reactions as usize),
            (
                "retention.max_entries",
                usize::try_from(self.retention.max_entries).unwrap_or(usize::MAX),
            ),
            (
                "notifications.max_per_user",
                usize::try_from(self.notifications.max_per_user).unwrap_or(usize::MAX),
            ),
            (
                "notifications.devices_per_user",
                self.notifications.devices_per_user as usize,
            ),
        ];
        for (name, value) in at_least_one {
            if value == 0 {
                return Err(StoreError::Setup(format!(
                    "the store's {name} is 0; it must be at least 1"
                )));
            }
        }
        for (name, value) in [
            ("statement_timeout", self.statement_timeout),
            ("node_timeout", self.node_timeout),
        ] {
            if value < Duration::from_millis(100) {
                return Err(StoreError::Setup(format!(
                    "the store's {name} is {value:?}; it must be at least 100 ms"
                )));
            }
        }
        if self.readers > 16 {
            return Err(StoreError::Setup(format!(
                "the store's readers is {}; 16 at most",
                self.readers
            )));
        }
        Ok(())
    }
}

/// Opens the store a URL names, creating and migrating it where needed. Blocks while it does.
///
/// `sqlite:PATH` is a file, created with its folder (for its owner alone) if it does not exist; a relative path
/// starts at the working folder. WatermarkFile it a small file, `PATH-life`, tells an older copy of the database from the one that was
/// left: if one was put in its place, all rooms get new epochs, and sessions are forgotten.
///
/// `postgres://USER:PASSWORD@HOST/DATABASE` (or `postgresql:`) is a database that exists, and that several nodes may have
/// open at once; `sslmode` may be `disable`, `prefer`, `require` or `verify-full`, the last with the system's authorities or
/// those in the file that `sslrootcert` names. That the database was restored is told by what each node knows.
///
/// Metrics go to the recorder that is installed when this is called.
///
/// # Errors
/// [`StoreError::Setup`] says what to change in the URL, the options, or the place they point to.
pub fn open(url: &str, options: Options) -> Result<Arc<dyn Store>, StoreError> {
    options.validate()?;
    Ok(match engine(url)? {
        Engine::Sqlite(path) => Arc::new(crate::sqlite::open(path, options)?),
        Engine::Postgres => Arc::new(crate::postgres::open(url, options)?),
    })
}

/// Gives every room and the order of all entries a new epoch and forgets all sessions, as [`open`] does when it finds that an
/// older copy was restored; for restores that can't be seen. Answers how many rooms there are. Nobody else may have the
/// store open; nodes on PostgreSQL that do go on in the new epochs. Blocks.
///
/// # Errors
/// [`StoreError::Setup`] as with [`open`].
pub fn new_epochs(url: &str) -> Result<u64, StoreError> {
    match engine(url)? {
        Engine::Sqlite(path) => crate::sqlite::new_epochs(path),
        Engine::Postgres => crate::postgres::new_epochs(url),
    }
}

/// Compares the schema of the store that a URL names with the one this build supports. Creates and changes nothing.
/// Blocks.
///
/// # Errors
/// [`StoreError::Setup`] and [`StoreError::Unavailable`] as with [`open`].
pub fn schema_state(url: &str) -> Result<SchemaState, StoreError> {
    match engine(url)? {
        Engine::Sqlite(path) => crate::sqlite::schema_state(path),
        Engine::Postgres => crate::postgres::schema_state(url),
    }
}

/// The schema versions that this build supports.
pub fn schema_versions() -> SchemaVersions {
    SchemaVersions {
        sqlite: crate::sqlite::connection::supported_version(),
        postgres: crate::postgres::schema::supported_version(),
    }
}

/// Whether a URL can be meant. Nothing is opened.
///
/// # Errors
/// [`StoreError::Setup`] says what to change. It never holds a password.
pub fn check_url(url: &str) -> Result<(), StoreError> {
    match engine(url)? {
        Engine::Sqlite(_) => Ok(()),
        Engine::Postgres => crate::postgres::check_url(url),
    }
}

/// Whether the files that a URL names beside the store, such as certificates, can be used. Nothing is opened.
///
/// # Errors
/// [`StoreError::Setup`] says what to change.
pub fn check_files(url: &str) -> Result<(), StoreError> {
    match engine(url)? {
        Engine::Sqlite(_) => Ok(()),
        Engine::Postgres => crate::postgres::check_files(url),
    }
}

enum Engine<'a> {
    /// The file's path.
    Sqlite(&'a str),
    Postgres,
}

fn engine(url: &str) -> Result<Engine<'_>, StoreError> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    match scheme {
        // `sqlite:///absolute` is what other tools write; it means the same file.
        "sqlite" => Ok(Engine::Sqlite(rest.strip_prefix("//").unwrap_or(rest))),
        "postgres" | "postgresql" => Ok(Engine::Postgres),
        _ => Err(StoreError::Setup(format!(
            "no store for `{scheme}:` in this build; use a URL such as sqlite:/var/lib/roomful/roomful.db or postgres://user:password@host/database"
        ))),
    }
}
