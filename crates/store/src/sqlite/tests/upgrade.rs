//! Databases whose schema is older than the binary: made-up later versions open those of this one.

use std::path::Path;

use super::{File, message, room};
use crate::{
    Log as _, Store as _, StoreError,
    schema::of_a_later_version,
    sqlite::connection::{existing_with, migrations, writer_with},
};

#[tokio::test]
async fn a_server_upgrades_a_file_of_an_older_version() {
    let file = File::new();
    let store = file.store();
    let id = room(&store).await;
    store.append(vec![message(id, "\"hi\"")]).await.unwrap();
    store.close().await;
    let (path, later) = (file.path(), of_a_later_version(&migrations()));
    let path = Path::new(&path);

    // Commands other than a server leave it as it is.
    let refused = existing_with(path, &later).map(drop);
    assert!(
        matches!(
            &refused,
            Err(StoreError::Setup(text)) if text.contains("has schema 1, and this version needs 2")
        ),
        "{refused:?}"
    );
    let before = file.store();
    before.close().await;

    let upgraded = writer_with(path, &later).unwrap();
    let sql = "SELECT r.topic || e.body FROM rooms r JOIN entries e ON e.room_id = r.id";
    let row: String = upgraded.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(row, "none yet\"hi\"");
    drop(upgraded);
    existing_with(path, &later).unwrap();
    writer_with(path, &later).unwrap();

    let refused = crate::open(&format!("sqlite:{}", path.display()), crate::Options::default()).err();
    assert!(
        matches!(
            &refused,
            Some(StoreError::Setup(text)) if text.contains("has schema 2, this version supports up to 1")
        ),
        "{refused:?}"
    );
}
