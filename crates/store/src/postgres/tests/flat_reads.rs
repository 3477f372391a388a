//! The cost of reads does not grow with what a room holds. PostgreSQL's counts of read rows show it.

use std::collections::BTreeMap;

use tokio_postgres::NoTls;

use super::{Database, message};
use crate::{
    NewEntry, Options, Page, Range,
    contract::{Harness as _, long_room},
    postgres::{
        self, conn::Conn, failure::Failure, history, inbox, members, moderation, outbox::delivery_checks,
        rooms, unread,
    },
};

/// Rows and index entries that the session of `conn` has read.
async fn rows_read(conn: &Conn) -> u64 {
    const READ: &str = "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)::bigint
        + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)::bigint";
    conn.run("SELECT pg_stat_force_next_flush()", &[]).await.unwrap();
    conn.one(READ, &[]).await.unwrap().get::<_, i64>(0).unsigned_abs()
}

async fn count<T>(conn: &Conn, call: impl Future<Output = Result<T, Failure>>) -> u64 {
    let before = rows_read(conn).await;
    call.await.unwrap();
    rows_read(conn).await - before
}

/// The rows that each call reads in a room with this many messages.
async fn reads(messages: u64) -> BTreeMap<&'static str, u64> {
    let database = Database::new();
    let store = database.open(Options::default());
    long_room::fill(&*store, messages).await.unwrap();
    store.close().await;
    let (client, connection) = tokio_postgres::connect(&database.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("ANALYZE").await.unwrap();
    let store = postgres::open(&database.0, Options::default()).unwrap();
    let conn = store.conn().await.unwrap();
    let room = rooms::find(&conn, long_room::ROOM).await.unwrap().unwrap();
    let (head, middle) = (room.head, messages / 2);
    let page = |range| history::page(&conn, room.id, Page { range, limit: 20 }, 1 << 20);
    let after = Range::After {
        seq: middle,
        upto: head,
    };
    BTreeMap::from([
        (
            "inbox",
            count(&conn, inbox::page(&conn, "bob", 10, None, 1 << 20)).await,
        ),
        (
            "unread",
            count(&conn, unread::of_member(&conn, room.id, "bob")).await,
        ),
        (
            "latest messages",
            count(&conn, page(Range::Last { upto: messages })).await,
        ),
        ("messages before", count(&conn, page(Range::Before(middle))).await),
        ("entries after", count(&conn, page(after)).await),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_do_not_grow_with_the_room() {
    let (short, long) = (Box::pin(reads(100)).await, Box::pin(reads(10_000)).await);
    for (call, few) in short {
        // Single rows up to the end of a small block, then the blocks: 2 x 255 of each kind at most.
        let many = long[call];
        assert!(few > 0 && many < few + 1_500, "{call}: {few} rows, then {many}");
    }
}

/// The rows that each call reads in a room of three members that this many users have left.
async fn reads_after(left: i64) -> BTreeMap<&'static str, u64> {
    let database = Database::new();
    let store = database.open(Options::default());
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    for user in ["xan", "yan", "zoe"] {
        store.join(room, user, 1).await.unwrap();
    }
    store.append(vec![message(room, "key")]).await.unwrap();
    store.close().await;
    let (client, connection) = tokio_postgres::connect(&database.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    let leave = "INSERT INTO members (room_id, user_id, active, joined_at)
        SELECT $1, 'left-' || i, 0, 1 FROM generate_series(1, $2::bigint) i";
    client.execute(leave, &[&room, &left]).await.unwrap();
    let more = "INSERT INTO blocks (user_id, blocked_id, at) VALUES ('left-1', 'zoe', 1);
        INSERT INTO delivery_checks (room_id, seq, due_at, is_last) SELECT id, 1, 1, 1
            FROM rooms WHERE name = 'a';
        ANALYZE";
    client.batch_execute(more).await.unwrap();
    let store = postgres::open(&database.0, Options::default()).unwrap();
    let conn = store.conn().await.unwrap();
    let send = NewEntry {
        user_id: "zoe".into(),
        as_member: true,
        ..message(room, "key")
    };
    let send = [std::slice::from_ref(&send)];
    BTreeMap::from([
        ("a send", count(&conn, moderation::guards(&conn, &send)).await),
        (
            "a page of members",
            count(&conn, members::all(&conn, room, None, 10)).await,
        ),
        (
            "the count of members",
            count(&conn, members::count(&conn, room)).await,
        ),
        (
            "members who have yet to acknowledge",
            count(&conn, delivery_checks::due(&conn, 9, 10, 100)).await,
        ),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_sends_do_not_grow_with_those_who_have_left() {
    let (few, many) = (
        Box::pin(reads_after(10)).await,
        Box::pin(reads_after(10_000)).await,
    );
    for (call, few) in few {
        let many = many[call];
        assert!(few > 0 && many < few + 50, "{call}: {few} rows, then {many}");
    }
}
