//! Deleted text leaves the disk: the database, its write-ahead log and the outbox.

use std::{fs, path::Path, time::Duration};

use super::{File, change, message, room};
use crate::{
    EntryKind, Erasure, Log as _, NewEntry, Options, OutboxOptions, PersonalData as _, Retention, RoomId,
    Rooms as _, Store as _, StoreError,
    sqlite::{SqliteStore, open},
};

const SECRET: &str = "the-secret-that-must-go";

fn options() -> Options {
    Options {
        erase_within: Duration::from_millis(100),
        outbox: OutboxOptions::to_one_sink(),
        ..Options::default()
    }
}

/// How often the secret is in the files beside the database, the database included.
fn occurrences(file: &File) -> usize {
    let folder = Path::new(&file.path()).parent().unwrap().to_owned();
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let found = files.map(|path| {
        // The write-ahead log may be removed meanwhile.
        let bytes = fs::read(path).unwrap_or_default();
        let windows = bytes.windows(SECRET.len());
        windows.filter(|window| *window == SECRET.as_bytes()).count()
    });
    found.sum()
}

/// A room with 30 secret messages, half of them edited, among others that stay.
async fn with_secrets(store: &SqliteStore) -> RoomId {
    let room = room(store).await;
    for n in 0..30 {
        let secret = message(room, &format!("\"{SECRET} {n} {}\"", "x".repeat(n * 40)));
        store
            .append(vec![secret, message(room, "\"harmless\"")])
            .await
            .unwrap();
    }
    for n in 0..15u64 {
        let edit = change(room, EntryKind::Edit, 2 * n + 1, &format!("\"{SECRET} edited\""));
        store.append(vec![edit]).await.unwrap();
    }
    room
}

async fn until_erased(file: &File) {
    for _ in 0..1_000 {
        if occurrences(file) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the secret is still there {} times", occurrences(file));
}

#[tokio::test]
async fn deleted_messages_leave_the_disk_while_the_store_runs() {
    let file = File::new();
    let store = open(&file.path(), options()).unwrap();
    let room = with_secrets(&store).await;
    assert!(occurrences(&file) > 0, "nothing to erase");
    for n in 0..30u64 {
        let delete = change(room, EntryKind::Delete, 2 * n + 1, "{}");
        store.append(vec![delete]).await.unwrap();
    }
    until_erased(&file).await;
    store.close().await;
    assert_eq!(occurrences(&file), 0);
}

#[tokio::test]
async fn deleted_messages_leave_the_disk_after_a_crash() {
    let file = File::new();
    let mut options = options();
    options.erase_within = Duration::from_hours(1);
    let store = open(&file.path(), options.clone()).unwrap();
    let room = with_secrets(&store).await;
    for n in 0..30u64 {
        let delete = change(room, EntryKind::Delete, 2 * n + 1, "{}");
        store.append(vec![delete]).await.unwrap();
    }
    // The files as a crash leaves them.
    let crashed = File::new();
    fs::create_dir(crashed.0.path().join("data")).unwrap();
    for end in ["", "-wal"] {
        fs::copy(file.path() + end, crashed.path() + end).unwrap();
    }
    store.close().await;
    assert!(occurrences(&crashed) > 0, "nothing to erase");
    let store = open(&crashed.path(), options).unwrap();
    until_erased(&crashed).await;
    store.close().await;
}

#[tokio::test]
async fn a_deleted_room_leaves_the_disk_with_a_clean_stop() {
    let file = File::new();
    let mut options = options();
    options.erase_within = Duration::from_hours(1);
    let store = open(&file.path(), options).unwrap();
    let room = with_secrets(&store).await;
    store.delete_room(room).await.unwrap();
    store.close().await;
    assert_eq!(occurrences(&file), 0);
}

#[tokio::test]
async fn expired_messages_leave_the_disk() {
    let file = File::new();
    let mut options = options();
    options.outbox.sinks.clear();
    let store = open(&file.path(), options).unwrap();
    with_secrets(&store).await;
    let nothing = Retention {
        max_entries: u64::MAX,
        max_age_ms: 0,
        ..Retention::default()
    };
    store.trim(nothing, 9_000).await.unwrap();
    until_erased(&file).await;
    store.close().await;
}

#[tokio::test]
async fn a_missing_database_file_fails_the_check_and_takes_no_writes() {
    let file = File::new();
    let store = file.store();
    store.check().await.unwrap();
    let (path, aside) = (file.path(), format!("{}.aside", file.path()));
    fs::rename(&path, &aside).unwrap();
    assert!(store.check().await.is_err(), "removed");
    let lost = store.open_room("den", true, 1).await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    fs::write(&path, "").unwrap();
    assert!(store.check().await.is_err(), "replaced");
    fs::rename(&aside, &path).unwrap();
    store.check().await.unwrap();
    store.open_room("den", true, 1).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn earlier_texts_of_edits_leave_all_rows() {
    let file = File::new();
    let store = open(&file.path(), options()).unwrap();
    let room = with_secrets(&store).await;
    for n in 0..30u64 {
        let edit = NewEntry {
            replacement: Some("\"harmless now\"".into()),
            ..change(room, EntryKind::Edit, 2 * n + 1, "\"harmless edit\"")
        };
        store.append(vec![edit]).await.unwrap();
    }
    store.close().await;
    // A page split leaves copies of the rows it moves in the unused part of the page, out of reach of
    // `secure_delete`.
    assert!(occurrences(&file) < 10, "{} copies", occurrences(&file));
    rusqlite::Connection::open(file.path())
        .unwrap()
        .execute_batch("VACUUM")
        .unwrap();
    assert_eq!(occurrences(&file), 0);
}

/// Compaction shows in the size of the file: it removes the pages of the deleted room.
#[tokio::test]
async fn a_start_compacts_if_a_crash_came_between_an_erasure_and_its_compaction() {
    let file = File::new();
    let size_after_reopening = async |options| {
        open(&file.path(), options).unwrap().close().await;
        fs::metadata(file.path()).unwrap().len()
    };
    let store = open(&file.path(), options()).unwrap();
    let room = with_secrets(&store).await;
    store.delete_room(room).await.unwrap();
    store.close().await;
    let full = fs::metadata(file.path()).unwrap().len();
    assert_eq!(
        size_after_reopening(options()).await,
        full,
        "no erasure, no compaction"
    );

    let store = open(&file.path(), options()).unwrap();
    let erasure = Erasure {
        user_id: "alice".to_owned(),
        alias: "erased-1".to_owned(),
        anonymise: true,
        before: 1,
        owner: "run".to_owned(),
    };
    store.begin_erasure(erasure.clone()).await.unwrap();
    store.end_erasure(&erasure).await.unwrap();
    store.close().await;
    let smaller_limit = Options {
        compact_up_to: full - 1,
        ..options()
    };
    assert_eq!(
        size_after_reopening(smaller_limit).await,
        full,
        "the file is too large"
    );
    let compacted = size_after_reopening(options()).await;
    assert!(compacted < full, "{compacted} of {full} bytes");
}
