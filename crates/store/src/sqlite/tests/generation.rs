//! An older copy of the file is put in its place, or the process dies while it takes the file up.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{File, message, room};
use crate::{
    Log as _, NewSession, Options, Resume, Rooms as _, SessionKey, SessionOwner, Sessions as _, Store as _,
    StoreError,
    sqlite::{SqliteStore, open},
    watermark_file::{self, Found, WatermarkFile},
};

const SESSION: SessionKey = SessionKey([7; 16]);
const OWNER: SessionOwner = 1;

/// What clients know the log by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Epochs {
    rooms: Vec<String>,
    log: String,
}

impl Epochs {
    async fn of(store: &SqliteStore) -> Self {
        let rooms = store.rooms(None, 10).await.unwrap();
        Self {
            rooms: rooms.into_iter().map(|room| room.epoch).collect(),
            log: store.log_head().epoch,
        }
    }

    #[track_caller]
    fn all_differ_from(&self, before: &Self) {
        assert_eq!(self.rooms.len(), before.rooms.len());
        assert!(
            self.rooms.iter().zip(&before.rooms).all(|(a, b)| a != b),
            "{self:?}"
        );
        assert_ne!(self.log, before.log);
    }
}

impl File {
    fn database(&self) -> PathBuf {
        self.path().into()
    }

    fn watermark(&self) -> PathBuf {
        watermark_file::path(&self.database())
    }

    /// A path in another folder.
    fn aside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Content of the watermark file.
    fn recorded(&self) -> WatermarkFile {
        let Found::Intact(content) = watermark_file::read(&self.watermark()).unwrap() else {
            panic!("nothing whole is beside the database");
        };
        content
    }

    fn guest(&self) -> SqliteStore {
        let options = Options {
            guest: true,
            ..Options::default()
        };
        open(&self.path(), options).unwrap()
    }

    /// A closed log of two rooms, with three entries and a lost session.
    async fn three_entries(&self) -> Epochs {
        let store = self.store();
        store.open_room("b", true, 1).await.unwrap();
        append(&store, 3).await;
        let session = NewSession {
            key: SESSION,
            owner: OWNER,
            sid: "sid".into(),
            user_id: "ann".into(),
            at: 1,
        };
        store.begin_session(session).await.unwrap();
        let epochs = Epochs::of(&store).await;
        store.close().await;
        epochs
    }

    /// Opens it, and closes it again.
    async fn epochs(&self) -> Epochs {
        let store = self.store();
        let epochs = Epochs::of(&store).await;
        store.close().await;
        epochs
    }
}

async fn append(store: &SqliteStore, count: usize) {
    let room = room(store).await;
    for _ in 0..count {
        store.append(vec![message(room, "1")]).await.unwrap();
    }
}

async fn has_session(store: &SqliteStore) -> bool {
    let ask = Resume {
        key: SESSION,
        owner: OWNER,
        user_id: "ann".into(),
        lost_since: 0,
    };
    store.resume_session(ask).await.unwrap().is_some()
}

fn sql(database: &Path, text: &str) {
    Connection::open(database).unwrap().execute_batch(text).unwrap();
}

/// As `cp` does it: the file stays, its content changes.
fn overwrite(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

/// As `mv` does it: another file comes in its place.
fn replace(from: &Path, to: &Path) {
    let copy = to.with_extension("copy");
    fs::copy(from, &copy).unwrap();
    fs::rename(&copy, to).unwrap();
}

#[tokio::test]
async fn an_older_copy_gets_new_epochs() {
    for put_back in [overwrite, replace] {
        let file = File::new();
        let before = file.three_entries().await;
        let backup = file.aside("backup");
        fs::copy(file.database(), &backup).unwrap();
        let store = file.store();
        append(&store, 3).await;
        assert_eq!(Epochs::of(&store).await, before);
        store.close().await;

        put_back(&backup, &file.database());
        let store = file.store();
        assert_eq!(store.log_head().position.0, 3);
        let after = Epochs::of(&store).await;
        after.all_differ_from(&before);
        assert!(!has_session(&store).await);
        append(&store, 1).await;
        store.close().await;
        assert_eq!(file.epochs().await, after, "once is enough");
    }
}

#[tokio::test]
async fn a_copy_made_while_the_log_was_in_use_gets_new_epochs() {
    let file = File::new();
    let before = file.three_entries().await;
    let store = file.store();
    let backup = file.aside("backup");
    sql(&file.database(), &format!("VACUUM INTO '{}'", backup.display()));
    append(&store, 1).await;
    // It has the same token as the database, and comes into the same file: only the missing entry tells.
    store.close().await;
    overwrite(&backup, &file.database());
    file.epochs().await.all_differ_from(&before);
}

#[tokio::test]
async fn a_restored_folder_gets_new_epochs() {
    let file = File::new();
    let before = file.three_entries().await;
    let (database, beside) = (file.aside("backup"), file.aside("backup-watermark"));
    fs::copy(file.database(), &database).unwrap();
    fs::copy(file.watermark(), &beside).unwrap();
    let store = file.store();
    append(&store, 3).await;
    store.close().await;
    overwrite(&database, &file.database());
    overwrite(&beside, &file.watermark());
    file.epochs().await.all_differ_from(&before);
}

#[tokio::test]
async fn a_missing_watermark_file_gives_new_epochs() {
    for damage in [
        (|path| fs::remove_file(path).unwrap()) as fn(PathBuf),
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, [0xff; 100]).unwrap(),
        |path| fs::write(&path, fs::read_to_string(&path).unwrap().trim_end()).unwrap(),
    ] {
        let file = File::new();
        let before = file.three_entries().await;
        damage(file.watermark());
        file.epochs().await.all_differ_from(&before);
    }
}

#[tokio::test]
async fn a_copy_from_before_the_first_start_gets_new_epochs() {
    let file = File::new();
    let before = file.three_entries().await;
    sql(&file.database(), "UPDATE log_head SET generation = ''");
    file.epochs().await.all_differ_from(&before);
    // But one that is only brought up to date keeps its own.
    let file = File::new();
    let before = file.three_entries().await;
    sql(&file.database(), "UPDATE log_head SET generation = ''");
    fs::remove_file(file.watermark()).unwrap();
    assert_eq!(file.epochs().await, before);
}

#[tokio::test]
async fn a_restart_keeps_epochs_and_sessions() {
    let file = File::new();
    let before = file.three_entries().await;
    let generations = file.recorded().generations;
    assert_eq!(file.epochs().await, before);
    assert_ne!(file.recorded().generations, generations);
    // One that nobody closed.
    let left = file.store();
    append(&left, 3).await;
    assert_eq!(file.recorded().position, 6, "noted before it is answered");
    let store = file.store();
    assert_eq!(Epochs::of(&store).await, before);
    assert!(has_session(&store).await);
    store.close().await;
    left.close().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(file.watermark()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_crash_between_two_steps_is_no_restore() {
    let file = File::new();
    let before = file.three_entries().await;
    let recorded = file.recorded();
    let [token] = &recorded.generations[..] else {
        panic!("{recorded:?}")
    };
    let (token, other) = (token.clone(), "other".to_owned());
    let with = |generations: [&String; 2], position| WatermarkFile {
        position,
        generations: generations.map(String::clone).to_vec(),
        ..recorded.clone()
    };
    // After the first step; the file that was not put in place yet is still there, too.
    watermark_file::write(&file.watermark(), &with([&token, &other], 3)).unwrap();
    fs::write(file.watermark().with_extension("db-watermark.new"), "pos").unwrap();
    assert_eq!(file.epochs().await, before);
    // After the second, and a power cut took the newest positions from the file beside.
    let token = file.recorded().generations[0].clone();
    watermark_file::write(&file.watermark(), &with([&other, &token], 1)).unwrap();
    assert_eq!(file.epochs().await, before);
    // After the first step of the first token.
    sql(&file.database(), "UPDATE log_head SET generation = ''");
    watermark_file::write(&file.watermark(), &with([&"none".to_owned(), &other], 0)).unwrap();
    assert_eq!(file.epochs().await, before);
    // In a restore, after the database has its new epochs: it gets others.
    sql(&file.database(), "UPDATE log_head SET generation = 'unknown'");
    let store = file.store();
    assert!(!has_session(&store).await);
    store.close().await;
}

#[tokio::test]
async fn a_guest_changes_nothing() {
    let file = File::new();
    let before = file.three_entries().await;
    let backup = file.aside("backup");
    fs::copy(file.database(), &backup).unwrap();
    let server = file.store();
    append(&server, 1).await;
    let recorded = file.recorded();
    let guest = file.guest();
    assert_eq!(Epochs::of(&guest).await, before);
    guest.check().await.unwrap();
    guest.close().await;
    assert_eq!(file.recorded(), recorded);
    append(&server, 1).await;
    assert_eq!(file.recorded().position, 5, "the server still notes where it is");
    server.close().await;
    overwrite(&backup, &file.database());
    let guest = file.guest();
    assert_eq!(Epochs::of(&guest).await, before);
    guest.close().await;
    file.epochs().await.all_differ_from(&before);
}

#[tokio::test]
async fn an_unwritable_watermark_file_stops_only_restored_logs() {
    let file = File::new();
    let before = file.three_entries().await;
    let recorded = file.recorded();
    // In the way of the new file, even for root.
    let in_the_way = file.watermark().with_extension("db-watermark.new");
    fs::create_dir(&in_the_way).unwrap();
    let store = file.store();
    assert_eq!(Epochs::of(&store).await, before);
    append(&store, 1).await;
    store.close().await;
    assert_eq!(
        (file.recorded().position, file.recorded().generations),
        (4, recorded.generations)
    );
    sql(&file.database(), "UPDATE log_head SET position = 3");
    let refused = open(&file.path(), Options::default()).err();
    assert!(
        matches!(&refused, Some(StoreError::Setup(text)) if text.contains("store.db-watermark")),
        "{refused:?}"
    );
    fs::remove_dir(&in_the_way).unwrap();
    file.epochs().await.all_differ_from(&before);
}

#[tokio::test]
async fn new_epochs_may_be_demanded() {
    let file = File::new();
    let before = file.three_entries().await;
    let url = format!("sqlite:{}", file.path());
    assert_eq!(crate::new_epochs(&url), Ok(2));
    let store = file.store();
    let after = Epochs::of(&store).await;
    after.all_differ_from(&before);
    assert!(!has_session(&store).await);
    store.close().await;
    assert!(matches!(
        crate::new_epochs("sqlite::memory:"),
        Err(StoreError::Setup(_))
    ));
}
