//! Connections to the file: opening them, their settings, and the migration of the schema.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use crate::{StoreError, sqlite::failure};

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Prepared statements that a connection caches: more than this folder has.
const CACHED_STATEMENTS: usize = 128;

/// Opens the file for writing. Creates the folder, the file and the schema where they are missing.
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

/// True if an existing file is a store. An empty file is not one, although SQLite takes it for a database.
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

/// Opens a file that [`writer`] has set up, for reading.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| setup(path, &error))?;
    prepare_any(&conn).map_err(|error| failure::from_sqlite(&error))?;
    Ok(conn)
}

/// Creates the folder for its owner alone, since messages are private. An existing folder stays as it is.
fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Answers the journal mode, since SQLite does not report it if it cannot change the mode.
fn prepare_writer(conn: &Connection) -> rusqlite::Result<String> {
    prepare_any(conn)?;
    // FULL: a commit returns when the write-ahead log is on the disk. NORMAL would lose acknowledged
    // messages in a power cut. Checkpoints every 2000 pages (8 MB) sync rarely and keep the write-ahead log
    // short.
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
    // Query plans must not depend on bound values: planning again for other values costs a quarter of a read.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Sorts happen in memory: reads must work when the disk is full.
    conn.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")
}

pub(super) fn setup(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Setup(format!(
        "cannot open the store at {}: {why}; check the path, its permissions and the space on its disk",
        path.display()
    ))
}
