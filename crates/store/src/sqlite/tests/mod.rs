//! The contract on a file, and what only this engine can get wrong: a full disk (in `full_disk`), a file that
//! was restored (in `generation`), a broken write, its settings.

use std::{
    path::Path,
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use metrics_util::{
    CompositeKey,
    debugging::{DebugValue, DebuggingRecorder},
};
use parking_lot::Mutex;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{SqliteStore, batch::Batch, open, write::Write};
use crate::{
    Appended, EntryKind, Log as _, NewEntry, Options, Outage, Page, Range, Retention, RoomId, Rooms as _,
    SchemaState, Store, StoreError, contract::Harness,
};

/// One file in a folder of its own.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> String {
        self.0.path().join("data/store.db").display().to_string()
    }

    fn store(&self) -> SqliteStore {
        open(&self.path(), Options::default()).unwrap()
    }
}

impl Harness for File {
    fn open(&self, options: Options) -> Arc<dyn Store> {
        crate::open(&format!("sqlite:{}", self.path()), options).unwrap()
    }
}

mod erasure;
mod fair_reads;
mod flat_reads;
mod foreign;
mod full_disk;
mod generation;
mod upgrade;

mod contract {
    use super::File;

    crate::store_contract!(File::new());
}

fn message(room: RoomId, body: &str) -> NewEntry {
    NewEntry {
        room,
        kind: EntryKind::Message,
        target: None,
        user_id: "ann".into(),
        user_name: None,
        client_id: None,
        body: body.into(),
        mentions: Vec::new(),
        at: 1,
        replacement: None,
        charged: false,
        exempt: false,
        as_member: false,
    }
}

fn change(room: RoomId, kind: EntryKind, target: u64, body: &str) -> NewEntry {
    NewEntry {
        kind,
        target: Some(target),
        ..message(room, body)
    }
}

async fn room(store: &SqliteStore) -> RoomId {
    store.open_room("a", true, 1).await.unwrap().unwrap().id
}

/// Any change, for the tests below.
struct Custom<F>(F);

impl<F: Fn(&mut Batch<'_>) -> rusqlite::Result<()> + Send + 'static> Write for Custom<F> {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        (self.0)(batch)
    }
}

fn sql(text: &'static str) -> impl Write<Answer = ()> {
    Custom(move |batch: &mut Batch<'_>| batch.conn.execute_batch(text))
}

/// A write that keeps the writer busy.
struct Hold {
    /// Yields something when the writer is at it.
    begun: mpsc::Receiver<()>,
    /// To be dropped to let the writer go on.
    release: SyncSender<()>,
}

fn hold() -> (impl Write<Answer = ()>, Hold) {
    let (release, released) = std::sync::mpsc::sync_channel(0);
    let (at_it, begun) = mpsc::channel(1);
    let released = Mutex::new(released);
    let write = Custom(move |_: &mut Batch<'_>| {
        let _ = at_it.try_send(());
        let _ = released.lock().recv();
        Ok(())
    });
    (write, Hold { begun, release })
}

#[tokio::test]
async fn a_failing_write_does_not_affect_the_others_of_its_batch() {
    let file = File::new();
    let store = file.store();
    let room = room(&store).await;
    let (busy, Hold { mut begun, release }) = hold();
    let others = async {
        begun.recv().await;
        // All three are queued by the first poll, and so make one batch.
        tokio::join!(
            store.append(vec![message(room, "1")]),
            store.write(sql("INSERT INTO health_probe VALUES (1, 0)")),
            store.append(vec![message(room, "2")]),
            async { drop(release) },
        )
    };
    let (busy, (one, broken, two, ())) = tokio::join!(store.write(busy), others);
    assert_eq!(busy, Ok(()));
    assert_eq!(one, Ok(vec![Ok(Appended::New { seq: 1, at: 1 })]));
    assert!(matches!(broken, Err(StoreError::Internal(_))), "{broken:?}");
    assert_eq!(two, Ok(vec![Ok(Appended::New { seq: 2, at: 1 })]));
}

#[tokio::test]
async fn a_full_queue_answers_busy_and_takes_no_more() {
    let file = File::new();
    let options = Options {
        queue_writes: 1,
        queue_wait: Duration::from_millis(50),
        ..Options::default()
    };
    let store = open(&file.path(), options).unwrap();
    let room = room(&store).await;
    let (busy, Hold { mut begun, release }) = hold();
    let others = async {
        begun.recv().await;
        // One is queued, the other finds no place.
        tokio::join!(store.append(vec![message(room, "1")]), async {
            let refused = store.append(vec![message(room, "2")]).await;
            drop(release);
            refused
        })
    };
    let (busy, (queued, refused)) = tokio::join!(store.write(busy), others);
    assert_eq!(busy, Ok(()));
    assert_eq!(queued, Ok(vec![Ok(Appended::New { seq: 1, at: 1 })]));
    assert_eq!(refused, Err(StoreError::Unavailable(Outage::Busy)));
    let history = store
        .history(
            room,
            Page {
                range: Range::Before(9),
                limit: 9,
            },
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(history.head, 1);
}

#[tokio::test]
async fn expired_entries_leave_the_file() {
    let file = File::new();
    let options = Options {
        retention: Retention {
            max_entries: 10,
            ..Retention::default()
        },
        ..Options::default()
    };
    let store = open(&file.path(), options.clone()).unwrap();
    let room = room(&store).await;
    for _ in 0..40 {
        store.append(vec![message(room, "1"); 25]).await.unwrap();
    }
    let rows = "SELECT count(*) FROM entries";
    let count = |conn: &Connection| conn.query_row(rows, [], |row| row.get::<_, i64>(0));
    let left = store.read(count).await.unwrap();
    assert!(
        (10..10 + 64 + 25).contains(&left),
        "{left} rows for the 10 that are kept"
    );
    store.trim(options.retention, 1).await.unwrap();
    assert_eq!(store.read(count).await, Ok(10));
}

#[tokio::test]
async fn every_commit_is_synced_and_no_log_of_writes_remains_after_closing() {
    let file = File::new();
    let store = file.store();
    let settings = Custom(|batch: &mut Batch<'_>| {
        let pragma = |name| {
            batch
                .conn
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
        };
        assert_eq!([pragma("synchronous")?, pragma("foreign_keys")?], [2, 1]);
        let mode = batch
            .conn
            .pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?;
        assert_eq!(mode, "wal");
        Ok(())
    });
    store.write(settings).await.unwrap();
    // Earlier ones can corrupt the file when the log is reset.
    assert!(rusqlite::version_number() >= 3_051_003);
    let room = room(&store).await;
    store.append(vec![message(room, "1")]).await.unwrap();
    store.close().await;
    let folder = Path::new(&file.path()).parent().unwrap().to_owned();
    let mut left: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["store.db", "store.db-watermark"]);
}

#[test]
fn two_files_differ() {
    let files = [File::new(), File::new()];
    let [one, other] = files.each_ref().map(File::store);
    assert_ne!(one.identity(), other.identity());
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let file = File::new();
    file.store().close().await;
    let mode = Path::new(&file.path())
        .parent()
        .unwrap()
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn errors_of_opening_say_what_to_do() {
    let folder = TempDir::new().unwrap();
    let not_a_database = folder.path().join("notes.txt");
    std::fs::write(
        &not_a_database,
        "some text that is long enough to be looked at as a header",
    )
    .unwrap();
    let a_file = not_a_database.display();
    let cases = [
        (
            "mysql://db/chat".to_owned(),
            "no store for `mysql:` in this build",
        ),
        ("chat.db".to_owned(), "no store for `chat.db:` in this build"),
        ("sqlite:".to_owned(), "names no file"),
        ("sqlite::memory:".to_owned(), "names no file"),
        (format!("sqlite:{a_file}"), "file is not a database"),
        (format!("sqlite://{a_file}/store.db"), "cannot create its folder"),
    ];
    for (url, expected) in cases {
        let Err(StoreError::Setup(text)) = crate::open(&url, Options::default()) else {
            panic!("{url} was opened");
        };
        assert!(text.contains(expected), "{url}: {text}");
    }
    let no_readers = crate::open(
        "sqlite:x.db",
        Options {
            readers: 0,
            ..Options::default()
        },
    );
    assert!(matches!(no_readers, Err(StoreError::Setup(text)) if text.contains("readers")));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let file = File::new();
    file.store().close().await;
    let conn = Connection::open(file.path()).unwrap();
    conn.execute(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
         VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')",
        [],
    )
    .unwrap();
    drop(conn);
    let refused = open(&file.path(), Options::default()).err();
    assert!(
        matches!(
            &refused,
            Some(StoreError::Setup(text)) if text.contains("has schema 99, this version supports up to ")
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_guest_creates_nothing() {
    let file = File::new();
    let url = format!("sqlite:{}", file.path());
    let guest = || {
        let options = Options {
            guest: true,
            ..Options::default()
        };
        open(&file.path(), options).map(drop)
    };
    let missing =
        |opened| matches!(opened, Err(StoreError::Setup(text)) if text.contains("no store at store.url yet"));
    assert!(missing(guest()));
    assert!(matches!(crate::new_epochs(&url), Err(StoreError::Setup(_))));
    assert_eq!(crate::schema_state(&url), Ok(SchemaState::Missing));
    assert_eq!(file.0.path().read_dir().unwrap().count(), 0, "no file, no folder");
    // An empty file is an empty database to SQLite.
    std::fs::create_dir(Path::new(&file.path()).parent().unwrap()).unwrap();
    std::fs::write(file.path(), "").unwrap();
    assert!(missing(guest()));
    let conn = Connection::open(file.path()).unwrap();
    let tables = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
        row.get::<_, i64>(0)
    });
    assert_eq!(tables, Ok(0));
    drop(conn);
    file.store().close().await;
    assert_eq!(
        crate::schema_state(&url),
        Ok(SchemaState::Current {
            version: crate::schema_versions().sqlite
        })
    );
    assert_eq!(guest(), Ok(()));
}

#[test]
fn metrics_count_commits_and_errors() {
    let recorder = DebuggingRecorder::new();
    let file = File::new();
    let store = metrics::with_local_recorder(&recorder, || file.store());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let room = room(&store).await;
        store.append(vec![message(room, "1"); 3]).await.unwrap();
        store
            .write(sql("INSERT INTO health_probe VALUES (1, 0)"))
            .await
            .unwrap_err();
        store.close().await;
        store.check().await.unwrap_err();
    });
    let mut figures: Vec<_> = recorder
        .snapshotter()
        .snapshot()
        .into_vec()
        .into_iter()
        .map(figure)
        .collect();
    figures.retain(|(_, value)| *value != 0);
    figures.sort();
    let expected = [
        ("roomful_store_batch_size", 5),
        ("roomful_store_commit_seconds", 3),
        ("roomful_store_errors_total closed", 1),
        ("roomful_store_errors_total internal", 1),
    ];
    assert_eq!(figures, expected.map(|(name, value)| (name.to_owned(), value)));
}

/// A figure's name, and its value as far as it can be foreseen: of times only how many there are.
fn figure<A, B>((key, _, _, value): (CompositeKey, A, B, DebugValue)) -> (String, i64) {
    let labels = key.key().labels().map(|label| format!(" {}", label.value()));
    let name = key.key().name().to_owned() + &labels.collect::<String>();
    #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
    let value = match value {
        DebugValue::Counter(count) => i64::try_from(count).unwrap(),
        DebugValue::Gauge(level) => level.0 as i64,
        DebugValue::Histogram(times) if name.ends_with("_seconds") => i64::try_from(times.len()).unwrap(),
        DebugValue::Histogram(sizes) => sizes.iter().map(|size| size.0 as i64).sum(),
    };
    (name, value)
}
