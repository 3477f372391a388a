//! Users who share a room.

use super::{Harness, Outcome, room};
use crate::Options;

/// Sharing is symmetric, ends with either membership and with the room, and ignores users without rooms.
pub async fn users_share_a_room_while_both_are_members(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (one, two) = (room(&*store, "one").await?.id, room(&*store, "two").await?.id);
    for (room, users) in [(one, ["ann", "bob"]), (two, ["ann", "cat"])] {
        for user in users {
            store.join(room, user, 1).await?;
        }
    }
    let others = ["dan", "cat", "bob", "ann"].map(str::to_owned);
    let sharing = async |user: &str| store.sharing_a_room(user, &others).await;
    assert_eq!(sharing("ann").await?, ["cat", "bob", "ann"]);
    assert_eq!(sharing("bob").await?, ["bob", "ann"]);
    assert_eq!(sharing("dan").await?, [""; 0]);
    assert_eq!(store.sharing_a_room("ann", &[]).await?, [""; 0]);
    store.leave(two, "ann").await?;
    assert_eq!(sharing("ann").await?, ["bob", "ann"]);
    assert_eq!(sharing("cat").await?, ["cat"]);
    store.delete_room(one).await?;
    assert_eq!(sharing("bob").await?, [""; 0]);
    Ok(())
}
