//! Rooms of a given length, for tests of how much reads cost: every kind of row that counts depend on.

use super::{Outcome, change, message, room};
use crate::{EntryKind, NewEntry, Store};

/// The room of [`fill`].
pub(crate) const ROOM: &str = "long";

/// Creates [`ROOM`] with this many messages, of which every fifth is by its member bob, every third mentions
/// bob, and every tenth is deleted. Bob has read nothing.
pub(crate) async fn fill(store: &dyn Store, messages: u64) -> Outcome {
    let id = room(store, ROOM).await?.id;
    store.join(id, "bob", 1).await?;
    let all: Vec<_> = (1..=messages).collect();
    for numbers in all.chunks(500) {
        let said = numbers.iter().map(|n| {
            let by = if n.is_multiple_of(5) { "bob" } else { "ann" };
            let mentions = if n.is_multiple_of(3) {
                vec!["bob".to_owned()]
            } else {
                Vec::new()
            };
            NewEntry {
                mentions,
                ..message(id, by, None, "1")
            }
        });
        store.append(said.collect()).await?;
    }
    let deleted = all.iter().filter(|n| n.is_multiple_of(10));
    let deletions = deleted.map(|n| change(id, "ann", EntryKind::Delete, *n, ""));
    store.append(deletions.collect()).await.map(drop)
}
