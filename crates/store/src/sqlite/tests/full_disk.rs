//! A disk that fills while messages are sent, and has room again later.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use super::{File, message, room, sql};
use crate::{
    Appended, Log as _, Options, Outage, Page, Range, RoomId, Store as _, StoreError,
    sqlite::{SqliteStore, open},
};

/// Fills the disk, checks that reads go on and that a failed send leaves no trace, makes room, and sends
/// again.
async fn fill_and_free(store: &SqliteStore, room: RoomId, make_room: impl AsyncFnOnce()) {
    let body = format!("\"{}\"", "x".repeat(8_000));
    let mut kept = 0;
    let failure = loop {
        match store.append(vec![message(room, &body)]).await {
            Ok(answers) => {
                kept += 1;
                assert_eq!(answers, [Ok(Appended::New { seq: kept, at: 1 })]);
            }
            Err(failure) => break failure,
        }
        assert!(kept < 1_000, "the disk does not fill");
    };
    assert_eq!(failure, StoreError::Unavailable(Outage::DiskFull));
    assert!(kept > 10, "{kept} fit");

    let page = Page {
        range: Range::Last { upto: u64::MAX },
        limit: 2,
    };
    for _ in 0..3 {
        let batch = vec![message(room, &body); 3];
        assert_eq!(
            store.append(batch).await,
            Err(StoreError::Unavailable(Outage::DiskFull))
        );
        let history = store.history(room, page).await.unwrap().unwrap();
        assert_eq!(history.head, kept);
        assert_eq!(history.entries.last().unwrap().seq, kept);
    }
    make_room().await;
    for seq in kept + 1..kept + 20 {
        assert_eq!(
            store.append(vec![message(room, &body)]).await,
            Ok(vec![Ok(Appended::New { seq, at: 1 })])
        );
    }
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_file_at_its_page_limit_fails_sends_until_it_may_grow() {
    let file = File::new();
    let store = file.store();
    let room = room(&store).await;
    // What a full disk says, without a disk: of this file only 120 pages may be in use.
    store.write(sql("PRAGMA max_page_count = 120")).await.unwrap();
    let grow = async || store.write(sql("PRAGMA max_page_count = 100000")).await.unwrap();
    fill_and_free(&store, room, grow).await;
}

#[tokio::test]
async fn a_full_tmpfs_fails_sends_until_there_is_room() {
    let folder = TempDir::new().unwrap();
    let Some(_mounted) = Tmpfs::mount(folder.path()) else {
        println!("not run: mounting a tmpfs takes root");
        return;
    };
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let store = open(
        &folder.path().join("store.db").display().to_string(),
        Options::default(),
    )
    .unwrap();
    let room = room(&store).await;
    fill_and_free(&store, room, async || std::fs::remove_file(&ballast).unwrap()).await;
    store.close().await;
}

/// 8 MiB, unmounted when dropped.
struct Tmpfs<'p>(&'p Path);

impl<'p> Tmpfs<'p> {
    fn mount(path: &'p Path) -> Option<Self> {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(path)
            .output();
        mount
            .is_ok_and(|output| output.status.success())
            .then_some(Self(path))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        // Lazily: a failed test may leave files open.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
