//! The identity of a database. Each engine tests that two databases differ, since a harness has one.

use super::{Harness, Outcome, room, say};
use crate::{Options, Store};

#[track_caller]
fn word(store: &dyn Store) -> String {
    let identity = store.identity();
    // It becomes a part of names on the bus, which allow only these characters.
    assert!((8..=32).contains(&identity.len()), "{identity}");
    assert!(
        identity
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{identity}"
    );
    identity.to_owned()
}

pub async fn a_database_has_an_identity(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let identity = word(&*store);
    let a = room(&*store, "a").await?.id;
    say(&*store, a, "ann", &["1"]).await?;
    assert_eq!(store.identity(), identity, "whatever is written");
    store.close().await;
    assert_eq!(store.identity(), identity, "nobody need be there to say it");
    drop(store);
    assert_eq!(word(&*harness.open(Options::default())), identity);
    let guest = Options {
        guest: true,
        ..Options::default()
    };
    assert_eq!(word(&*harness.open(guest)), identity);
    Ok(())
}

pub async fn all_nodes_agree_on_the_identity(harness: &dyn Harness) -> Outcome {
    let one = harness.open(Options::default());
    let Some(other) = harness.open_another(Options::default()) else {
        return Ok(());
    };
    assert_eq!(word(&*one), word(&*other));
    one.close().await;
    let late = harness.open_another(Options::default());
    assert_eq!(late.map(|late| word(&*late)), Some(word(&*other)));
    Ok(())
}
