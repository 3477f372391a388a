//! Appending and reading.

use super::{Harness, Outcome, bodies, message, read, room, say, seqs};
use crate::{Appended, Entry, EntryKind, MessageState, NewEntry, Options, Page, Range, Rejected};

pub async fn numbers_are_dense_in_each_room(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (a, b) = (room(&*store, "a").await?, room(&*store, "b").await?);
    let mixed = [a.id, b.id, a.id, a.id, b.id].map(|room| message(room, "ann", None, "\"hi\""));
    let answers = store.append(mixed.to_vec()).await?;
    let expected = [1, 1, 2, 3, 2].map(|seq| Ok(Appended::New { seq, at: 1_000 }));
    assert_eq!(answers, expected);
    assert_eq!(say(&*store, a.id, "bob", &["1"]).await?, 4);
    let page = read(&*store, a.id, Range::Last { upto: u64::MAX }, 10).await?;
    assert_eq!(
        (seqs(&page), page.more, page.first, page.head),
        (vec![1, 2, 3, 4], false, 1, 4)
    );
    Ok(())
}

pub async fn a_retry_gets_the_first_answer(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    let first = message(room.id, "ann", Some("k"), "\"hi\"");
    let retry = NewEntry {
        at: 2_000,
        user_name: Some("Renamed".into()),
        ..first.clone()
    };
    let of_another = message(room.id, "bob", Some("k"), "\"hi\"");
    // Once within the same call, once in a later one.
    let answers = store
        .append(vec![first.clone(), retry.clone(), of_another])
        .await?;
    assert_eq!(answers[0], Ok(Appended::New { seq: 1, at: 1_000 }));
    assert_eq!(answers[1], Ok(Appended::Duplicate { seq: 1, at: 1_000 }));
    assert_eq!(answers[2], Ok(Appended::New { seq: 2, at: 1_000 }));
    assert_eq!(
        store.append(vec![retry]).await?,
        [Ok(Appended::Duplicate { seq: 1, at: 1_000 })]
    );
    let page = read(&*store, room.id, Range::Last { upto: 10 }, 10).await?;
    assert_eq!(seqs(&page), [1, 2]);
    let NewEntry {
        kind,
        user_id,
        user_name,
        client_id,
        body,
        at,
        ..
    } = first;
    assert_eq!(
        page.entries[0],
        Entry {
            seq: 1,
            kind,
            user_id,
            user_name,
            client_id,
            body,
            at,
            target: None,
            state: MessageState::default(),
        }
    );
    Ok(())
}

pub async fn a_client_id_stands_for_one_body(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let (a, b) = (room(&*store, "a").await?, room(&*store, "b").await?);
    say(&*store, a.id, "ann", &["0"]).await?;
    let entries = vec![
        message(a.id, "ann", Some("k"), "1"),
        message(a.id, "ann", Some("k"), "2"),
        message(b.id, "ann", Some("k"), "2"),
        message(a.id, "ann", Some("l"), "3"),
    ];
    let answers = store.append(entries).await?;
    assert_eq!(answers[1], Err(Rejected::Conflict { seq: 2 }));
    assert_eq!(answers[2], Ok(Appended::New { seq: 1, at: 1_000 }));
    assert_eq!(
        answers[3],
        Ok(Appended::New { seq: 3, at: 1_000 }),
        "a conflict takes no number"
    );
    assert_eq!(
        bodies(&read(&*store, a.id, Range::Last { upto: 9 }, 9).await?),
        ["0", "1", "3"]
    );
    Ok(())
}

pub async fn an_append_to_no_room_harms_no_other(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    let entries = vec![
        message(room.id + 1, "ann", Some("k"), "1"),
        message(room.id, "ann", Some("k"), "1"),
    ];
    let answers = store.append(entries).await?;
    assert_eq!(
        answers,
        [Err(Rejected::NoSuchRoom), Ok(Appended::New { seq: 1, at: 1_000 })]
    );
    assert_eq!(store.append(Vec::new()).await?, []);
    let page = Page {
        range: Range::Before(9),
        limit: 9,
    };
    assert_eq!(store.history(room.id + 1, page).await?, None);
    Ok(())
}

pub async fn pages_go_both_ways(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    let empty = read(&*store, room.id, Range::Last { upto: 5 }, 5).await?;
    assert_eq!(
        (seqs(&empty), empty.more, empty.first, empty.head),
        (vec![], false, 1, 0)
    );
    say(&*store, room.id, "ann", &["1", "2", "3", "4", "5", "6", "7", "8"]).await?;
    let cases = [
        (Range::Last { upto: 8 }, 3, vec![6, 7, 8], true),
        (Range::Last { upto: 5 }, 3, vec![3, 4, 5], true),
        (Range::Last { upto: 3 }, 3, vec![1, 2, 3], false),
        (Range::Last { upto: 0 }, 3, vec![], false),
        (Range::Before(3), 5, vec![1, 2], false),
        (Range::Before(7), 2, vec![5, 6], true),
        (Range::Before(1), 2, vec![], false),
        (Range::Before(0), 2, vec![], false),
        (Range::After { seq: 2, upto: 8 }, 3, vec![3, 4, 5], true),
        (Range::After { seq: 2, upto: 5 }, 3, vec![3, 4, 5], false),
        (
            Range::After { seq: 0, upto: 99 },
            99,
            vec![1, 2, 3, 4, 5, 6, 7, 8],
            false,
        ),
        (Range::After { seq: 8, upto: 99 }, 9, vec![], false),
        (Range::After { seq: 5, upto: 2 }, 9, vec![], false),
        (Range::After { seq: 5, upto: 8 }, 0, vec![], true),
    ];
    for (range, limit, expected, more) in cases {
        let page = read(&*store, room.id, range, limit).await?;
        assert_eq!(
            (seqs(&page), page.more),
            (expected, more),
            "{range:?}, {limit} at most"
        );
    }
    Ok(())
}

pub async fn a_page_ends_early_when_bodies_are_large(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options {
        page_bytes: 10,
        ..Options::default()
    });
    let room = room(&*store, "a").await?;
    say(
        &*store,
        room.id,
        "ann",
        &["12345", "12345", "123456789012345", "12345", "1"],
    )
    .await?;
    let cases = [
        (Range::Last { upto: 5 }, vec![4, 5]),
        (Range::Before(4), vec![3]),
        (Range::After { seq: 0, upto: 5 }, vec![1, 2]),
        (Range::After { seq: 2, upto: 5 }, vec![3]),
    ];
    for (range, expected) in cases {
        let page = read(&*store, room.id, range, 9).await?;
        assert_eq!((seqs(&page), page.more), (expected, true), "{range:?}");
    }
    Ok(())
}

pub async fn no_number_a_client_sends_is_too_large(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let room = room(&*store, "a").await?;
    say(&*store, room.id, "ann", &["1", "2"]).await?;
    store.join(room.id, "bob", 1).await?;
    for huge in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, (1 << 63) - 2] {
        let last = read(&*store, room.id, Range::Last { upto: huge }, u32::MAX).await?;
        let before = read(&*store, room.id, Range::Before(huge), u32::MAX).await?;
        let after = read(
            &*store,
            room.id,
            Range::After {
                seq: huge,
                upto: huge,
            },
            u32::MAX,
        )
        .await?;
        assert_eq!(
            (seqs(&last), seqs(&before), seqs(&after)),
            (vec![1, 2], vec![1, 2], vec![])
        );
        assert!(!last.more && !before.more && !after.more);
        let marked = store.mark_read(room.id, "bob", huge, 1).await?;
        assert_eq!(
            marked.map(|marked| (marked.read_seq, marked.unread.messages)),
            Some((2, 0))
        );
    }
    Ok(())
}

pub async fn any_text_comes_back_as_it_was(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let odd = [
        "",
        "\u{0}",
        "a\u{0}b",
        "'; DROP TABLE rooms; --",
        "\u{1F600}\u{200D}\u{FFFD}",
        "\"\\u0000\"",
    ];
    for (n, text) in odd.into_iter().enumerate() {
        let room = room(&*store, &format!("{text}{n}")).await?;
        assert_eq!(room.name, format!("{text}{n}"));
        store.join(room.id, text, 1).await?;
        store.touch_user(text, Some(text), 1).await?;
        let entry = NewEntry {
            room: room.id,
            kind: EntryKind::Message,
            target: None,
            user_id: text.into(),
            user_name: Some(text.into()),
            client_id: Some(text.into()),
            body: text.into(),
            mentions: Vec::new(),
            at: i64::MAX,
            replacement: None,
            charged: false,
            exempt: false,
            as_member: false,
        };
        assert!(matches!(
            store.append(vec![entry.clone()]).await?[..],
            [Ok(Appended::New { .. })]
        ));
        assert!(matches!(
            store.append(vec![entry]).await?[..],
            [Ok(Appended::Duplicate { .. })]
        ));
        let page = read(&*store, room.id, Range::Before(2), 1).await?;
        let [entry] = &page.entries[..] else {
            panic!("one entry for {text:?}, not {page:?}")
        };
        assert_eq!([&entry.user_id[..], &entry.body[..]], [text, text]);
        assert_eq!(
            [entry.user_name.as_deref(), entry.client_id.as_deref()],
            [Some(text), Some(text)]
        );
        assert_eq!(
            store
                .member(room.id, text)
                .await?
                .map(|member| member.user_id)
                .as_deref(),
            Some(text)
        );
        assert_eq!(
            store.users(&[text.to_owned()]).await?[0].name.as_deref(),
            Some(text)
        );
    }
    Ok(())
}
