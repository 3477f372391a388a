//! Opening a store: which database a URL names.

use std::sync::Arc;

use crate::{Options, SchemaState, SchemaVersions, Store, StoreError};

/// Opens the store that a URL names. Creates it and upgrades its schema unless [`Options::guest`] is set.
/// Blocks.
///
/// `sqlite:PATH` is a file; a relative path starts at the working folder. The store creates a missing file
/// and its folder, for the owner alone. The watermark file `PATH-watermark` reveals an older copy of the
/// database: the store then gives all rooms new epochs and deletes all sessions.
///
/// `postgres://USER:PASSWORD@HOST/DATABASE` (or `postgresql:`) is an existing database, which several nodes
/// may have open. `sslmode` is `disable`, `prefer`, `require` or `verify-full`; the last uses the system's
/// certificate authorities, or those in the file of `sslrootcert`. Each node detects a restore by the
/// positions that it remembers.
///
/// Metrics go to the recorder that is installed at this moment.
///
/// # Errors
/// [`StoreError::Setup`] says what to change in the URL, the options, or the place they name.
pub fn open(url: &str, options: Options) -> Result<Arc<dyn Store>, StoreError> {
    options.validate()?;
    Ok(match engine(url)? {
        Engine::Sqlite(path) => Arc::new(crate::sqlite::open(path, options)?),
        Engine::Postgres => Arc::new(crate::postgres::open(url, options)?),
    })
}

/// Gives every room and the log a new epoch and deletes all sessions, for a restore that [`open`] cannot
/// detect. Returns the number of rooms. With SQLite nobody else may have the store open; nodes on
/// PostgreSQL continue in the new epochs. Blocks.
///
/// # Errors
/// [`StoreError::Setup`] as with [`open`], and if there is no store.
pub fn new_epochs(url: &str) -> Result<u64, StoreError> {
    match engine(url)? {
        Engine::Sqlite(path) => crate::sqlite::new_epochs(path),
        Engine::Postgres => crate::postgres::new_epochs(url),
    }
}

/// Compares the schema of the store that a URL names with the one this build supports. Creates and changes
/// nothing. Blocks.
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

/// Checks a URL without opening anything.
///
/// # Errors
/// [`StoreError::Setup`] says what to change. It never holds a password.
pub fn check_url(url: &str) -> Result<(), StoreError> {
    match engine(url)? {
        Engine::Sqlite(_) => Ok(()),
        Engine::Postgres => crate::postgres::check_url(url),
    }
}

/// Checks the other files that a URL names, such as certificates, without opening the store.
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
        // Other tools write `sqlite:///absolute` for the same file.
        "sqlite" => Ok(Engine::Sqlite(rest.strip_prefix("//").unwrap_or(rest))),
        "postgres" | "postgresql" => Ok(Engine::Postgres),
        _ => Err(StoreError::Setup(format!(
            "no store for `{scheme}:` in this build; use a URL such as sqlite:/var/lib/roomful/roomful.db or \
             postgres://user:password@host/database"
        ))),
    }
}
