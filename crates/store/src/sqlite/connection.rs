//! Connections to the database file: creation, settings and schema.

use std::{collections::HashSet, path::Path};

use refinery::Runner;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, config::DbConfig, functions::FunctionFlags,
};

use crate::{SchemaState, StoreError, append::fingerprint, schema, sqlite::failure};

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Prepared statements kept per connection; more than this engine has.
const CACHED_STATEMENTS: usize = 128;

/// The table in which refinery notes the migrations. Other programs that use it have one, too.
const MIGRATIONS_TABLE: &str = "refinery_schema_history";

/// Tables that every store has.
const OUR_TABLES: [&str; 3] = ["rooms", "entries", MIGRATIONS_TABLE];

/// The migrations that lead to the schema of this build.
pub(super) fn migrations() -> Runner {
    embedded::migrations::runner()
}

/// The newest schema version that this build supports.
pub(crate) fn supported_version() -> i64 {
    schema::newest(&migrations())
}

/// Opens the file for a server: creates the file and its folder, and upgrades the schema. Fails if the
/// schema is newer.
pub(crate) fn writer(path: &Path) -> Result<Connection, StoreError> {
    writer_with(path, &migrations())
}

pub(super) fn writer_with(path: &Path, migrations: &Runner) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_folder(folder)
            .map_err(|error| setup(path, &format_args!("cannot create its folder: {error}")))?;
    }
    let mut conn = open_writable(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    let state = schema_of(&conn, migrations).map_err(|error| setup(path, &error))?;
    state.check_upgradable()?;
    migrations
        .run(&mut conn)
        .map_err(|error| setup(path, &format_args!("cannot upgrade its schema: {error}")))?;
    Ok(conn)
}

/// Opens an existing store for writing. Never creates a file, a table or a schema.
pub(crate) fn existing(path: &Path) -> Result<Connection, StoreError> {
    existing_with(path, &migrations())
}

pub(super) fn existing_with(path: &Path, migrations: &Runner) -> Result<Connection, StoreError> {
    if !path.is_file() {
        SchemaState::Missing.check_current()?;
    }
    let conn = open_writable(path, OpenFlags::empty())?;
    let state = schema_of(&conn, migrations).map_err(|error| setup(path, &error))?;
    state.check_current()?;
    Ok(conn)
}

/// The state of the file's schema. A missing or empty file is [`SchemaState::Missing`].
pub(crate) fn schema_state(path: &Path) -> Result<SchemaState, StoreError> {
    if !path.exists() {
        return Ok(SchemaState::Missing);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = || {
        let conn = Connection::open_with_flags(path, flags)?;
        prepare_any(&conn)?;
        schema_of(&conn, &migrations())
    };
    read().map_err(|error| setup(path, &error))
}

fn schema_of(conn: &Connection, migrations: &Runner) -> rusqlite::Result<SchemaState> {
    const TABLE: &str =
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history'";
    const VERSION: &str = "SELECT max(version) FROM refinery_schema_history";
    let table = conn.query_row(TABLE, [], |_| Ok(())).optional()?;
    let found = match table {
        Some(()) => conn.query_row(VERSION, [], |row| row.get(0))?,
        None => None,
    };
    Ok(SchemaState::compare(found, schema::newest(migrations)))
}

/// Whether the file has tables but not ours. A server that was killed at its first start leaves the table of
/// the migrations alone.
fn is_foreign(conn: &Connection) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'";
    let tables: HashSet<String> = conn
        .prepare(SQL)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let has = |table: &str| tables.contains(table);
    let is_new = tables.iter().all(|table| table == MIGRATIONS_TABLE);
    Ok(!is_new && !OUR_TABLES.into_iter().all(has))
}

fn open_writable(path: &Path, more: OpenFlags) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| setup(path, &error))?;
    prepare_any(&conn).map_err(|error| setup(path, &error))?;
    // Before the first setting that changes the file.
    if is_foreign(&conn).map_err(|error| setup(path, &error))? {
        let foreign = "it is the database of another program; name another file in store.url";
        return Err(setup(path, &foreign));
    }
    let journal = prepare_writer(&conn).map_err(|error| setup(path, &error))?;
    if journal != "wal" {
        let why = "its file system has no shared memory, which the write-ahead log needs";
        return Err(setup(path, &why));
    }
    Ok(conn)
}

/// Whether an existing file is a store. SQLite opens an empty file as a database, but it is not a store.
pub(crate) fn is_store(path: &Path) -> Result<bool, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let count_tables = || -> rusqlite::Result<i64> {
        let conn = Connection::open_with_flags(path, flags)?;
        prepare_any(&conn)?;
        let [rooms, entries, migrations] = OUR_TABLES;
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name IN (?1, ?2, ?3)";
        conn.query_row(sql, [rooms, entries, migrations], |row| row.get(0))
    };
    match count_tables() {
        Ok(tables) => Ok(tables == 3),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Ok(false),
        Err(error) => Err(setup(path, &error)),
    }
}

/// Opens the file for reading, after a writer has set it up.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| setup(path, &error))?;
    prepare_any(&conn).map_err(|error| failure::from_sqlite(&error))?;
    Ok(conn)
}

/// Creates a missing folder for its owner alone, since the database holds private messages.
fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Applies the settings of a writing connection. Returns the journal mode: SQLite keeps the old one if it
/// cannot change it.
fn prepare_writer(conn: &Connection) -> rusqlite::Result<String> {
    // synchronous = FULL: a commit returns once the log is on disk. With NORMAL, usual for WAL, a power cut
    // would lose acknowledged messages. A checkpoint each 2000 pages (8 MB) keeps the log short at the cost
    // of two syncs. secure_delete: SQLite overwrites deleted content with zeros, so that deleted messages
    // do not stay in free pages.
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 2000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -16384;",
    )?;
    // The trimming of entries calls it in SQL that both stores share.
    conn.create_scalar_function(
        "text_fingerprint",
        2,
        FunctionFlags::SQLITE_DETERMINISTIC,
        |args| {
            let text = |at| {
                args.get_raw(at)
                    .as_str()
                    .map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
            };
            Ok(fingerprint(text(0)?, text(1)?))
        },
    )?;
    // These two answer with a row.
    conn.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
    conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
}

fn prepare_any(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Without this, a plan that inspects bound values is compiled again for each value: a quarter of a
    // read's cost.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Sorting in memory keeps reads working while the disk is full.
    conn.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")
}

pub(super) fn setup(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Setup(format!(
        "cannot open the store at {}: {why}; check the path, its permissions and the space on its disk",
        path.display()
    ))
}
