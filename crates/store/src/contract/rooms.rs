//! Administration of rooms and members: kinds, roles, lists, removal, revoked tokens.

use super::{Harness, Outcome, Range, read, room, say, seqs};
use crate::{Joined, Member, Options, Retention, Role, RoomChange, RoomKind, Store, StoreError};

const PRIVATE: RoomChange = RoomChange {
    kind: Some(RoomKind::Private),
    history: None,
};

fn member(joined: Option<Joined>) -> Result<Member, StoreError> {
    let joined = joined.ok_or_else(|| StoreError::Internal("not a member".into()))?;
    Ok(joined.member)
}

async fn names(store: &dyn Store, after: Option<&str>, limit: u32) -> Result<Vec<String>, StoreError> {
    let rooms = store.rooms(after, limit).await?;
    Ok(rooms.into_iter().map(|room| room.name).collect())
}

pub async fn a_put_creates_and_then_changes_a_room(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (made, created) = store.put_room("a", PRIVATE, 5).await?;
    assert_eq!(
        (created, made.kind, made.history, made.created_at),
        (true, RoomKind::Private, None, 5)
    );
    let history = RoomChange {
        kind: None,
        history: Some(Some(2)),
    };
    let (changed, created) = store.put_room("a", history, 6).await?;
    assert_eq!(
        (
            created,
            changed.id,
            changed.kind,
            changed.history,
            changed.created_at
        ),
        (false, made.id, RoomKind::Private, Some(2), 5)
    );
    store.close().await;
    let store = harness.open(Options::default());
    assert_eq!(store.open_room("a", false, 7).await?, Some(changed));
    let open = RoomChange {
        kind: Some(RoomKind::Public),
        history: Some(None),
    };
    let (opened, _) = store.put_room("a", open, 8).await?;
    assert_eq!((opened.kind, opened.history), (RoomKind::Public, None));
    assert_eq!(room(&*store, "b").await?.kind, RoomKind::Public);
    Ok(())
}

pub async fn a_room_may_keep_less_than_the_others(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let keep = |most| RoomChange {
        kind: None,
        history: Some(Some(most)),
    };
    let (a, _) = store.put_room("a", keep(3), 1).await?;
    let b = room(&*store, "b").await?;
    for id in [a.id, b.id] {
        say(&*store, id, "ann", &["1", "2", "3", "4", "5"]).await?;
    }
    let all = Range::Last { upto: u64::MAX };
    assert_eq!(seqs(&read(&*store, a.id, all, 10).await?), [3, 4, 5]);
    assert_eq!(seqs(&read(&*store, b.id, all, 10).await?), [1, 2, 3, 4, 5]);
    // The limit applies at once, not with the next message.
    let (b, _) = store.put_room("b", keep(1), 1).await?;
    assert_eq!((b.first, b.head), (5, 5));
    assert_eq!(seqs(&read(&*store, b.id, all, 10).await?), [5]);
    let none = Retention {
        max_entries: u64::MAX,
        max_age_ms: i64::MAX,
        ..Retention::default()
    };
    store.trim(none, 5_000).await?;
    assert_eq!(seqs(&read(&*store, a.id, all, 10).await?), [3, 4, 5]);
    // A room's own limit never exceeds the common one.
    store.put_room("a", keep(1_000_000), 1).await?;
    let two = Retention {
        max_entries: 2,
        ..none
    };
    store.trim(two, 5_000).await?;
    assert_eq!(seqs(&read(&*store, a.id, all, 10).await?), [4, 5]);
    Ok(())
}

pub async fn a_private_room_accepts_added_members_only(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (room, _) = store.put_room("a", PRIVATE, 1).await?;
    assert_eq!(store.join(room.id, "bob", 2).await?, None);
    assert_eq!(store.member(room.id, "bob").await?, None);
    let put = store.put_member(room.id, "bob", None, 3).await?;
    assert_eq!(put.as_ref().map(|put| put.newly), Some(true));
    let bob = member(put)?;
    assert_eq!((bob.role, bob.joined_at), (Role::Member, 3));
    let joined = store.join(room.id, "bob", 4).await?;
    assert_eq!(joined.map(|joined| joined.newly), Some(false));
    assert!(store.leave(room.id, "bob").await?);
    assert_eq!(
        store.join(room.id, "bob", 5).await?,
        None,
        "a former member is not a member"
    );
    assert_eq!(store.put_member(room.id + 1, "bob", None, 6).await?, None);
    Ok(())
}

pub async fn a_role_lasts_as_long_as_the_membership(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    let put = async |role, at| member(store.put_member(room.id, "bob", role, at).await?);
    assert_eq!(put(Some(Role::Moderator), 1).await?.role, Role::Moderator);
    let again = put(None, 2).await?;
    assert_eq!((again.role, again.joined_at), (Role::Moderator, 1));
    assert_eq!(
        member(store.join(room.id, "bob", 3).await?)?.role,
        Role::Moderator
    );
    assert_eq!(put(Some(Role::Member), 4).await?.role, Role::Member);
    put(Some(Role::Moderator), 5).await?;
    store.leave(room.id, "bob").await?;
    assert_eq!(member(store.join(room.id, "bob", 6).await?)?.role, Role::Member);
    Ok(())
}

pub async fn rooms_and_members_are_listed_in_order(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    assert_eq!(names(&*store, None, 10).await?, Vec::<String>::new());
    for name in ["b", "ä", "a", "B", "c"] {
        room(&*store, name).await?;
    }
    assert_eq!(names(&*store, None, 3).await?, ["B", "a", "b"]);
    assert_eq!(names(&*store, Some("b"), 3).await?, ["c", "ä"]);
    assert_eq!(names(&*store, Some("ä"), 3).await?, Vec::<String>::new());

    let room = room(&*store, "a").await?.id;
    for user in ["cy", "ann", "dan", "bob"] {
        store.join(room, user, 1).await?;
    }
    store.leave(room, "bob").await?;
    let users = async |after, limit| -> Result<Vec<String>, StoreError> {
        let members = store.members(room, after, limit).await?;
        Ok(members.into_iter().map(|member| member.user_id).collect())
    };
    assert_eq!(users(None, 2).await?, ["ann", "cy"]);
    assert_eq!(users(Some("cy"), 2).await?, ["dan"]);
    assert_eq!(store.count_members(room).await?, 3);
    assert_eq!(store.count_members(room + 100).await?, 0);
    Ok(())
}

pub async fn a_deleted_room_does_not_come_back(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (a, b) = (room(&*store, "a").await?, room(&*store, "b").await?);
    for id in [a.id, b.id] {
        store.join(id, "bob", 1).await?;
        // More than one commit removes at once.
        say(&*store, id, "ann", &["x"; 600]).await?;
    }
    assert!(store.delete_room(a.id).await?);
    assert!(!store.delete_room(a.id).await?);
    assert_eq!(store.open_room("a", false, 1).await?, None);
    assert_eq!(store.member(a.id, "bob").await?, None);
    assert_eq!(store.unread(a.id, "bob").await?, None);
    assert_eq!(store.join(a.id, "bob", 2).await?, None);
    assert_eq!(names(&*store, None, 10).await?, ["b"]);
    assert_eq!(
        store.unread(b.id, "bob").await?.map(|unread| unread.messages),
        Some(600),
        "another room's"
    );

    let anew = room(&*store, "a").await?;
    assert!(anew.id != a.id && anew.epoch != a.epoch && anew.head == 0);
    assert_eq!(store.member(anew.id, "bob").await?, None);
    assert_eq!(say(&*store, anew.id, "ann", &["1"]).await?, 1);
    Ok(())
}

pub async fn a_revocation_only_grows_and_survives_a_restart(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    assert_eq!(store.revoked("ann").await?, None);
    store.revoke("ann", 20).await?;
    store.revoke("ann", 10).await?;
    store.revoke("bob", 30).await?;
    store.close().await;
    let store = harness.open(Options::default());
    assert_eq!(store.revoked("ann").await?, Some(20));
    assert_eq!(store.forget_revocations(20).await?, 0);
    assert_eq!(store.forget_revocations(21).await?, 1);
    assert_eq!(store.revoked("ann").await?, None);
    assert_eq!(store.revoked("bob").await?, Some(30));
    Ok(())
}
