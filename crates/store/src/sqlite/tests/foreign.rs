//! Files of other programs: refused, and left as they are.

use std::{fs, path::Path};

use rusqlite::Connection;

use super::File;
use crate::{Options, StoreError};

/// Creates a file with these tables at the path of the store. Returns its bytes.
fn foreign(file: &File, tables: &str) -> Vec<u8> {
    let path = file.path();
    fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(tables).unwrap();
    conn.close().unwrap();
    fs::read(&path).unwrap()
}

/// The names of the files beside the store, and it.
fn names(file: &File) -> Vec<String> {
    let path = file.path();
    let entries = fs::read_dir(Path::new(&path).parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn the_database_of_another_program_is_refused_and_unharmed() {
    for tables in [
        "CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('mine')",
        "CREATE TABLE rooms (name TEXT); INSERT INTO rooms VALUES ('mine')",
        // Another program with the same library for migrations.
        "CREATE TABLE notes (text TEXT);
         CREATE TABLE refinery_schema_history (
             version INT4 PRIMARY KEY, name TEXT, applied_on TEXT, checksum TEXT);
         INSERT INTO refinery_schema_history VALUES (1, 'notes', '', '')",
    ] {
        for guest in [false, true] {
            let file = File::new();
            let before = foreign(&file, tables);
            let options = Options {
                guest,
                ..Options::default()
            };
            let refused = crate::open(&format!("sqlite:{}", file.path()), options).err();
            assert!(
                matches!(
                    &refused,
                    Some(StoreError::Setup(text)) if text.contains("the database of another program")
                ),
                "{tables}: {refused:?}"
            );
            assert_eq!(fs::read(file.path()).unwrap(), before, "{tables}");
            assert_eq!(names(&file), ["store.db"], "{tables}");
        }
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_unharmed() {
    let file = File::new();
    foreign(&file, "");
    let text = "a letter, longer than the header of a database ".repeat(10);
    fs::write(file.path(), &text).unwrap();
    let refused = crate::open(&format!("sqlite:{}", file.path()), Options::default()).err();
    assert!(
        matches!(&refused, Some(StoreError::Setup(text)) if text.contains("file is not a database")),
        "{refused:?}"
    );
    assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
}

#[test]
fn a_first_start_that_was_killed_is_repeated() {
    let file = File::new();
    foreign(
        &file,
        "CREATE TABLE refinery_schema_history (
             version INT4 PRIMARY KEY, name TEXT, applied_on TEXT, checksum TEXT)",
    );
    crate::open(&format!("sqlite:{}", file.path()), Options::default()).unwrap();
}
