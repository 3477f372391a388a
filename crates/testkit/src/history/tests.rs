//! Histories made by hand: a good one, and for each law one that breaks it, and only it.

use super::violation::Place;
use super::*;

fn name(text: &str) -> Name {
    text.into()
}

fn says(id: &str) -> Content {
    Content::message("alice", id, "text")
}

fn sent(id: &str, outcome: Outcome<Stored>) -> Event {
    Event::Sent(Sent {
        room: name("den"),
        user: name("alice"),
        client_id: name(id),
        content: says(id),
        outcome,
    })
}

fn acked(id: &str, seq: u64) -> Event {
    sent(
        id,
        Outcome::Ok(Stored {
            seq,
            duplicate: false,
        }),
    )
}

fn changed(id: &str, content: Content, seq: u64) -> Event {
    Event::Changed(Changed {
        room: name("den"),
        user: name("alice"),
        client_id: name(id),
        content,
        outcome: Outcome::Ok(Some(Stored {
            seq,
            duplicate: false,
        })),
    })
}

fn again(id: &str, seq: u64) -> Event {
    sent(id, Outcome::Ok(Stored { seq, duplicate: true }))
}

fn seen(id: &str, seq: u64) -> Seen {
    Seen {
        seq,
        content: Some(says(id)),
    }
}

fn joined(since: Option<u64>, head: u64, entries: &[Seen]) -> Joined {
    Joined {
        device: name("bob/phone"),
        room: name("den"),
        epoch: name("e1"),
        since,
        head,
        reset: false,
        more: false,
        entries: entries.to_vec(),
    }
}

fn delivered(id: &str, seq: u64) -> Event {
    Event::Delivered {
        device: name("bob/phone"),
        room: name("den"),
        seen: seen(id, seq),
    }
}

fn page(more: bool, entries: &[Seen]) -> Event {
    Event::Page(Page {
        device: name("bob/phone"),
        room: name("den"),
        more,
        entries: entries.to_vec(),
    })
}

fn ended() -> Event {
    Event::Ended {
        device: name("bob/phone"),
        room: name("den"),
    }
}

fn logged(id: &str, seq: u64) -> Logged {
    let what = What::Message {
        user: name("alice"),
        client_id: Some(name(id)),
        content: Some(says(id)),
    };
    Logged { seq, what }
}

fn log(entries: Vec<Logged>) -> Audit {
    Audit {
        room: name("den"),
        epoch: name("e1"),
        after: 0,
        entries,
    }
}

/// The log that has the ids in this order.
fn log_of(ids: &[&str]) -> Audit {
    log((1..).zip(ids).map(|(seq, id)| logged(id, seq)).collect())
}

fn mark(begun: u64, ended: u64, seq: u64) -> Event {
    Event::Marked(Mark {
        room: name("den"),
        user: name("alice"),
        kind: MarkKind::Read,
        begun,
        ended,
        seq,
    })
}

fn mark_reported(seq: u64) -> Event {
    Event::MarkReported(MarkEvent {
        device: name("bob/phone"),
        room: name("den"),
        user: name("alice"),
        kind: MarkKind::Read,
        seq,
    })
}

fn check(events: Vec<Event>, audit: &Audit) -> Vec<Violation> {
    let mut checker = Checker::default();
    checker.take(events);
    checker.audit(audit);
    checker.violations().to_vec()
}

#[test]
fn a_history_with_retries_crashes_and_catching_up_is_in_order() {
    let events = vec![
        acked("a", 1),
        Event::Joined(joined(None, 1, &[seen("a", 1)])),
        sent("b", Outcome::Unknown),
        delivered("b", 2),
        acked("c", 3),
        again("b", 2),
        ended(),
        acked("d", 4),
        sent("e", Outcome::Failed(name("unavailable"))),
        again("e", 5),
        sent("never", Outcome::Unknown),
        sent("refused", Outcome::Failed(name("forbidden"))),
        Event::Joined(Joined {
            more: true,
            ..joined(Some(2), 5, &[seen("c", 3)])
        }),
        acked("f", 6),
        delivered("f", 6),
        page(true, &[seen("d", 4)]),
        page(false, &[seen("e", 5), seen("f", 6)]),
        mark(1, 5, 2),
        mark(2, 4, 1),
        mark(6, 7, 2),
        mark_reported(1),
        mark_reported(2),
    ];
    let audit = log_of(&["a", "b", "c", "d", "e", "f"]);
    assert_eq!(check(events, &audit), []);
}

#[test]
fn an_edit_a_deletion_and_a_reaction_are_entries_like_messages() {
    let change = |seq, content| {
        let done = changed(&format!("change {seq}"), content, seq);
        let seen = Seen {
            seq,
            content: Some(content),
        };
        let news = Event::Delivered {
            device: name("bob/phone"),
            room: name("den"),
            seen,
        };
        let what = What::Change(Some(content));
        ([done, news], Logged { seq, what })
    };
    let (edit, edit_logged) = change(2, Content::edit("alice", 1, "better"));
    let (react, react_logged) = change(3, Content::reaction("bob", 1, "+1", false));
    let (delete, delete_logged) = change(4, Content::delete("alice", 1));
    let mut events = vec![
        Event::Joined(joined(None, 0, &[])),
        acked("a", 1),
        delivered("a", 1),
    ];
    events.extend([edit, react, delete].into_iter().flatten());
    let gone = What::Message {
        user: name("alice"),
        client_id: Some(name("a")),
        content: None,
    };
    let message = Logged { seq: 1, what: gone };
    let whole = log(vec![
        message.clone(),
        edit_logged.clone(),
        react_logged,
        delete_logged,
    ]);
    assert_eq!(check(events.clone(), &whole), []);

    let short = log(vec![message, edit_logged]);
    events.truncate(5);
    events.push(changed("c", Content::delete("alice", 1), 3));
    let found = check(events, &short);
    let lost = Violation::LostChange {
        room: name("den"),
        lost: 1,
    };
    assert!(found.contains(&lost), "{found:?}");
}

#[test]
fn a_first_page_may_leave_out_changes_and_no_message() {
    let edit = Content::edit("alice", 1, "better");
    let what = What::Change(Some(edit));
    let whole = log(vec![
        logged("a", 1),
        Logged { seq: 2, what },
        logged("b", 3),
        logged("c", 4),
    ]);
    let told = |more, page: &[Seen]| {
        let first = Joined {
            more,
            ..joined(None, 4, page)
        };
        let acks = [acked("a", 1), changed("e", edit, 2), acked("b", 3), acked("c", 4)];
        check(acks.into_iter().chain([Event::Joined(first)]).collect(), &whole)
    };
    let run = |expected, got| Violation::Run {
        room: name("den"),
        device: name("bob/phone"),
        expected,
        got,
    };
    assert_eq!(told(false, &[seen("a", 1), seen("b", 3), seen("c", 4)]), []);
    assert_eq!(told(true, &[seen("b", 3), seen("c", 4)]), []);
    assert_eq!(told(false, &[seen("a", 1), seen("c", 4)]), [run(3, 4)]);
    assert_eq!(
        told(true, &[seen("b", 3)]),
        [run(4, 5)],
        "it ends before the head"
    );
    assert_eq!(
        told(false, &[seen("b", 3), seen("c", 4)]),
        [run(1, 3)],
        "there is more before it"
    );
    assert_eq!(told(true, &[seen("c", 4), seen("b", 3)]), [run(5, 3), run(4, 5)]);
}

#[test]
fn a_change_that_is_made_twice_is_found() {
    let edit = Content::edit("alice", 1, "better");
    let what = What::Change(Some(edit));
    let logged = |seq| Logged {
        seq,
        what: what.clone(),
    };
    let two = Violation::TwoSeqs {
        room: name("den"),
        user: name("alice"),
        client_id: name("c"),
        first: 1,
        second: 2,
    };
    let events = vec![changed("c", edit, 1), changed("c", edit, 2)];
    assert_eq!(check(events, &log(vec![logged(1), logged(2)])), [two]);
}

#[test]
fn a_lost_ack_is_found() {
    let lost = Violation::LostAck {
        room: name("den"),
        user: name("alice"),
        client_id: name("b"),
        seq: 2,
        found: Place::Nowhere,
    };
    let beyond = Violation::Unlogged {
        room: name("den"),
        seq: 2,
        by: name("the ack of alice's b"),
        head: 1,
    };
    let found = check(vec![acked("a", 1), acked("b", 2)], &log_of(&["a"]));
    assert_eq!(found, [beyond, lost]);
}

#[test]
fn a_hole_in_the_log_is_found() {
    let hole = Violation::Hole {
        room: name("den"),
        expected: 2,
        got: 3,
    };
    let events = vec![acked("a", 1), acked("c", 3)];
    assert_eq!(check(events, &log(vec![logged("a", 1), logged("c", 3)])), [hole]);
}

#[test]
fn two_views_of_one_place_are_found() {
    let differs = |by: &str| Violation::Differs {
        room: name("den"),
        seq: 1,
        by: name(by),
    };
    let events = vec![
        Event::Joined(joined(None, 0, &[])),
        delivered("a", 1),
        acked("b", 1),
    ];
    let found = check(events, &log_of(&["b"]));
    assert_eq!(found, [differs("the ack of alice's b")]);
    // A body that is not the one that was acknowledged.
    let altered = What::Message {
        user: name("alice"),
        client_id: Some(name("a")),
        content: Some(Content::message("alice", "a", "other")),
    };
    let audit = log(vec![Logged {
        seq: 1,
        what: altered,
    }]);
    let found = check(vec![acked("a", 1)], &audit);
    assert!(found.contains(&differs("the log")), "{found:?}");
}

#[test]
fn two_places_of_one_client_id_are_found() {
    let two = Violation::TwoSeqs {
        room: name("den"),
        user: name("alice"),
        client_id: name("a"),
        first: 1,
        second: 2,
    };
    let found = check(vec![acked("a", 1), again("a", 2)], &log_of(&["a", "a"]));
    assert!(found.starts_with(std::slice::from_ref(&two)), "{found:?}");
    // No ack came, but the log has the message twice.
    let found = check(vec![sent("a", Outcome::Unknown)], &log_of(&["a", "a"]));
    assert_eq!(found, [two]);
}

#[test]
fn two_acks_as_new_are_found() {
    let twice = Violation::NewTwice {
        room: name("den"),
        user: name("alice"),
        client_id: name("a"),
        seq: 1,
    };
    assert_eq!(
        check(vec![acked("a", 1), acked("a", 1)], &log_of(&["a"])),
        [twice]
    );
}

#[test]
fn a_run_with_a_gap_or_a_repeat_is_found() {
    let run = |expected, got| Violation::Run {
        room: name("den"),
        device: name("bob/phone"),
        expected,
        got,
    };
    let audit = log_of(&["a", "b", "c"]);
    let told = |events: Vec<Event>| {
        let acks = [acked("a", 1), acked("b", 2), acked("c", 3)];
        check(acks.into_iter().chain(events).collect(), &audit)
    };
    let fresh = || Event::Joined(joined(None, 0, &[]));
    let found = told(vec![fresh(), delivered("a", 1), delivered("c", 3)]);
    assert_eq!(found, [run(2, 3)], "a live gap");
    let found = told(vec![
        fresh(),
        delivered("a", 1),
        delivered("b", 2),
        delivered("b", 2),
        delivered("c", 3),
    ]);
    assert_eq!(found, [run(3, 2)], "a repeat");
    let found = told(vec![Event::Joined(joined(Some(1), 3, &[seen("c", 3)]))]);
    assert_eq!(found, [run(2, 3)], "a page with a hole");
    let found = told(vec![Event::Joined(joined(Some(1), 3, &[seen("b", 2)]))]);
    assert_eq!(found, [run(3, 4)], "a page that ends before the head");
    let partial = Joined {
        more: true,
        ..joined(Some(0), 3, &[seen("a", 1)])
    };
    let found = told(vec![Event::Joined(partial.clone()), page(false, &[seen("c", 3)])]);
    assert_eq!(found, [run(2, 3)], "a page that does not continue the one before");
    let found = told(vec![Event::Joined(partial), page(false, &[seen("b", 2)])]);
    assert_eq!(found, [run(3, 4)], "a last page that ends before the head");
}

#[test]
fn a_delivery_without_a_subscription_is_found() {
    let uninvited = Violation::Uninvited {
        room: name("den"),
        device: name("bob/phone"),
        seq: 1,
    };
    assert_eq!(
        check(vec![acked("a", 1), delivered("a", 1)], &log_of(&["a"])),
        [uninvited]
    );
}

#[test]
fn a_device_that_is_left_behind_is_found() {
    let behind = |seen| Violation::Behind {
        room: name("den"),
        device: name("bob/phone"),
        seen,
        head: 2,
    };
    let acks = || vec![acked("a", 1), acked("b", 2)];
    let audit = log_of(&["a", "b"]);
    let mut events = acks();
    events.extend([Event::Joined(joined(None, 0, &[])), delivered("a", 1)]);
    assert_eq!(check(events, &audit), [behind(1)]);
    let mut filling = acks();
    let partial = Joined {
        more: true,
        ..joined(Some(0), 2, &[])
    };
    filling.push(Event::Joined(partial));
    assert_eq!(check(filling, &audit), [behind(0)]);
    let mut gone = acks();
    gone.extend([Event::Joined(joined(None, 0, &[])), delivered("a", 1), ended()]);
    assert_eq!(
        check(gone, &audit),
        [],
        "a device without a subscription misses nothing"
    );
}

#[test]
fn a_delivery_that_is_not_in_the_log_is_found() {
    let unlogged = Violation::Unlogged {
        room: name("den"),
        seq: 2,
        by: name("bob/phone"),
        head: 1,
    };
    let events = vec![
        acked("a", 1),
        sent("b", Outcome::Unknown),
        Event::Joined(joined(None, 1, &[seen("a", 1)])),
        delivered("b", 2),
    ];
    assert_eq!(check(events, &log_of(&["a"])), [unlogged]);
}

#[test]
fn an_entry_that_nobody_sent_is_found() {
    let invented = Violation::Invented {
        room: name("den"),
        seq: 2,
    };
    let found = check(vec![acked("a", 1)], &log_of(&["a", "b"]));
    assert_eq!(found, [invented]);
}

#[test]
fn an_entry_that_was_refused_is_found() {
    let refused = Violation::RefusedButStored {
        room: name("den"),
        user: name("alice"),
        client_id: name("a"),
        seq: 1,
    };
    let forbidden = sent("a", Outcome::Failed(name("forbidden")));
    assert_eq!(check(vec![forbidden], &log_of(&["a"])), [refused]);
}

#[test]
fn a_reset_without_a_reason_is_found() {
    let needless = Violation::NeedlessReset {
        room: name("den"),
        device: name("bob/phone"),
        since: 1,
        head: 1,
    };
    let reset = Joined {
        reset: true,
        ..joined(Some(1), 1, &[seen("a", 1)])
    };
    assert_eq!(
        check(vec![acked("a", 1), Event::Joined(reset)], &log_of(&["a"])),
        [needless]
    );
}

#[test]
fn another_epoch_is_found() {
    let changed = Violation::EpochChanged {
        room: name("den"),
        before: name("e1"),
        after: name("e2"),
    };
    let audit = Audit {
        epoch: name("e2"),
        ..log_of(&[])
    };
    assert_eq!(
        check(vec![Event::Joined(joined(None, 0, &[]))], &audit),
        [changed]
    );
}

#[test]
fn a_mark_that_goes_back_is_found() {
    let back = Violation::MarkWentBack {
        room: name("den"),
        user: name("alice"),
        kind: MarkKind::Read,
        before: 7,
        after: 5,
    };
    // The second was under way while the first ended: nothing says which came first. The third was not.
    let found = check(vec![mark(1, 4, 7), mark(2, 6, 5), mark(7, 8, 5)], &log_of(&[]));
    assert_eq!(found, [back]);
    let news = Violation::NewsWentBack {
        room: name("den"),
        device: name("bob/phone"),
        user: name("alice"),
        kind: MarkKind::Read,
        before: 7,
        after: 5,
    };
    assert_eq!(
        check(vec![mark_reported(7), mark_reported(5)], &log_of(&[])),
        [news]
    );
    let again = Event::Connected {
        device: name("bob/phone"),
        user: name("bob"),
    };
    assert_eq!(
        check(vec![mark_reported(7), again, mark_reported(5)], &log_of(&[])),
        []
    );
}

#[test]
fn a_later_part_is_held_to_the_earlier_ones() {
    let mut checker = Checker::default();
    checker.take([acked("a", 1)]);
    checker.audit(&log_of(&["a"]));
    checker.take([acked("b", 2), again("a", 1)]);
    checker.audit(&Audit {
        after: 1,
        ..log(vec![logged("b", 2)])
    });
    assert_eq!(checker.violations(), []);
    // The second read from the start lacks an entry of the first.
    checker.audit(&log_of(&["a"]));
    assert!(matches!(
        checker.violations(),
        [Violation::Unlogged { seq: 2, .. }]
    ));
}

#[test]
fn a_notification_that_comes_twice_or_never_is_found() {
    let posted = |id: &str| Event::Posted {
        id: name(id),
        users: vec![name("bob")],
    };
    let connected = |device: &str| Event::Connected {
        device: name(device),
        user: name("bob"),
    };
    let got = |device: &str, id: &str| Event::Notified {
        device: name(device),
        id: name(id),
    };
    let mut checker = Checker::default();
    checker.take([
        connected("phone"),
        posted("1"),
        got("phone", "1"),
        connected("phone"),
        got("phone", "1"),
    ]);
    checker.settle_notifications();
    assert_eq!(checker.violations(), [], "the connection broke in between");
    checker.take([
        got("phone", "1"),
        connected("tablet"),
        posted("2"),
        got("phone", "2"),
        got("tablet", "2"),
    ]);
    checker.settle_notifications();
    let twice = Violation::NotifiedTwice {
        device: name("phone"),
        id: name("1"),
    };
    let never = Violation::NeverNotified {
        device: name("tablet"),
        id: name("1"),
    };
    assert_eq!(checker.violations(), [twice, never]);
}
