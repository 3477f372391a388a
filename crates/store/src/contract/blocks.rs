//! Blocks between users, and the messages and notifications that the blocker no longer gets.

use super::{
    Harness, Outcome, change, done, message,
    moderation::moderate,
    outbox::{looks, with_undelivered},
    put, room, say,
};
use crate::{
    Block, EntryKind, ModerationAct, NewEntry, NewNotification, Options, Posted, Rejected, RoomChange,
    RoomId, RoomKind, Store, StoreError,
};

async fn block(store: &dyn Store, user: &str, blocked: &str, at: i64) -> Outcome {
    let act = ModerationAct::Block {
        user_id: user.into(),
        blocked_id: blocked.into(),
        at,
    };
    carry_out(store, act).await
}

async fn unblock(store: &dyn Store, user: &str, blocked: &str) -> Outcome {
    let act = ModerationAct::Unblock {
        user_id: user.into(),
        blocked_id: blocked.into(),
    };
    carry_out(store, act).await
}

async fn carry_out(store: &dyn Store, act: ModerationAct) -> Outcome {
    let position = moderate(store, act).await?;
    position
        .map(drop)
        .map_err(|rejected| StoreError::Internal(format!("{rejected:?}")))
}

async fn private_room(store: &dyn Store, name: &str, members: &[&str]) -> Result<RoomId, StoreError> {
    let private = RoomChange {
        kind: Some(RoomKind::Private),
        history: None,
    };
    let (room, _) = store.put_room(name, private, 1).await?;
    for user in members {
        store.put_member(room.id, user, None, 1).await?;
    }
    Ok(room.id)
}

pub async fn a_block_keeps_both_from_writing_in_a_room_of_two(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let pair = private_room(&*store, "pair", &["ann", "bob"]).await?;
    let group = private_room(&*store, "group", &["ann", "bob", "cy"]).await?;
    let public = room(&*store, "public").await?.id;
    for user in ["ann", "bob"] {
        store.join(public, user, 1).await?;
    }
    let first = done(&*store, message(pair, "bob", Some("k"), "hi")).await?;
    block(&*store, "ann", "bob", 2).await?;
    for user in ["ann", "bob"] {
        let refused = Err(Rejected::Blocked);
        assert_eq!(put(&*store, message(pair, user, None, "again")).await?, refused);
        let reaction = change(pair, user, EntryKind::Reaction { removed: false }, first, "+");
        assert_eq!(put(&*store, reaction).await?, refused);
        assert_eq!(
            put(&*store, message(public, user, None, "hi")).await?,
            Err(Rejected::Blocked)
        );
        done(&*store, message(group, user, None, "hi")).await?;
    }
    let edit = change(pair, "bob", EntryKind::Edit, first, "hello");
    assert_eq!(put(&*store, edit).await?, Err(Rejected::Blocked));
    // A retry of a stored message still gets its answer. Others than the two may write, as the backend does.
    assert!(put(&*store, message(pair, "bob", Some("k"), "hi")).await?.is_ok());
    block(&*store, "ann", "backend", 2).await?;
    done(&*store, message(pair, "backend", None, "maintenance at noon")).await?;
    let moderator = NewEntry {
        exempt: true,
        ..message(pair, "bob", None, "again")
    };
    assert_eq!(put(&*store, moderator).await?, Err(Rejected::Blocked));
    done(&*store, change(pair, "bob", EntryKind::Delete, first, "")).await?;
    store.put_member(pair, "cy", None, 1).await?;
    done(&*store, message(pair, "bob", None, "three of us")).await?;
    store.leave(pair, "cy").await?;
    let refused = put(&*store, message(pair, "bob", None, "two of us")).await?;
    assert_eq!(refused, Err(Rejected::Blocked));
    unblock(&*store, "ann", "bob").await?;
    done(&*store, message(pair, "bob", None, "sorry")).await?;
    Ok(())
}

pub async fn a_mention_by_a_blocked_user_does_not_count(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let lobby = room(&*store, "lobby").await?.id;
    for user in ["ann", "bob", "cy"] {
        store.join(lobby, user, 1).await?;
    }
    block(&*store, "ann", "bob", 2).await?;
    let mention = |author: &str, users: &[&str]| NewEntry {
        mentions: users.iter().map(|user| (*user).to_owned()).collect(),
        ..message(lobby, author, None, "look")
    };
    // One batch with several authors, since blocks are loaded for the whole batch.
    let batch = vec![
        mention("bob", &["ann", "cy"]),
        mention("cy", &["ann", "bob"]),
        mention("ann", &["bob"]),
    ];
    for result in store.append(batch).await? {
        assert!(result.is_ok(), "{result:?}");
    }
    for (user, mentions) in [("ann", 1), ("bob", 2), ("cy", 1)] {
        let unread = store.unread(lobby, user).await?;
        assert_eq!(unread.map(|unread| unread.mentions), Some(mentions), "{user}");
    }
    Ok(())
}

pub async fn a_notification_from_a_blocked_user_is_not_given_to_the_blocker(
    harness: &dyn Harness,
) -> Outcome {
    let store = harness.open(Options::default());
    block(&*store, "ann", "bob", 2).await?;
    let post = |id: &str, users: &[&str]| NewNotification {
        id: id.into(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        body: "{}".into(),
        at: 5,
        from: Some("bob".into()),
    };
    let places = vec![("cy".to_owned(), 1)];
    let posted = store.notify(post("n1", &["ann", "cy"])).await?;
    assert_eq!(
        posted,
        Posted::New {
            places: places.clone()
        }
    );
    assert_eq!(
        store.notify(post("n2", &["ann"])).await?,
        Posted::New { places: vec![] }
    );
    // The store recognises a retry by the users that it names, also if one has blocked the sender since.
    block(&*store, "cy", "bob", 6).await?;
    let again = store.notify(post("n1", &["ann", "cy"])).await?;
    assert_eq!(again, Posted::Duplicate { at: 5, places });
    Ok(())
}

pub async fn a_message_is_not_reported_as_undelivered_to_the_blocker(harness: &dyn Harness) -> Outcome {
    let store = harness.open(with_undelivered());
    let lobby = room(&*store, "lobby").await?.id;
    for user in ["ann", "bob", "cy"] {
        store.join(lobby, user, 1).await?;
    }
    block(&*store, "ann", "bob", 2).await?;
    say(&*store, lobby, "bob", &["hi"]).await?;
    assert_eq!(looks(&store, 1_005).await?, [(1, false, "cy".into())]);
    Ok(())
}

pub async fn blocks_are_listed_and_survive_a_restart(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    for (user, blocked, at) in [
        ("ann", "cy \u{0}", 2),
        ("ann", "bob", 3),
        ("ann", "bob", 4),
        ("dan", "bob", 5),
        ("ann", "eve", 6),
    ] {
        block(&*store, user, blocked, at).await?;
    }
    unblock(&*store, "ann", "eve").await?;
    unblock(&*store, "ann", "nobody").await?;
    store.close().await;
    let store = harness.open(Options::default());
    let listed = |user_id: &str, at| Block {
        user_id: user_id.into(),
        at,
    };
    let blocks = store.blocks("ann").await?;
    assert_eq!(blocks, [listed("bob", 3), listed("cy \u{0}", 2)]);
    assert_eq!(store.blocks("bob").await?, []);
    let candidates = ["ann", "bob", "cy", "dan"].map(String::from);
    let mut blockers = store.blockers_among("bob", &candidates).await?;
    blockers.sort_unstable();
    assert_eq!(blockers, ["ann", "dan"]);
    assert!(store.blockers_among("ann", &candidates).await?.is_empty());
    Ok(())
}
