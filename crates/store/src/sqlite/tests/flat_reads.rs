//! The cost of reads and changes does not grow with what a room holds. SQLite's own steps are counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rusqlite::Connection;

use super::{File, change, message};
use crate::{
    EntryKind, LogPosition, Missed, NewEntry, Options, Page, Range, RoomId,
    append::{Reservations, mutation},
    contract::{Harness as _, long_room},
    sqlite::{
        append, batch::Batch, connection, history, inbox, members, outbox::delivery_checks, positions, rooms,
        statement::execute, unread, write::Write as _,
    },
};

/// A connection to the file of a closed store, with a counter of steps.
struct Counted {
    conn: Connection,
    steps: Arc<AtomicU64>,
}

impl Counted {
    fn open(file: &File) -> Self {
        let mut conn = connection::existing(file.path().as_ref()).unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&steps);
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        };
        conn.progress_handler(1, Some(count)).unwrap();
        Self { conn, steps }
    }

    /// The steps of a call, in a transaction that it rolls back. The first call prepares the statements.
    fn steps<T>(&self, call: impl Fn(&Connection) -> rusqlite::Result<T>) -> u64 {
        let mut taken = 0;
        for _ in 0..2 {
            self.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            let before = self.steps.load(Ordering::Relaxed);
            call(&self.conn).unwrap();
            taken = self.steps.load(Ordering::Relaxed) - before;
            self.conn.execute_batch("ROLLBACK").unwrap();
        }
        taken
    }
}

/// The steps of each call in a room with this many messages.
async fn steps(messages: u64) -> Vec<(&'static str, u64)> {
    let file = File::new();
    let options = Options::default();
    let store = file.open(options.clone());
    long_room::fill(&*store, messages).await.unwrap();
    store.close().await;
    let counted = Counted::open(&file);
    let room = rooms::find(&counted.conn, long_room::ROOM).unwrap().unwrap();
    let page =
        |range| move |conn: &Connection| history::page(conn, room.id, Page { range, limit: 20 }, 1 << 20);
    let mark = |seq| {
        let options = &options;
        move |conn: &Connection| {
            let (room, user, at) = (room.id, "bob".to_owned(), 9);
            members::MarkRead { room, user, seq, at }.apply(&mut Batch::new(
                conn,
                options,
                &mut Reservations::new(0),
                &mut false,
            ))
        }
    };
    let missed = |room: RoomId, head: u64| {
        move |conn: &Connection| {
            let ask = Missed {
                session: None,
                rooms: vec![(room, 0)],
                after: LogPosition(head - 10),
                upto: LogPosition(head),
                most: 100,
                most_bytes: 1 << 20,
            };
            positions::missed(conn, &ask)
        }
    };
    let change = |kind| {
        let entry = NewEntry {
            replacement: Some("{}".into()),
            ..change(room.id, kind, messages / 2, "{}")
        };
        let head = room.head;
        move |conn: &Connection| {
            let statements = mutation(&entry, head + 1);
            statements.iter().try_for_each(|one| execute(conn, one).map(drop))
        }
    };
    let (head, middle) = (room.head, messages / 2);
    vec![
        (
            "inbox",
            counted.steps(|conn| inbox::page(conn, "bob", 10, None, 1 << 20)),
        ),
        (
            "unread",
            counted.steps(|conn| unread::of_member(conn, room.id, "bob")),
        ),
        ("read mark in the middle", counted.steps(mark(middle))),
        ("read mark at the head", counted.steps(mark(head))),
        (
            "latest messages",
            counted.steps(page(Range::Last { upto: messages })),
        ),
        ("messages before", counted.steps(page(Range::Before(middle)))),
        (
            "entries after",
            counted.steps(page(Range::After {
                seq: middle,
                upto: head,
            })),
        ),
        ("missed entries", counted.steps(missed(room.id, head))),
        ("an edit", counted.steps(change(EntryKind::Edit))),
        ("a deletion", counted.steps(change(EntryKind::Delete))),
    ]
}

#[tokio::test]
async fn reads_and_changes_do_not_grow_with_the_room() {
    let (short, long) = (steps(100).await, steps(10_000).await);
    for ((call, few), (_, many)) in short.into_iter().zip(long) {
        // Single rows up to the end of a small block, then the blocks: 2 x 255 of each kind at most. The
        // search by position halves.
        assert!(few > 0 && many < few + 1_500, "{call}: {few} steps, then {many}");
    }
}

/// The steps of each call in a room of three members that this many users have left.
async fn steps_after(left: u32) -> Vec<(&'static str, u64)> {
    let file = File::new();
    let options = Options::default();
    let store = file.open(options.clone());
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    for user in ["xan", "yan", "zoe"] {
        store.join(room, user, 1).await.unwrap();
    }
    store.append(vec![message(room, "hi")]).await.unwrap();
    store.close().await;
    let counted = Counted::open(&file);
    let more = "INSERT INTO blocks (user_id, blocked_id, at) VALUES ('left-1', 'zoe', 1);
        INSERT INTO delivery_checks (room_id, seq, due_at, is_last) SELECT id, 1, 1, 1
            FROM rooms WHERE name = 'a'";
    counted.conn.execute_batch(more).unwrap();
    let leave = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
        INSERT INTO members (room_id, user_id, active, joined_at) SELECT ?1, 'left-' || i, 0, 1 FROM n";
    counted
        .conn
        .execute(leave, rusqlite::params![room, left])
        .unwrap();
    let message = NewEntry {
        as_member: true,
        user_id: "zoe".into(),
        ..message(room, "key")
    };
    let send = |conn: &Connection| {
        let (reservations, unmoderated) = (&mut Reservations::new(0), &mut false);
        let mut batch = Batch::new(conn, &options, reservations, unmoderated);
        append::append(&mut batch, &[std::slice::from_ref(&message)])
    };
    vec![
        ("a send", counted.steps(send)),
        (
            "a page of members",
            counted.steps(|conn| members::all(conn, room, None, 10)),
        ),
        (
            "the count of members",
            counted.steps(|conn| members::count(conn, room)),
        ),
        (
            "members who have yet to acknowledge",
            counted.steps(|conn| delivery_checks::due(conn, 9, 10, 100)),
        ),
        (
            "a look for unused rooms",
            counted.steps(|conn| rooms::has_members(conn, room)),
        ),
    ]
}

#[tokio::test]
async fn reads_and_sends_do_not_grow_with_those_who_have_left() {
    let (few, many) = (steps_after(10).await, steps_after(10_000).await);
    for ((call, few), (_, many)) in few.into_iter().zip(many) {
        assert!(few > 0 && many < few + 200, "{call}: {few} steps, then {many}");
    }
}
