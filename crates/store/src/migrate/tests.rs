//! Migration of a populated SQLite database: as a whole, with interruptions, and refused cases.
//! `verification` tests the comparison at the end.

mod verification;

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use roomful_testkit::PostgresServer;
use tempfile::TempDir;

use super::{Progress, migrate};
use crate::{
    Appended, AuditPage, AuditRecord, ChosenStatus, DeliveredMark, DeliveredUpto, EntryKind, Erasure,
    LifecycleEvent, ModerationAct, NewEntry, NewNotification, NewReport, NewSession, NotificationPage,
    Options, Outbox, OutboxOptions, Page, Range, ReadWhich, ReportPage, ReportQuota, ReportState, Reported,
    ReportsOf, Resolution, Resume, Role, RoomChange, RoomId, RoomKind, Sanction, SanctionKind, SanctionPage,
    SessionKey, Store, StoreError, UndeliveredReport,
};

static SERVER: LazyLock<PostgresServer> =
    LazyLock::new(|| PostgresServer::start_with(&["fsync=off"]).unwrap());

const USERS: [&str; 3] = ["ann", "bob", "\u{0}odd\u{1}"];
const MESSAGES: usize = 2_500;
const KEY: SessionKey = SessionKey([3; 16]);

fn options() -> Options {
    Options {
        outbox: OutboxOptions::to_one_sink(),
        ..Options::default()
    }
}

fn entry(room: i64, user: &str, kind: EntryKind, target: Option<u64>, body: &str) -> NewEntry {
    NewEntry {
        room,
        kind,
        target,
        user_id: user.into(),
        user_name: Some(format!("Name of {user}")),
        client_id: None,
        body: body.into(),
        mentions: vec!["bob".into()],
        at: 1_000,
        replacement: None,
        charged: false,
        exempt: false,
        as_member: false,
    }
}

/// A closed database with rows in every table.
fn populated() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roomful.db");
    run(async {
        let store = crate::open(&format!("sqlite:{}", path.display()), options()).unwrap();
        fill(&*store).await.unwrap();
        store.close().await;
    });
    (folder, path)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

async fn fill(store: &dyn Store) -> Result<(), StoreError> {
    let gone = store.open_room("gone", true, 1).await?.unwrap().id;
    let room = store.open_room("a", true, 2).await?.unwrap().id;
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        history: Some(Some(5)),
    };
    let (other, _) = store.put_room("private \u{0}", private, 3).await?;
    for user in USERS {
        store.join(room, user, 5).await?;
        store.touch_user(user, Some(user), 6).await?;
    }
    store
        .put_member(other.id, "ann", Some(Role::Moderator), 7)
        .await?;
    for batch in 0..5 {
        let texts = (0..MESSAGES / 5).map(|n| {
            let mut entry = entry(
                room,
                USERS[n % 3],
                EntryKind::Message,
                None,
                &format!("{{\"text\":\"{batch} {n}\"}}"),
            );
            entry.client_id = Some(format!("{batch} {n}"));
            entry
        });
        store.append(texts.collect()).await?;
    }
    let changes = vec![
        entry(room, "ann", EntryKind::Edit, Some(1), "\"edited\u{0}\""),
        entry(room, "bob", EntryKind::Delete, Some(2), "{}"),
        entry(
            room,
            "ann",
            EntryKind::Reaction { removed: false },
            Some(3),
            "\u{1F600}",
        ),
        entry(
            room,
            "bob",
            EntryKind::Reaction { removed: false },
            Some(3),
            "\u{1F600}",
        ),
        entry(other.id, "ann", EntryKind::Message, None, "\"secret\""),
    ];
    store.append(changes).await?;
    // The oldest of these leave only dedup records, the first of them without a fingerprint.
    let trimmed = (0..100).map(|n| {
        let (kind, target) = match n {
            1 => (EntryKind::Delete, Some(2)),
            _ => (EntryKind::Message, None),
        };
        NewEntry {
            client_id: Some(n.to_string()),
            ..entry(other.id, "ann", kind, target, "\"again\"")
        }
    });
    store.append(trimmed.collect()).await?;
    store.mark_read(room, "bob", 7, 8).await?;
    store.leave(room, "bob").await?;
    store
        .set_status("ann", ChosenStatus::Busy, Some("away"), 9)
        .await?;
    store.revoke("bob", 77).await?;
    store.create_room("unused", USERS[2], 1).await?;
    notify(store, room).await?;
    moderate(store, room).await?;
    fill_other_tables(store.outbox().unwrap(), room).await?;
    store.delete_room(gone).await?;
    // The last assigned id belongs to a deleted room.
    let last = store.open_room("last", true, 1).await?.unwrap().id;
    store.delete_room(last).await?;
    Ok(())
}

/// Fills the tables of notifications and sessions.
async fn notify(store: &dyn Store, room: RoomId) -> Result<(), StoreError> {
    for n in 0..3 {
        let users = USERS.map(String::from).to_vec();
        store
            .notify(NewNotification {
                id: format!("n{n}"),
                users,
                body: "{}".into(),
                at: 10 + n,
                from: None,
            })
            .await?;
    }
    store
        .read_notifications("ann", ReadWhich::One("n1".into()), 20)
        .await?;
    let mark = DeliveredMark {
        user_id: "ann".into(),
        device: "phone".into(),
        seq: 2,
    };
    store.mark_delivered(vec![mark], 21).await?;
    let session = NewSession {
        key: KEY,
        owner: 4,
        sid: "sid".into(),
        user_id: "ann".into(),
        at: 50,
    };
    store.begin_session(session).await?;
    store.subscribe(KEY, 4, room, 10, 1).await?;
    store.heartbeat(60, 0).await
}

/// Fills the tables of moderation.
async fn moderate(store: &dyn Store, room: RoomId) -> Result<(), StoreError> {
    let ban = |room, user: &str| {
        ModerationAct::Impose(Sanction {
            room,
            user_id: user.into(),
            kind: SanctionKind::Ban,
            until: Some(4_000_000_000_000),
            reason: Some("spam".into()),
            actor: "key:default".into(),
            at: 60,
        })
    };
    let slow = ModerationAct::Restrict {
        room,
        frozen: None,
        slow_mode_ms: Some(5),
    };
    let block = ModerationAct::Block {
        user_id: USERS[0].into(),
        blocked_id: "troll \u{0}".into(),
        at: 61,
    };
    for act in [ban(Some(room), "troll"), ban(None, "robot \u{0}"), slow, block] {
        let control = entry(room, "node", EntryKind::Control, None, "{}");
        store.moderate(act, control).await?;
    }
    let record = AuditRecord {
        at: 61,
        actor: "key:default".into(),
        action: "PUT /rooms/{room}".into(),
        room: Some("robots \u{0}".into()),
        user_id: None,
        status: 200,
        before: None,
        after: Some("{}".into()),
    };
    store.record_audit(record).await?;
    let report = NewReport {
        room_id: room,
        seq: 1,
        author: "troll \u{0}".into(),
        reporter: "ann".into(),
        reason: "spam".into(),
        comment: None,
        message: "{}".into(),
        at: 62,
        record: "{}".into(),
    };
    let quota = ReportQuota { since: 0, most: 1 };
    let Reported::New(id) = store.report(report, quota).await? else {
        unreachable!("the report is new");
    };
    let resolution = Resolution {
        id,
        state: ReportState::Muted,
        by: "key:default".into(),
        at: 63,
    };
    store.resolve_report(resolution).await?;
    let erasure = Erasure {
        user_id: "gone".into(),
        alias: "erased-1".into(),
        anonymise: true,
        before: 70,
        owner: "node/1".into(),
    };
    store.begin_erasure(erasure).await?;
    let slowed = entry(room, "ann", EntryKind::Message, None, "\"slow\"");
    store.append(vec![slowed]).await?;
    Ok(())
}

/// Fills the tables beside the outbox.
async fn fill_other_tables(outbox: &dyn Outbox, room: RoomId) -> Result<(), StoreError> {
    outbox
        .record(vec![LifecycleEvent::UserOnline {
            user: "ann".into(),
            name: None,
            at: 9,
        }])
        .await?;
    let alert = UndeliveredReport {
        room,
        seq: 5,
        last: false,
        users: vec![USERS[2].into()],
    };
    assert_eq!(outbox.report_undelivered(vec![alert]).await?, 1);
    Ok(())
}

/// Everything that the trait shows without changes.
async fn seen(store: &dyn Store) -> Vec<String> {
    let mut seen = vec![format!("{:?}", store.read_log_head().await.unwrap())];
    let rooms = store.rooms(None, 99).await.unwrap();
    for room in &rooms {
        let all = Page {
            range: Range::After {
                seq: 0,
                upto: u64::MAX - 1,
            },
            limit: u32::MAX,
        };
        let mut history = store.history(room.id, all).await.unwrap().unwrap();
        while history.more {
            let seq = history.entries.last().unwrap().seq;
            seen.push(format!("{history:?}"));
            let rest = Page {
                range: Range::After {
                    seq,
                    upto: u64::MAX - 1,
                },
                limit: u32::MAX,
            };
            history = store.history(room.id, rest).await.unwrap().unwrap();
        }
        seen.push(format!(
            "{room:?} {history:?} {:?} {:?}",
            store.members(room.id, None, 99).await.unwrap(),
            store.room_rules(room.id).await.unwrap()
        ));
    }
    for room in rooms.iter().map(|room| Some(room.id)).chain([None]) {
        let page = SanctionPage {
            room,
            kind: SanctionKind::Ban,
            after: None,
            now: 99,
            limit: 99,
        };
        seen.push(format!("{:?}", store.sanctions(page).await.unwrap()));
    }
    let page = NotificationPage {
        before: None,
        unread_only: false,
        limit: 99,
    };
    for user in USERS {
        seen.push(format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            store.inbox(user, 99, None).await.unwrap(),
            store.blocks(user).await.unwrap(),
            store.rooms_of(user, 99).await.unwrap(),
            store.revoked(user).await.unwrap(),
            store.notifications(user, page.clone()).await.unwrap(),
            store
                .undelivered(user, "phone", DeliveredUpto::Stored, 99, 9_999)
                .await
                .unwrap(),
        ));
    }
    let audit = AuditPage {
        limit: 99,
        ..AuditPage::default()
    };
    seen.push(format!("{:?}", store.audit(audit).await.unwrap()));
    let reports = ReportPage {
        of: ReportsOf::All,
        state: None,
        after: 0,
        limit: 9,
    };
    seen.push(format!("{:?}", store.reports(reports).await.unwrap()));
    seen.push(format!(
        "{:?} {:?}",
        store.erasures().await.unwrap(),
        store.revoked("gone").await.unwrap()
    ));
    seen.push(format!(
        "{:?}",
        store.users(&USERS.map(String::from)).await.unwrap()
    ));
    seen.push(format!(
        "{:?}",
        store
            .log_entries(crate::LogPosition(2_400), crate::LogPosition(2_450), 99)
            .await
            .unwrap()
    ));
    let outbox = store.outbox().unwrap();
    seen.push(format!("{:?}", outbox.due("all", 9_999, 5_000).await.unwrap()));
    seen.push(format!("{:?}", outbox.due_checks(99_999, 20).await.unwrap()));
    seen.push(format!("{:?}", outbox.online("", 9).await.unwrap()));
    seen
}

fn copy_rows(path: &Path, url: &str) -> Result<super::Migrated, StoreError> {
    migrate(path, url, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn a_migrated_store_is_complete_and_continues() {
    let (_folder, path) = populated();
    let url = SERVER.new_database().unwrap();
    let migrated = copy_rows(&path, &url).unwrap();
    let entries = migrated
        .tables
        .iter()
        .find(|moved| moved.table == "entries")
        .unwrap();
    assert_eq!(entries.rows, MESSAGES as u64 + 14);
    run(async {
        let from = crate::open(&format!("sqlite:{}", path.display()), options()).unwrap();
        let to = crate::open(&url, options()).unwrap();
        let (mut left, mut right) = (seen(&*from).await, seen(&*to).await);
        // The order of checks that are due at the same time is undefined.
        let looks = left.len() - 2;
        assert_eq!(
            (left.remove(looks).is_empty(), right.remove(looks).is_empty()),
            (false, false)
        );
        assert_eq!(left, right);
        // Numbers continue, those of deleted rooms included.
        let room = to.open_room("a", false, 1).await.unwrap().unwrap();
        let answers = to
            .append(vec![entry(room.id, USERS[2], EntryKind::Message, None, "\"on\"")])
            .await
            .unwrap();
        assert_eq!(
            answers,
            [Ok(Appended::New {
                seq: room.head + 1,
                at: 1_000
            })]
        );
        let fresh = to.open_room("fresh", true, 1).await.unwrap().unwrap();
        assert_eq!(fresh.id, 6, "rooms 1 and 5 were deleted");
        to.mark_all_sessions_lost().await.unwrap();
        let ask = |lost_since| Resume {
            key: KEY,
            owner: 1,
            user_id: "ann".into(),
            lost_since,
        };
        assert!(
            to.resume_session(ask(60)).await.unwrap().is_some(),
            "lost when its server was last alive"
        );
        to.close().await;
    });
}

#[test]
fn an_interrupted_migration_continues() {
    let (_folder, path) = populated();
    let url = SERVER.new_database().unwrap();
    // Interrupted after each batch and after each table that was compared.
    let mut runs = 0;
    let migrated = loop {
        runs += 1;
        let mut told = 0;
        let once = migrate(&path, &url, &mut |progress| {
            told += 1;
            let carried = matches!(progress, Progress::Carried { .. });
            if carried || told > super::tables::TABLES.len() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match once {
            Ok(migrated) => break migrated,
            Err(StoreError::Setup(text)) if text.contains("run it again") => {
                // `new-epoch` would change one side before the comparison.
                let renewed = crate::new_epochs(&url);
                assert!(
                    matches!(&renewed, Err(StoreError::Setup(text)) if text.contains("not finished")),
                    "{renewed:?}"
                );
                let refused = crate::open(&url, options()).err();
                assert!(
                    matches!(&refused, Some(StoreError::Setup(text)) if text.contains("not finished")),
                    "{refused:?}"
                );
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(runs > 20, "{runs} runs");
    let whole = SERVER.new_database().unwrap();
    assert_eq!(copy_rows(&path, &whole).unwrap(), migrated);
}

#[test]
fn a_target_with_other_data_is_refused() {
    let (_folder, path) = populated();
    let refused = |url: &str, expected: &str| {
        let Err(StoreError::Setup(text)) = copy_rows(&path, url) else {
            panic!("it was not refused: {expected}")
        };
        assert!(text.contains(expected), "{text}");
    };
    let url = SERVER.new_database().unwrap();
    // Data of another store, and a running server.
    let other = crate::open(&url, options()).unwrap();
    run(async { other.open_room("x", true, 1).await.unwrap() });
    refused(&url, "a server is running");
    run(other.close());
    refused(&url, "holds rooms already");
    // Twice.
    let url = SERVER.new_database().unwrap();
    copy_rows(&path, &url).unwrap();
    refused(&url, "finished migration");
    // A part from before a server ran on the source again.
    let url = SERVER.new_database().unwrap();
    let broken = migrate(&path, &url, &mut |_| ControlFlow::Break(()));
    assert!(broken.is_err());
    run(async {
        crate::open(&format!("sqlite:{}", path.display()), options())
            .unwrap()
            .close()
            .await;
    });
    refused(&url, "before a server ran on the source again");
    let nowhere = copy_rows(Path::new("/nowhere/at.db"), &url);
    assert!(matches!(nowhere, Err(StoreError::Setup(text)) if text.contains("no database at")));
    // A file that is not a store is not copied as an empty one, and the target stays free.
    let (folder, url) = (tempfile::tempdir().unwrap(), SERVER.new_database().unwrap());
    let file = folder.path().join("roomful.db");
    for content in [
        "",
        "no database, but as long as the header of one: a hundred bytes, that is, \
         as the format says it has to be",
    ] {
        std::fs::write(&file, content).unwrap();
        let refused = copy_rows(&file, &url);
        assert!(
            matches!(&refused, Err(StoreError::Setup(text)) if text.contains("no database of Roomful")),
            "{refused:?}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
    }
    copy_rows(&path, &url).unwrap();
}

#[test]
fn every_column_of_the_schema_is_copied() {
    let (_folder, path) = populated();
    let conn = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT m.name || '.' || c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
        WHERE m.type = 'table' ORDER BY 1";
    let all: Vec<String> = conn
        .prepare(sql)
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    // Copied separately, or specific to SQLite.
    let own = [
        "log_head.",
        "health_probe.",
        "refinery_schema_history.",
        "sqlite_",
    ];
    let carried = |name: &String| {
        super::TABLES.iter().any(|table| {
            table
                .columns
                .iter()
                .any(|column| *name == format!("{}.{}", table.name, column.name))
        })
    };
    let left: Vec<_> = all
        .iter()
        .filter(|name| !carried(name) && !own.iter().any(|own| name.starts_with(own)))
        .collect();
    assert_eq!(left, Vec::<&String>::new());
}

/// Waits until one session of the database holds the lock of migrations, or waits for it.
fn until_locks(database: &str, granted: bool) {
    let ask = format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = {granted}
         AND database = (SELECT oid FROM pg_database WHERE datname = '{database}')"
    );
    while SERVER.sql("postgres", &ask).unwrap().trim() != "1" {}
}

#[test]
fn a_migration_waits_for_a_killed_one() {
    let (_folder, path) = populated();
    let url = SERVER.new_database().unwrap();
    let database = url.rsplit('/').next().unwrap();
    std::thread::scope(|threads| {
        // The statement of the killed migration.
        let hold = format!("SELECT pg_advisory_lock({}), pg_sleep(600)", super::target::LOCK);
        let holding = threads.spawn(move || SERVER.sql(database, &hold));
        until_locks(database, true);
        let carrying = threads.spawn(|| copy_rows(&path, &url));
        until_locks(database, false);
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";
        SERVER.sql(database, end).unwrap();
        assert!(holding.join().unwrap().is_err());
        carrying.join().unwrap().unwrap();
    });
}
