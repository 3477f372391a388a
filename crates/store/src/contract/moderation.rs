//! Bans, mutes, frozen rooms and slow mode, as the log enforces them.

use super::{Harness, Outcome, change, done, message, put, room};
use crate::{
    Appended, EntryKind, ModerationAct, Mute, NewEntry, Options, Rejected, Restrictions, Role, RoomId,
    RoomRules, Sanction, SanctionKind, SanctionPage, Store, StoreError,
};

fn sanction(room: Option<RoomId>, user: &str, kind: SanctionKind, until: Option<i64>) -> Sanction {
    Sanction {
        room,
        user_id: user.into(),
        kind,
        until,
        reason: Some("spam \u{0}".into()),
        actor: "mod".into(),
        at: 900,
    }
}

/// Carries out an act. Answers the position of its entry.
pub(super) async fn moderate(
    store: &dyn Store,
    act: ModerationAct,
) -> Result<Result<u64, Rejected>, StoreError> {
    let log = room(store, "\u{1}control").await?;
    let control = NewEntry {
        kind: EntryKind::Control,
        ..message(log.id, "node", None, "{}")
    };
    let result = store.moderate(act, control).await?;
    let outcome = result.results.into_iter().next();
    let outcome = outcome.ok_or_else(|| StoreError::Internal("no answer".into()))?;
    Ok(outcome.map(|_| result.first_position.0))
}

async fn impose(store: &dyn Store, sanction: Sanction) -> Outcome {
    let position = moderate(store, ModerationAct::Impose(sanction)).await?;
    position
        .map(drop)
        .map_err(|rejected| StoreError::Internal(format!("{rejected:?}")))
}

async fn lift(store: &dyn Store, room: Option<RoomId>, user: &str, kind: SanctionKind) -> Outcome {
    let user_id = user.into();
    let lifted = moderate(store, ModerationAct::Lift { room, user_id, kind }).await?;
    lifted
        .map(drop)
        .map_err(|rejected| StoreError::Internal(format!("{rejected:?}")))
}

fn at(at: i64, entry: NewEntry) -> NewEntry {
    NewEntry { at, ..entry }
}

pub async fn a_ban_ends_the_membership_and_refuses_joins_and_entries(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (lobby, other) = (room(&*store, "lobby").await?.id, room(&*store, "other").await?.id);
    for room in [lobby, other] {
        store.join(room, "ann", 1).await?;
    }
    done(&*store, message(lobby, "ann", Some("k"), "hi")).await?;
    impose(&*store, sanction(Some(lobby), "ann", SanctionKind::Ban, None)).await?;
    assert_eq!(store.member(lobby, "ann").await?, None);
    assert_eq!(store.join(lobby, "ann", 1_000).await?, None);
    assert_eq!(
        store.put_member(lobby, "ann", Some(Role::Owner), 1_000).await?,
        None
    );
    assert_eq!(store.member(lobby, "ann").await?, None);
    assert_eq!(
        put(&*store, message(lobby, "ann", None, "again")).await?,
        Err(Rejected::Banned)
    );
    let reaction = change(lobby, "ann", EntryKind::Reaction { removed: false }, 1, "+");
    assert_eq!(put(&*store, reaction).await?, Err(Rejected::Banned));
    // A retry of a stored message still gets its answer, and other rooms and users are free.
    let retry = put(&*store, message(lobby, "ann", Some("k"), "hi")).await?;
    assert!(
        matches!(retry, Ok(Appended::Duplicate { seq: 1, .. })),
        "{retry:?}"
    );
    done(&*store, message(other, "ann", None, "hi")).await?;
    done(&*store, message(lobby, "bob", None, "hi")).await?;
    lift(&*store, Some(lobby), "ann", SanctionKind::Ban).await?;
    let joined = store.join(lobby, "ann", 1_000).await?;
    assert_eq!(joined.map(|joined| joined.member.role), Some(Role::Member));
    done(&*store, message(lobby, "ann", None, "back")).await?;
    Ok(())
}

pub async fn a_ban_from_all_rooms_ends_all_memberships(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (lobby, other) = (room(&*store, "lobby").await?.id, room(&*store, "other").await?.id);
    for room in [lobby, other] {
        store.join(room, "ann", 1).await?;
        store.join(room, "bob", 1).await?;
    }
    impose(&*store, sanction(None, "ann", SanctionKind::Ban, None)).await?;
    for room in [lobby, other] {
        assert_eq!(store.count_members(room).await?, 1);
        assert_eq!(store.join(room, "ann", 1_000).await?, None);
        assert_eq!(
            put(&*store, message(room, "ann", None, "hi")).await?,
            Err(Rejected::Banned)
        );
        done(&*store, message(room, "bob", None, "hi")).await?;
    }
    let new = room(&*store, "new").await?.id;
    assert_eq!(store.join(new, "ann", 1_000).await?, None);
    Ok(())
}

pub async fn all_sanctions_of_a_user_are_listed(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let lobby = room(&*store, "lobby").await?.id;
    let mute = sanction(Some(lobby), "ann", SanctionKind::Mute, None);
    let ban = sanction(None, "ann", SanctionKind::Ban, Some(1_000));
    let other = sanction(Some(lobby), "bob", SanctionKind::Ban, None);
    for one in [&mute, &ban, &other] {
        impose(&*store, one.clone()).await?;
    }
    assert_eq!(
        store.all_sanctions_of("ann", 1, 1).await?,
        std::slice::from_ref(&ban)
    );
    assert_eq!(store.all_sanctions_of("ann", 1, 9).await?, [ban, mute.clone()]);
    assert_eq!(store.all_sanctions_of("ann", 1_000, 9).await?, [mute]);
    Ok(())
}

pub async fn a_sanction_ends_by_itself(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let lobby = room(&*store, "lobby").await?.id;
    impose(
        &*store,
        sanction(Some(lobby), "ann", SanctionKind::Ban, Some(1_000)),
    )
    .await?;
    impose(
        &*store,
        sanction(Some(lobby), "bob", SanctionKind::Mute, Some(1_000)),
    )
    .await?;
    assert_eq!(store.join(lobby, "ann", 999).await?, None);
    assert!(store.join(lobby, "ann", 1_000).await?.is_some());
    let bob = message(lobby, "bob", None, "hi");
    assert_eq!(
        put(&*store, at(999, bob.clone())).await?,
        Err(Rejected::Muted { until: Some(1_000) })
    );
    done(&*store, at(1_000, bob)).await?;
    assert_eq!(store.sanctions_of(Some(lobby), "bob", 999).await?.len(), 1);
    assert_eq!(store.sanctions_of(Some(lobby), "bob", 1_000).await?, []);
    assert_eq!(store.all_sanctions_of("bob", 1_000, 9).await?, []);
    assert_eq!(store.forget_sanctions(1_000).await?, 0);
    assert_eq!(store.forget_sanctions(1_001).await?, 2);
    Ok(())
}

pub async fn a_room_may_be_frozen_or_in_slow_mode(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let lobby = room(&*store, "lobby").await?.id;
    store.put_member(lobby, "mod", Some(Role::Moderator), 1).await?;
    let restrict = |frozen, slow_mode_ms| ModerationAct::Restrict {
        room: lobby,
        frozen,
        slow_mode_ms,
    };
    let rules = |frozen, slow_mode_ms| RoomRules { frozen, slow_mode_ms };
    moderate(&*store, restrict(None, Some(500))).await?.ok();
    assert_eq!(store.room_rules(lobby).await?, rules(false, 500));
    let ann = |time| at(time, message(lobby, "ann", None, "hi"));
    done(&*store, ann(1_000)).await?;
    assert_eq!(
        put(&*store, ann(1_400)).await?,
        Err(Rejected::SlowMode { retry_after_ms: 100 })
    );
    done(&*store, ann(1_500)).await?;
    for time in [1_000, 1_001] {
        done(&*store, at(time, message(lobby, "mod", None, "hi"))).await?;
    }
    moderate(&*store, restrict(Some(true), None)).await?.ok();
    assert_eq!(store.room_rules(lobby).await?, rules(true, 500));
    assert_eq!(put(&*store, ann(9_000)).await?, Err(Rejected::Frozen));
    done(&*store, message(lobby, "mod", None, "hi")).await?;
    moderate(&*store, restrict(Some(false), Some(0))).await?.ok();
    assert_eq!(store.room_rules(lobby).await?, RoomRules::default());
    for _ in 0..2 {
        done(&*store, ann(9_000)).await?;
    }
    Ok(())
}

pub async fn a_user_learns_what_restrains_them(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (lobby, other) = (room(&*store, "lobby").await?.id, room(&*store, "other").await?.id);
    let restrict = ModerationAct::Restrict {
        room: lobby,
        frozen: Some(true),
        slow_mode_ms: None,
    };
    moderate(&*store, restrict).await?.ok();
    let slow_down = ModerationAct::Restrict {
        room: other,
        frozen: None,
        slow_mode_ms: Some(500),
    };
    moderate(&*store, slow_down).await?.ok();
    done(&*store, at(100, message(other, "ann", None, "hi"))).await?;
    impose(&*store, sanction(None, "ann", SanctionKind::Mute, Some(1_000))).await?;
    impose(&*store, sanction(Some(lobby), "ann", SanctionKind::Mute, None)).await?;
    impose(&*store, sanction(Some(other), "ann", SanctionKind::Ban, None)).await?;
    impose(&*store, sanction(Some(other), "bob", SanctionKind::Mute, None)).await?;
    let mute = |until| Mute {
        until,
        reason: sanction(None, "ann", SanctionKind::Mute, until).reason,
    };
    let frozen = Restrictions {
        rules: RoomRules {
            frozen: true,
            slow_mode_ms: 0,
        },
        last_send: None,
        mute: Some(mute(None)),
    };
    let slow = Restrictions {
        rules: RoomRules {
            frozen: false,
            slow_mode_ms: 500,
        },
        last_send: Some(100),
        mute: Some(mute(Some(1_000))),
    };
    let rooms = [other, lobby];
    assert_eq!(
        store.restrictions(&rooms, "ann", 999).await?,
        [slow.clone(), frozen]
    );
    let slow = Restrictions { mute: None, ..slow };
    assert_eq!(store.restrictions(&[other], "ann", 1_000).await?, [slow]);
    let free = Restrictions::default();
    assert_eq!(store.restrictions(&[lobby], "eve", 999).await?[0].mute, free.mute);
    assert_eq!(store.restrictions(&[], "ann", 999).await?, []);
    Ok(())
}

pub async fn mutes_of_a_room_are_found_by_users(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let [lobby, other] = [room(&*store, "lobby").await?.id, room(&*store, "other").await?.id];
    let ann = sanction(Some(lobby), "ann", SanctionKind::Mute, Some(2_000));
    let bob = sanction(Some(lobby), "bob", SanctionKind::Mute, None);
    for sanction in [
        ann.clone(),
        bob.clone(),
        sanction(Some(lobby), "cat", SanctionKind::Mute, Some(1_000)),
        sanction(Some(lobby), "dan", SanctionKind::Ban, None),
        sanction(Some(other), "eve", SanctionKind::Mute, None),
        sanction(None, "fay", SanctionKind::Mute, None),
        sanction(Some(lobby), "gus", SanctionKind::Mute, None),
    ] {
        impose(&*store, sanction).await?;
    }
    let users = ["ann", "bob", "cat", "dan", "eve", "fay", "zoe"].map(str::to_owned);
    let mut found = store.mutes_among(lobby, &users, 1_000).await?;
    found.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    assert_eq!(found, [ann, bob]);
    assert_eq!(store.mutes_among(lobby, &[], 1_000).await?, []);
    Ok(())
}

pub async fn sanctions_are_listed_by_user_and_survive_a_restart(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let lobby = room(&*store, "lobby").await?.id;
    for (room, user, kind) in [
        (Some(lobby), "cat", SanctionKind::Ban),
        (Some(lobby), "ann", SanctionKind::Ban),
        (Some(lobby), "bob", SanctionKind::Mute),
        (None, "dan", SanctionKind::Ban),
    ] {
        impose(&*store, sanction(room, user, kind, None)).await?;
    }
    let again = Sanction {
        reason: None,
        ..sanction(Some(lobby), "ann", SanctionKind::Ban, Some(5_000))
    };
    impose(&*store, again.clone()).await?;
    let missing = sanction(Some(9_999), "ann", SanctionKind::Ban, None);
    let refused = moderate(&*store, ModerationAct::Impose(missing)).await?;
    assert_eq!(refused, Err(Rejected::NoSuchRoom));
    store.close().await;
    let store = harness.open(Options::default());
    let page = |room, kind, after: Option<&str>| SanctionPage {
        room,
        kind,
        after: after.map(Into::into),
        now: 1_000,
        limit: 10,
    };
    let bans = store
        .sanctions(page(Some(lobby), SanctionKind::Ban, None))
        .await?;
    let cat = sanction(Some(lobby), "cat", SanctionKind::Ban, None);
    assert_eq!(bans, [again, cat.clone()]);
    let rest = store
        .sanctions(page(Some(lobby), SanctionKind::Ban, Some("ann")))
        .await?;
    assert_eq!(rest, [cat]);
    let everywhere = store.sanctions(page(None, SanctionKind::Ban, None)).await?;
    assert_eq!(everywhere, [sanction(None, "dan", SanctionKind::Ban, None)]);
    assert_eq!(store.sanctions_of(Some(lobby), "dan", 1_000).await?.len(), 1);
    assert!(store.delete_room(lobby).await?);
    assert_eq!(
        store
            .sanctions(page(Some(lobby), SanctionKind::Ban, None))
            .await?,
        []
    );
    Ok(())
}

/// Whatever the interleaving, no entry of a banned user has a position after the ban's, and the ban leaves no
/// membership behind.
pub async fn nothing_of_a_banned_user_follows_the_ban(harness: &dyn Harness) -> Outcome {
    let first = harness.open(Options::default());
    let second = harness
        .open_another(Options::default())
        .unwrap_or_else(|| first.clone());
    for round in 0..5 {
        let lobby = room(&*first, &format!("lobby {round}")).await?.id;
        let senders = [first.clone(), second.clone()].map(|store| {
            tokio::spawn(async move {
                let mut last = 0;
                loop {
                    store.join(lobby, "ann", 1_000).await?;
                    let appended = store
                        .append_with_positions(vec![message(lobby, "ann", None, "hi")])
                        .await?;
                    match appended.results.first() {
                        Some(Ok(_)) => last = appended.first_position.0,
                        _ => return Ok::<_, StoreError>(last),
                    }
                }
            })
        });
        let banned = sanction(Some(lobby), "ann", SanctionKind::Ban, None);
        let ban = moderate(&*second, ModerationAct::Impose(banned)).await?;
        for sender in senders {
            let last = sender
                .await
                .map_err(|error| StoreError::Internal(error.to_string()))??;
            assert!(ban.is_ok_and(|ban| last < ban), "{last} after {ban:?}");
        }
        assert_eq!(first.member(lobby, "ann").await?, None);
    }
    Ok(())
}

/// A node may send on an entry of a user whom another node has removed: the store knows better.
pub async fn entries_of_former_members_are_refused(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?.id;
    let other = super::room(&*store, "b").await?.id;
    let as_member = |entry: NewEntry| NewEntry {
        as_member: true,
        ..entry
    };
    for room in [room, other] {
        store.join(room, "bob", 1).await?;
    }
    let first = done(&*store, as_member(message(room, "bob", Some("k"), "hi"))).await?;
    store.leave(room, "bob").await?;
    let refused = Err(Rejected::NotMember);
    let late = [
        message(room, "bob", None, "again"),
        message(room, "ann", None, "never a member"),
        change(room, "bob", EntryKind::Edit, first, "hello"),
        change(room, "bob", EntryKind::Reaction { removed: false }, first, "+"),
        change(room, "bob", EntryKind::Delete, first, ""),
    ];
    for entry in late {
        assert_eq!(put(&*store, as_member(entry)).await?, refused);
    }
    // A retry of a stored message still gets its answer. The backend writes for anybody, and other rooms and
    // members are as before, also in one batch.
    assert!(
        put(&*store, as_member(message(room, "bob", Some("k"), "hi")))
            .await?
            .is_ok()
    );
    done(&*store, message(room, "bob", None, "by the backend")).await?;
    store.join(room, "cy", 1).await?;
    let batch = [(room, "bob"), (room, "cy"), (other, "bob")];
    let batch = batch.map(|(room, user)| as_member(message(room, user, None, "mixed")));
    let results = store.append(batch.into()).await?;
    let accepted: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [false, true, true]);
    store.join(room, "bob", 2).await?;
    done(&*store, as_member(message(room, "bob", None, "back"))).await?;
    Ok(())
}
