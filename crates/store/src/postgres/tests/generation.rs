//! An older copy of the data folder is put in its place, while nodes run or while they are stopped.

use std::{path::Path, sync::Arc};

use roomful_testkit::PostgresServer;
use tempfile::TempDir;

use super::{SERVER, message};
use crate::{
    Appended, LogHead, NewEntry, NewSession, Options, Outage, Resume, RoomId, SessionKey, Store, StoreError,
};

const SESSION: SessionKey = SessionKey([7; 16]);

/// What clients know the log by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Epochs {
    rooms: Vec<String>,
    log: String,
}

impl Epochs {
    async fn of(store: &Arc<dyn Store>) -> Self {
        let rooms = store.rooms(None, 10).await.unwrap();
        Self {
            rooms: rooms.into_iter().map(|room| room.epoch).collect(),
            log: store.read_log_head().await.unwrap().epoch,
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

/// A server of its own, since it is to be put back, and the folders of two nodes.
struct World {
    server: PostgresServer,
    url: String,
    folders: [TempDir; 2],
}

impl World {
    fn new() -> Self {
        let server = PostgresServer::start_with(&["fsync=off"]).unwrap();
        let url = server.new_database().unwrap();
        let folder = || tempfile::tempdir().unwrap();
        Self {
            server,
            url,
            folders: [folder(), folder()],
        }
    }

    fn node(&self, n: usize) -> Arc<dyn Store> {
        self.open(Some(self.folders[n].path()))
    }

    fn open(&self, folder: Option<&Path>) -> Arc<dyn Store> {
        let options = Options {
            folder: folder.map(Into::into),
            ..Options::default()
        };
        crate::open(&self.url, options).unwrap()
    }

    /// Restores the data of `copy`.
    fn put_back(&self, copy: &Path) {
        self.server.stop().unwrap();
        self.server.put_back(copy).unwrap();
        self.server.restart().unwrap();
    }

    /// A copy of the current data.
    fn copy(&self) -> std::path::PathBuf {
        self.server.stop().unwrap();
        let copy = self.server.copy_data().unwrap();
        self.server.restart().unwrap();
        copy
    }
}

/// A message that is another one each time.
fn anonymous(room: RoomId) -> NewEntry {
    NewEntry {
        client_id: None,
        ..message(room, "")
    }
}

/// Calls until it succeeds: connections that a restart has broken are found out by using them.
async fn again<T>(mut call: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..20 {
        match call().await {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it stays unavailable")
}

/// Appends to room `a` and answers the new entry's number.
async fn say(store: &Arc<dyn Store>) -> u64 {
    let room = again(async || store.open_room("a", true, 1).await)
        .await
        .unwrap()
        .id;
    let answers = again(async || store.append(vec![anonymous(room)]).await).await;
    match answers[..] {
        [Ok(Appended::New { seq, .. })] => seq,
        ref other => panic!("{other:?}"),
    }
}

async fn begin_session(store: &Arc<dyn Store>) {
    let session = NewSession {
        key: SESSION,
        owner: 1,
        sid: "sid".into(),
        user_id: "ann".into(),
        at: 1,
    };
    store.begin_session(session).await.unwrap();
}

async fn has_session(store: &Arc<dyn Store>) -> bool {
    let ask = Resume {
        key: SESSION,
        owner: 1,
        user_id: "ann".into(),
        lost_since: 0,
    };
    again(async || store.resume_session(ask.clone()).await)
        .await
        .is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_restore_under_running_nodes_gives_new_epochs_once() {
    let world = World::new();
    let nodes = [world.node(0), world.node(1)];
    nodes[0].open_room("b", true, 1).await.unwrap();
    say(&nodes[0]).await;
    begin_session(&nodes[0]).await;
    let before = Epochs::of(&nodes[0]).await;
    let copy = world.copy();
    for node in &nodes {
        say(node).await;
    }
    assert_eq!(Epochs::of(&nodes[1]).await, before);
    world.put_back(&copy);
    // Both at once, and each in its own way: by appending, and by a new connection.
    let (seq, ()) = tokio::join!(say(&nodes[0]), again(async || nodes[1].check().await));
    assert_eq!(seq, 2, "the number is given once more");
    let after = Epochs::of(&nodes[0]).await;
    after.all_differ_from(&before);
    assert!(!has_session(&nodes[0]).await, "sessions are forgotten");
    say(&nodes[1]).await;
    assert_eq!(Epochs::of(&nodes[1]).await, after, "it was done once");
    let LogHead { epoch, position } = nodes[1].log_head();
    assert_eq!((epoch, position.0), (after.log.clone(), 3));
    for node in nodes {
        node.close().await;
    }
    assert_eq!(
        Epochs::of(&world.node(0)).await,
        after,
        "nor once more at the next start"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_watermark_file_reveals_a_restore_while_stopped() {
    let world = World::new();
    let node = world.node(0);
    say(&node).await;
    let before = Epochs::of(&node).await;
    let copy = world.copy();
    say(&node).await;
    node.close().await;
    // A node that is killed without a word knows no less.
    drop(node);
    world.put_back(&copy);
    let stranger = world.open(None);
    assert_eq!(Epochs::of(&stranger).await, before, "it can't know");
    // It even goes on beyond where the log was.
    for _ in 0..5 {
        say(&stranger).await;
    }
    let node = world.node(0);
    let after = Epochs::of(&node).await;
    after.all_differ_from(&before);
    node.close().await;
    assert_eq!(Epochs::of(&world.node(0)).await, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_log_that_continued_keeps_its_epochs() {
    let world = World::new();
    let node = world.node(0);
    say(&node).await;
    let before = Epochs::of(&node).await;
    world.server.kill9().unwrap();
    world.server.restart().unwrap();
    say(&node).await;
    // Killed, as far as the database knows; and one after the other.
    drop(node);
    let node = world.node(0);
    say(&world.node(1)).await;
    say(&node).await;
    node.close().await;
    assert_eq!(Epochs::of(&world.node(0)).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn running_nodes_adopt_new_epochs_on_demand() {
    let world = World::new();
    let node = world.node(0);
    say(&node).await;
    let before = Epochs::of(&node).await;
    let (url, identity) = (world.url.clone(), node.identity().to_owned());
    let rooms = tokio::task::spawn_blocking(move || crate::new_epochs(&url))
        .await
        .unwrap();
    assert_eq!(rooms, Ok(1));
    assert_eq!(say(&node).await, 2);
    let after = Epochs::of(&node).await;
    after.all_differ_from(&before);
    assert_eq!(node.log_head().epoch, after.log);
    node.close().await;
    let node = world.node(0);
    assert_eq!(Epochs::of(&node).await, after);
    assert_eq!(node.identity(), identity, "it is the same database for all that");
}

#[test]
fn a_folder_serves_one_node_at_a_time() {
    let world = World::new();
    let _node = world.node(0);
    let options = Options {
        folder: Some(world.folders[0].path().into()),
        ..Options::default()
    };
    let refused = crate::open(&world.url, options.clone()).err();
    assert!(
        matches!(&refused, Some(StoreError::Setup(text)) if text.contains("its own")),
        "{refused:?}"
    );
    let guest = Options {
        guest: true,
        ..options
    };
    assert!(crate::open(&world.url, guest).is_ok());
}

#[test]
fn new_epochs_are_refused_where_there_is_no_store() {
    let url = SERVER.new_database().unwrap();
    let refused = crate::new_epochs(&url);
    assert!(
        matches!(&refused, Err(StoreError::Setup(text)) if text.contains("no store at store.url yet")),
        "{refused:?}"
    );
    let tables = SERVER.sql(
        url.rsplit('/').next().unwrap(),
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
    );
    assert_eq!(tables.unwrap().trim(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_missing_data_folder_fails_the_check() {
    let world = World::new();
    let node = world.node(0);
    node.check().await.unwrap();
    std::fs::remove_dir_all(world.folders[0].path()).unwrap();
    let failed = node.check().await;
    assert!(
        matches!(&failed, Err(StoreError::Unavailable(Outage::Io(text))) if text.contains("data folder")),
        "{failed:?}"
    );
    node.close().await;
}
