//! Edits, deletes and reactions, and their effect on messages.

use super::{Harness, Outcome, change, done, message, put, read, room, say, seqs};
use crate::{
    Appended, Edit, EntryKind, MessageState, NewEntry, Options, REACTING_USERS, Range, Reaction, Reactions,
    Rejected, Retention, RoomId, Store, StoreError, Unread,
};

const REACT: EntryKind = EntryKind::Reaction { removed: false };
const TAKE_BACK: EntryKind = EntryKind::Reaction { removed: true };
const ALL: Range = Range::After {
    seq: 0,
    upto: u64::MAX,
};

async fn state(store: &dyn Store, room: RoomId, seq: u64) -> Result<MessageState, StoreError> {
    let entry = store.entry(room, seq).await?;
    let entry = entry.ok_or_else(|| StoreError::Internal(format!("no entry {seq}")))?;
    let page = read(store, room, ALL, 1_000).await?;
    assert!(page.entries.contains(&entry), "a page shows it like a look-up");
    Ok(entry.state)
}

fn new(seq: u64) -> Appended {
    Appended::New { seq, at: 1_000 }
}

pub async fn an_edit_changes_the_text_of_a_message(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    say(&*store, room, "ann", &["1", "2"]).await?;
    let edit = |body: &str, at| NewEntry {
        at,
        ..change(room, "ann", EntryKind::Edit, 1, body)
    };
    let answers = store.append(vec![edit("1b", 5), edit("1c", 6)]).await?;
    let expected = [(3, 5), (4, 6)].map(|(seq, at)| Ok(Appended::New { seq, at }));
    assert_eq!(answers, expected, "edits are numbered like messages");
    let page = read(&*store, room, ALL, 9).await?;
    assert_eq!(seqs(&page), [1, 2, 3, 4]);
    let edited = MessageState {
        edit: Some(Edit {
            body: "1c".into(),
            at: 6,
        }),
        ..MessageState::default()
    };
    assert_eq!(
        (&page.entries[0].state, &page.entries[0].body[..]),
        (&edited, "1")
    );
    assert_eq!(page.entries[1].state, MessageState::default());
    assert_eq!(
        (
            page.entries[2].kind,
            page.entries[2].target,
            &page.entries[2].body[..]
        ),
        (EntryKind::Edit, Some(1), "1b")
    );
    assert_eq!(state(&*store, room, 1).await?, edited);
    assert_eq!(store.entry(room, 5).await?, None);
    assert_eq!(store.entry(room + 1, 1).await?, None);
    Ok(())
}

pub async fn a_deleted_message_is_erased(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    store.join(room, "bob", 1).await?;
    let first = NewEntry {
        mentions: vec!["bob".into()],
        ..message(room, "ann", Some("k"), "secret")
    };
    done(&*store, first.clone()).await?;
    say(&*store, room, "ann", &["2"]).await?;
    done(&*store, change(room, "ann", EntryKind::Edit, 1, "secret too")).await?;
    done(&*store, change(room, "bob", REACT, 1, "+")).await?;
    let unread = async || store.unread(room, "bob").await;
    let before = Unread {
        messages: 2,
        mentions: 1,
    };
    assert_eq!(unread().await?, Some(before));
    assert_eq!(
        put(&*store, change(room, "cy", EntryKind::Delete, 1, "")).await?,
        Ok(new(5))
    );
    let after = Unread {
        messages: 1,
        mentions: 0,
    };
    assert_eq!(unread().await?, Some(after));
    let deleted = MessageState {
        deleted: true,
        ..MessageState::default()
    };
    assert_eq!(state(&*store, room, 1).await?, deleted);
    let page = read(&*store, room, ALL, 9).await?;
    assert!(
        page.entries.iter().all(|entry| !entry.body.contains("secret")),
        "{page:?}"
    );
    // Its number and client id stay taken.
    assert_eq!(
        put(&*store, first).await?,
        Ok(Appended::Duplicate { seq: 1, at: 1_000 })
    );
    for kind in [EntryKind::Edit, EntryKind::Delete, REACT, TAKE_BACK] {
        let late = put(&*store, change(room, "ann", kind, 1, "+")).await?;
        assert_eq!(late, Err(Rejected::NoSuchMessage), "{kind:?}");
    }
    Ok(())
}

pub async fn a_reaction_is_stored_once(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    say(&*store, room, "ann", &["1"]).await?;
    let steps = [
        ("bob", REACT, "+", Ok(new(2))),
        ("bob", REACT, "+", Ok(Appended::Unchanged)),
        ("bob", REACT, "-", Ok(new(3))),
        ("ann", REACT, "+", Ok(new(4))),
        ("cy", TAKE_BACK, "+", Ok(Appended::Unchanged)),
        ("ann", REACT, "-", Ok(new(5))),
        ("bob", TAKE_BACK, "-", Ok(new(6))),
        ("bob", TAKE_BACK, "-", Ok(Appended::Unchanged)),
        ("ann", TAKE_BACK, "-", Ok(new(7))),
        ("ann", REACT, "!", Ok(new(8))),
    ];
    for (user, kind, emoji, expected) in steps {
        let answer = put(&*store, change(room, user, kind, 1, emoji)).await?;
        assert_eq!(answer, expected, "{user} {kind:?} {emoji}");
    }
    let reactions = |emoji: &str, users: &[&str]| Reactions {
        emoji: emoji.into(),
        user_ids: users.iter().map(|user| (*user).into()).collect(),
        count: users.len() as u64,
    };
    assert_eq!(
        state(&*store, room, 1).await?.reactions,
        [reactions("+", &["ann", "bob"]), reactions("!", &["ann"])]
    );
    Ok(())
}

pub async fn different_reactions_on_a_message_are_limited(harness: &dyn Harness) -> Outcome {
    let options = Options {
        reactions: 2,
        ..Options::default()
    };
    let store = harness.open(options);
    let room = room(&*store, "a").await?.id;
    say(&*store, room, "ann", &["1"]).await?;
    done(&*store, change(room, "ann", REACT, 1, "+")).await?;
    done(&*store, change(room, "ann", REACT, 1, "-")).await?;
    let third = || put(&*store, change(room, "ann", REACT, 1, "!"));
    assert_eq!(third().await?, Err(Rejected::TooManyReactions));
    // Any number of users may use an existing reaction; a page lists some of them.
    let crowd = u64::from(REACTING_USERS) + 5;
    let alike = (0..crowd).map(|n| change(room, &format!("user{n}"), REACT, 1, "+"));
    store.append(alike.collect()).await?;
    let reactions = state(&*store, room, 1).await?.reactions;
    let named: usize = reactions.iter().map(|reaction| reaction.user_ids.len()).sum();
    assert!(named <= REACTING_USERS as usize, "{named} users");
    assert_eq!((reactions[0].count, reactions[1].count), (crowd + 1, 1));
    let asked = [(room, 1, "+"), (room, 1, "-"), (room, 2, "+"), (room + 1, 1, "+")];
    let asked = asked.map(|(room, seq, emoji)| Reaction {
        room,
        seq,
        emoji: emoji.to_owned(),
    });
    let own = async |user: &str| -> Result<_, StoreError> {
        let mut own = store.own_reactions(user, asked.to_vec()).await?;
        own.sort_unstable();
        Ok(own)
    };
    assert_eq!(own("user99").await?, asked[..1]);
    assert_eq!(own("ann").await?, asked[..2]);
    assert_eq!(own("bob").await?, []);
    done(&*store, change(room, "ann", TAKE_BACK, 1, "-")).await?;
    assert!(
        matches!(third().await?, Ok(Appended::New { .. })),
        "another reaction fits again"
    );
    Ok(())
}

pub async fn a_change_needs_a_message(harness: &dyn Harness) -> Outcome {
    let options = Options {
        retention: Retention {
            max_entries: 3,
            ..Retention::default()
        },
        ..Options::default()
    };
    let store = harness.open(options);
    let (a, b) = (room(&*store, "a").await?.id, room(&*store, "b").await?.id);
    say(&*store, a, "ann", &["1", "2"]).await?;
    done(&*store, change(a, "ann", EntryKind::Edit, 2, "2b")).await?;
    say(&*store, a, "ann", &["4"]).await?;
    for kind in [EntryKind::Edit, EntryKind::Delete, REACT, TAKE_BACK] {
        // Expired, not a message, not there yet, in another room, missing.
        for (room, target) in [(a, 1), (a, 3), (a, 5), (a, 0), (a, u64::MAX), (b, 1)] {
            let answer = put(&*store, change(room, "ann", kind, target, "+")).await?;
            assert_eq!(answer, Err(Rejected::NoSuchMessage), "{kind:?} of {target}");
        }
        let of_nothing = NewEntry {
            target: None,
            ..change(a, "ann", kind, 2, "+")
        };
        assert_eq!(put(&*store, of_nothing).await?, Err(Rejected::NoSuchMessage));
        let in_no_room = change(b + 1, "ann", kind, 1, "+");
        assert_eq!(put(&*store, in_no_room).await?, Err(Rejected::NoSuchRoom));
    }
    assert_eq!(
        say(&*store, a, "ann", &["5"]).await?,
        5,
        "none of them took a number"
    );
    Ok(())
}

pub async fn a_retried_change_gets_the_first_answer(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    say(&*store, room, "ann", &["1", "2"]).await?;
    let keyed = |kind, target, body: &str| NewEntry {
        client_id: Some("k".into()),
        ..change(room, "ann", kind, target, body)
    };
    let again = |seq| Ok(Appended::Duplicate { seq, at: 1_000 });
    assert_eq!(put(&*store, keyed(EntryKind::Edit, 1, "1b")).await?, Ok(new(3)));
    assert_eq!(put(&*store, keyed(EntryKind::Edit, 1, "1b")).await?, again(3));
    for other in [
        keyed(EntryKind::Edit, 1, "1c"),
        keyed(EntryKind::Edit, 2, "1b"),
        keyed(REACT, 1, "1b"),
        message(room, "ann", Some("k"), "1b"),
    ] {
        assert_eq!(put(&*store, other).await?, Err(Rejected::Conflict { seq: 3 }));
    }
    let delete = NewEntry {
        client_id: Some("d".into()),
        ..change(room, "ann", EntryKind::Delete, 1, "")
    };
    assert_eq!(put(&*store, delete.clone()).await?, Ok(new(4)));
    assert_eq!(put(&*store, delete).await?, again(4), "not: no such message");
    assert_eq!(put(&*store, keyed(EntryKind::Edit, 1, "1b")).await?, again(3));
    Ok(())
}

pub async fn pages_of_messages_step_over_changes(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    for _ in 0..3 {
        let seq = say(&*store, room, "ann", &["1"]).await?;
        done(&*store, change(room, "ann", REACT, seq, "+")).await?;
        done(&*store, change(room, "ann", TAKE_BACK, seq, "+")).await?;
    }
    let cases = [
        (Range::Last { upto: 9 }, 2, vec![4, 7], true),
        (Range::Last { upto: 9 }, 3, vec![1, 4, 7], false),
        (Range::Last { upto: 6 }, 3, vec![1, 4], false),
        (Range::Last { upto: 9 }, 0, vec![], true),
        (Range::Before(7), 1, vec![4], true),
        (Range::Before(4), 1, vec![1], false),
        (Range::Before(1), 1, vec![], false),
        (Range::After { seq: 2, upto: 9 }, 3, vec![3, 4, 5], true),
        (Range::After { seq: 6, upto: 9 }, 3, vec![7, 8, 9], false),
    ];
    for (range, limit, expected, more) in cases {
        let page = read(&*store, room, range, limit).await?;
        assert_eq!(
            (seqs(&page), page.more),
            (expected, more),
            "{range:?}, {limit} at most"
        );
    }
    Ok(())
}

pub async fn expired_entries_take_their_changes_along(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    store.join(room, "bob", 1).await?;
    let mentioning = NewEntry {
        mentions: vec!["bob".into(), "ann".into()],
        ..message(room, "ann", None, "1")
    };
    store.append(vec![mentioning.clone(), mentioning]).await?;
    done(&*store, change(room, "bob", REACT, 1, "+")).await?;
    done(&*store, change(room, "bob", EntryKind::Delete, 2, "")).await?;
    let unread = async || store.unread(room, "bob").await;
    let one = Unread {
        messages: 1,
        mentions: 1,
    };
    assert_eq!(unread().await?, Some(one));
    let limits = Retention {
        max_entries: 3,
        ..Retention::default()
    };
    store.trim(limits, 0).await?;
    assert_eq!(unread().await?, Some(Unread::default()));
    assert!(state(&*store, room, 2).await?.deleted);
    assert_eq!(say(&*store, room, "ann", &["5"]).await?, 5);
    Ok(())
}

pub async fn an_edit_with_a_replacement_erases_earlier_texts(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    let first = message(room, "ann", Some("k"), "1");
    done(&*store, first.clone()).await?;
    let edit = |key: &str, body: &str| NewEntry {
        client_id: Some(key.into()),
        replacement: Some(format!("whole {body}")),
        ..change(room, "ann", EntryKind::Edit, 1, body)
    };
    done(&*store, edit("e1", "1b")).await?;
    done(&*store, edit("e2", "1c")).await?;
    let page = read(&*store, room, ALL, 9).await?;
    let bodies: Vec<_> = page.entries.iter().map(|entry| &*entry.body).collect();
    assert_eq!(bodies, ["whole 1c", "", "1c"]);
    let current = page.entries[0].state.edit.as_ref();
    assert_eq!(current.map(|edit| &*edit.body), Some("1c"));
    // Erased bodies are not compared; the last edit still is.
    let again = |seq| Ok(Appended::Duplicate { seq, at: 1_000 });
    assert_eq!(put(&*store, first).await?, again(1));
    assert_eq!(put(&*store, edit("e1", "1b")).await?, again(2));
    assert_eq!(put(&*store, edit("e2", "1c")).await?, again(3));
    assert_eq!(
        put(&*store, edit("e2", "other")).await?,
        Err(Rejected::Conflict { seq: 3 })
    );
    // In one batch, too.
    let second = message(room, "ann", Some("k2"), "2");
    let of_second = |key: &str, body: &str| NewEntry {
        target: Some(4),
        ..edit(key, body)
    };
    let answers = store
        .append(vec![
            second.clone(),
            of_second("e3", "2b"),
            of_second("e4", "2c"),
            NewEntry {
                body: "differs".into(),
                ..second
            },
            of_second("e3", "2b"),
        ])
        .await?;
    assert_eq!(answers[3..], [again(4), again(5)]);
    let page = read(&*store, room, Range::After { seq: 3, upto: 9 }, 9).await?;
    let bodies: Vec<_> = page.entries.iter().map(|entry| &*entry.body).collect();
    assert_eq!(bodies, ["whole 2c", "", "2c"]);
    Ok(())
}
