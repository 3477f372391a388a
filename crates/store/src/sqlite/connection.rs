//! How a connection to the file is opened and set up, and how the schema gets there.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use crate::{StoreError, sqlite::failure};

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Statements a connection keeps prepared; more than there are in this folder.
const CACHED_STATEMENTS: usize = 128;

/// Opens the file for writing, creates what is missing, and brings the schema up to date.
pub(crate) fn writer(path: &Path) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_folder(folder)
            .map_err(|error| setup(path, &format_args!("cannot create its folder: {error}")))?;
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(|error| setup(path, &error))?;
    let mode = prepare_writer(&conn).map_err(|error| setup(path, &error))?;
    if mode != "wal" {
        let why = "its file system has no shared memory, which the write-ahead log needs";
        return Err(setup(path, &why));
    }
    embedded::migrations::runner().run(&mut conn).map_err(|error| {
        let why = "its schema cannot be brought up to date (was it written by a newer version?)";
        setup(path, &format_args!("{why}: {error}"))
    })?;
    Ok(conn)
}

/// Whether the file, which exists, is a store. An empty one is not: to SQLite it is a database all the same.
pub(crate) fn is_store(path: &Path) -> Result<bool, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = || -> rusqlite::Result<i64> {
        let conn = Connection::open_with_flags(path, flags)?;
        prepare_any(&conn)?;
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name IN ('rooms', 'entries', 'refinery_schema_history')";
        conn.query_row(sql, [], |row| row.get(0))
    };
    match look() {
        Ok(tables) => Ok(tables == 3),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Ok(false),
        Err(error) => Err(setup(path, &error)),
    }
}

/// Opens the file, which a writer has set up, for reading.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| setup(path, &error))?;
    prepare_any(&conn).map_err(|error| failure::from_sqlite(&error))?;
    Ok(conn)
}

/// What people wrote is nobody else's: a folder made here is for its owner alone. One that exists stays as it is.
fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Answers the journal mode, which SQLite keeps to itself if it can't change it.
fn prepare_writer(conn: &Connection) -> rusqlite::Result<String> {
    prepare_any(conn)?;
    // FULL: a commit returns when the log is on the disk; with WAL's usual NORMAL a power cut would take
    // acknowledged messages. A checkpoint each 2000 pages (8 MB) costs its two syncs seldom and keeps the log short.
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 2000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -16384;",
    )?;
    conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
}

fn prepare_any(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // A plan that looks at the values bound to it is made anew with other values: a quarter of what a read costs.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Sorting in memory: reads must go on when the disk is full.
    conn.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")
}

pub(super) fn setup(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Setup(format!(
        "cannot open the store at {}: {why}; check the path, its permissions and the space on its disk",
        path.display()
    ))
}
