//! Databases whose schema is older than the binary: made-up later versions open those of this one.

use tokio::runtime::Handle;

use super::{Database, SERVER, message};
use crate::{
    Options, StoreError,
    contract::Harness as _,
    postgres::{
        pool::Connector,
        schema::{existing_with, migrations, prepare_with},
    },
    schema::of_a_later_version,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn servers_upgrade_a_database_of_an_older_version() {
    let database = Database::new();
    let store = database.open(Options::default());
    let room = store.open_room("a", true, 1).await.unwrap().unwrap().id;
    store.append(vec![message(room, "c1")]).await.unwrap();
    store.close().await;
    let later = of_a_later_version(&migrations());
    let connector = Connector::new(&database.0, &Options::default(), Handle::current()).unwrap();

    // Commands other than a server leave it as it is.
    let refused = existing_with(&connector, &later).await.map(drop);
    assert!(
        matches!(
            &refused,
            Err(StoreError::Setup(text)) if text.contains("has schema 1, and this version needs 2")
        ),
        "{refused:?}"
    );
    database.open(Options::default()).close().await;

    // Nodes that start together upgrade it once.
    let (one, two) = tokio::join!(prepare_with(&connector, &later), prepare_with(&connector, &later));
    drop((one.unwrap(), two.unwrap()));
    let name = database.0.rsplit_once('/').unwrap().1;
    let sql = "SELECT r.topic || e.client_id FROM rooms r JOIN entries e ON e.room_id = r.id";
    assert_eq!(SERVER.sql(name, sql).unwrap().trim(), "none yetc1");
    drop(existing_with(&connector, &later).await.unwrap());

    let refused = crate::open(&database.0, Options::default()).err();
    assert!(
        matches!(
            &refused,
            Some(StoreError::Setup(text)) if text.contains("has schema 2, this version supports up to 1")
        ),
        "{refused:?}"
    );
}
