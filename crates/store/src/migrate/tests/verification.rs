//! What is compared at the end is told apart: a row that is another one there, that is not there, or that should not be.

use std::ops::ControlFlow;

use tokio_postgres::{Client, NoTls};

use super::{
    super::{
        Progress, compare, migrate,
        source::Source,
        tables::{Column, Kind, TABLES, Table, join},
        target::Target,
    },
    SERVER, options, populated, run,
};
use crate::StoreError;

/// Carries all, and breaks off before anything is compared.
fn only_carry(path: &std::path::Path, url: &str) {
    let broken = migrate(path, url, &mut |progress| match progress {
        Progress::Carried { .. } => ControlFlow::Continue(()),
        Progress::Verified { .. } => ControlFlow::Break(()),
    });
    assert!(matches!(&broken, Err(StoreError::Setup(text)) if text.contains("run it again")));
}

/// A value that the column has in none of its rows.
fn other(column: &Column) -> String {
    let name = column.name;
    match column.kind {
        Kind::Int => format!("coalesce({name}, 0) + 1000000"),
        Kind::Text => format!("coalesce({name}, '') || 'x'"),
        Kind::Bytes => format!(r"{name} || '\x00'"),
    }
}

/// What may be wrong with one row of a table, the middle one of so many.
fn wrongs(table: &Table, rows: u64) -> Vec<String> {
    let (name, keys) = (table.name, table.key_names());
    let one = format!(
        "(SELECT ctid FROM {name} ORDER BY {keys} LIMIT 1 OFFSET {})",
        rows / 2
    );
    let altered = table.columns.iter().map(|column| {
        format!(
            "UPDATE {name} SET {} = {} WHERE ctid = {one}",
            column.name,
            other(column)
        )
    });
    let others = join(table.columns.iter().map(other));
    let more = format!(
        "INSERT INTO {name} ({}) SELECT {others} FROM {name} WHERE ctid = {one}",
        table.names()
    );
    let less = format!("DELETE FROM {name} WHERE ctid = {one}");
    altered.chain([more, less]).collect()
}

/// Somebody else in the database, whom neither references nor triggers stop.
async fn meddler(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let free = "SET session_replication_role = replica";
    client.batch_execute(free).await.unwrap();
    client
}

/// Each wrong is noticed, and only while it lasts.
async fn is_compared(source: &Source, target: &Target, meddler: &Client, table: &'static Table) {
    let name = table.name;
    let keep = format!("CREATE TEMP TABLE kept AS TABLE {name}");
    let put_right = format!("DELETE FROM {name}; INSERT INTO {name} TABLE kept");
    meddler.batch_execute(&keep).await.unwrap();
    let rows = compare(source, target, table).await.unwrap();
    assert!(rows > 0, "there is nothing in {name} to compare");
    for wrong in wrongs(table, rows) {
        assert_eq!(meddler.execute(&wrong, &[]).await.unwrap(), 1, "{wrong}");
        match compare(source, target, table).await {
            Err(StoreError::Setup(text)) => {
                assert!(text.starts_with(&format!("{name} differs")), "{wrong}: {text}");
            }
            passed => panic!("{passed:?} in spite of {wrong}"),
        }
        meddler.batch_execute(&put_right).await.unwrap();
    }
    assert_eq!(compare(source, target, table).await, Ok(rows));
    meddler.batch_execute("DROP TABLE kept").await.unwrap();
}

#[test]
fn no_column_of_no_table_may_differ() {
    let (_folder, path) = populated();
    let url = SERVER.new_database().unwrap();
    only_carry(&path, &url);
    run(async {
        let source = Source::open(&path).unwrap();
        let target = Target::open(&url).await.unwrap();
        let meddler = meddler(&url).await;
        for table in &TABLES {
            is_compared(&source, &target, &meddler, table).await;
        }
    });
}

#[test]
fn what_differs_ends_the_migration_and_is_not_served() {
    // The row that is added lies beyond all that are still to come, so that none of them does.
    for (wrong, table) in [
        ("UPDATE entries SET body = '{}' WHERE seq = 9", "entries"),
        ("DELETE FROM entries WHERE seq = 9", "entries"),
        (
            "INSERT INTO entries (room_id, seq, kind, at, position, user_id, body) VALUES (99, 1, 0, 0, 0, '', '')",
            "entries",
        ),
        ("UPDATE rooms SET head = head + 1 WHERE name = 'a'", "rooms"),
    ] {
        let (_folder, path) = populated();
        let url = SERVER.new_database().unwrap();
        // Between two runs, of which the first one carries a part of the entries.
        let broken = migrate(&path, &url, &mut |progress| match progress {
            Progress::Carried { table: "entries", .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert!(broken.is_err());
        SERVER.sql(url.rsplit('/').next().unwrap(), wrong).unwrap();
        for _ in 0..2 {
            differs(&super::carry(&path, &url), table);
        }
        let refused = crate::open(&url, options()).err();
        assert!(
            matches!(&refused, Some(StoreError::Setup(text)) if text.contains("not finished")),
            "{refused:?}"
        );
    }
}

#[test]
fn what_changes_while_it_is_compared_is_noticed() {
    let (_folder, path) = populated();
    let url = SERVER.new_database().unwrap();
    let ended = migrate(&path, &url, &mut |progress| {
        if matches!(progress, Progress::Verified { table: "rooms", .. }) {
            let wrong = "DELETE FROM online_users";
            SERVER.sql(url.rsplit('/').next().unwrap(), wrong).unwrap();
        }
        ControlFlow::Continue(())
    });
    differs(&ended, "online_users");
}

#[track_caller]
fn differs(ended: &Result<super::super::Migrated, StoreError>, table: &str) {
    let Err(StoreError::Setup(text)) = ended else {
        panic!("{ended:?}")
    };
    assert!(
        text.starts_with(&format!("{table} differs after the migration")) && text.contains("begin anew"),
        "{text}"
    );
}
