//! The comparison at the end of a migration detects changed, missing and additional rows.

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

/// Copies everything and stops before the comparison.
fn copy_only(path: &std::path::Path, url: &str) {
    let broken = migrate(path, url, &mut |progress| match progress {
        Progress::Carried { .. } => ControlFlow::Continue(()),
        Progress::Verified { .. } => ControlFlow::Break(()),
    });
    assert!(matches!(&broken, Err(StoreError::Setup(text)) if text.contains("run it again")));
}

/// A value that no row has in the column.
fn other(column: &Column) -> String {
    let name = column.name;
    match column.kind {
        Kind::Int => format!("coalesce({name}, 0) + 1000000"),
        Kind::Text => format!("coalesce({name}, '') || 'x'"),
        Kind::Bytes => format!(r"{name} || '\x00'"),
    }
}

/// Statements that change, duplicate or delete the middle row of a table.
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

/// A client whom neither references nor triggers restrict.
async fn intruder(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let free = "SET session_replication_role = replica";
    client.batch_execute(free).await.unwrap();
    client
}

/// The comparison detects each wrong row, and only while it exists.
async fn is_compared(source: &Source, target: &Target, intruder: &Client, table: &'static Table) {
    let name = table.name;
    let keep = format!("CREATE TEMP TABLE kept AS TABLE {name}");
    let put_right = format!("DELETE FROM {name}; INSERT INTO {name} TABLE kept");
    intruder.batch_execute(&keep).await.unwrap();
    let rows = compare(source, target, table).await.unwrap();
    assert!(rows > 0, "there is nothing in {name} to compare");
    for wrong in wrongs(table, rows) {
        assert_eq!(intruder.execute(&wrong, &[]).await.unwrap(), 1, "{wrong}");
        match compare(source, target, table).await {
            Err(StoreError::Setup(text)) => {
                assert!(text.starts_with(&format!("{name} differs")), "{wrong}: {text}");
            }
            passed => panic!("{passed:?} in spite of {wrong}"),
        }
        intruder.batch_execute(&put_right).await.unwrap();
    }
    assert_eq!(compare(source, target, table).await, Ok(rows));
    intruder.batch_execute("DROP TABLE kept").await.unwrap();
}

#[test]
fn a_difference_in_any_column_is_detected() {
    let (_folder, path) = populated();
    let url = SERVER.new_database().unwrap();
    copy_only(&path, &url);
    run(async {
        let source = Source::open(&path).unwrap();
        let target = Target::open(&url).await.unwrap();
        let intruder = intruder(&url).await;
        for table in &TABLES {
            is_compared(&source, &target, &intruder, table).await;
        }
    });
}

#[test]
fn a_difference_ends_the_migration_and_prevents_serving() {
    // The additional row follows all rows still to be copied, so that none conflicts with it.
    for (wrong, table) in [
        ("UPDATE entries SET body = '{}' WHERE seq = 9", "entries"),
        ("DELETE FROM entries WHERE seq = 9", "entries"),
        (
            "INSERT INTO entries (room_id, seq, kind, at, position, messages, user_id, body)
             VALUES (99, 1, 0, 0, 0, 0, '', '')",
            "entries",
        ),
        ("UPDATE rooms SET head = head + 1 WHERE name = 'a'", "rooms"),
    ] {
        let (_folder, path) = populated();
        let url = SERVER.new_database().unwrap();
        // Between two runs; the first one copies a part of the entries.
        let broken = migrate(&path, &url, &mut |progress| match progress {
            Progress::Carried { table: "entries", .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert!(broken.is_err());
        SERVER.sql(url.rsplit('/').next().unwrap(), wrong).unwrap();
        for _ in 0..2 {
            differs(&super::copy_rows(&path, &url), table);
        }
        let refused = crate::open(&url, options()).err();
        assert!(
            matches!(&refused, Some(StoreError::Setup(text)) if text.contains("not finished")),
            "{refused:?}"
        );
    }
}

#[test]
fn a_change_during_the_comparison_is_detected() {
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
        text.starts_with(&format!("{table} differs after the migration")) && text.contains("start over"),
        "{text}"
    );
}
