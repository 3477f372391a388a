//! Notifications: stored once, numbered for each recipient, with a mark for each device.

use super::{Harness, Outcome};
use crate::{
    DeliveredMark, DeliveredUpto, NewNotification, NotificationList, NotificationPage, NotificationRetention,
    NotificationsRead, Options, Posted, ReadWhich, Store, StoreError, Undelivered,
};

fn new(id: &str, users: &[&str], at: i64) -> NewNotification {
    NewNotification {
        id: id.into(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        body: format!("{{\"of\":\"{id}\"}}"),
        at,
        from: None,
    }
}

/// Posts `n1` to `n<upto>`, each at its own number as the time.
async fn post(store: &dyn Store, user: &str, numbers: std::ops::RangeInclusive<i64>) -> Outcome {
    for n in numbers {
        let posted = store.notify(new(&format!("n{n}"), &[user], n)).await?;
        assert!(matches!(posted, Posted::New { .. }), "{posted:?}");
    }
    Ok(())
}

async fn list(store: &dyn Store, user: &str, page: NotificationPage) -> Result<NotificationList, StoreError> {
    let list = store.notifications(user, page).await?;
    list.ok_or_else(|| StoreError::Internal("no such notification".into()))
}

const fn newest(limit: u32) -> NotificationPage {
    NotificationPage {
        before: None,
        unread_only: false,
        limit,
    }
}

fn ids(list: &NotificationList) -> Vec<&str> {
    list.notifications.iter().map(|n| n.id.as_str()).collect()
}

async fn waiting(store: &dyn Store, device: &str, limit: u32) -> Result<Undelivered, StoreError> {
    store
        .undelivered("ann", device, DeliveredUpto::Stored, limit, 1 << 20)
        .await
}

fn seqs(page: &Undelivered) -> Vec<u64> {
    page.notifications.iter().map(|n| n.seq).collect()
}

async fn mark(store: &dyn Store, device: &str, seq: u64, at: i64) -> Outcome {
    let mark = DeliveredMark {
        user_id: "ann".into(),
        device: device.into(),
        seq,
    };
    store.mark_delivered(vec![mark], at).await
}

pub async fn a_post_is_numbered_with_each_user(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let places = |places: &[(&str, u64)]| Posted::New {
        places: places
            .iter()
            .map(|(user, seq)| ((*user).to_owned(), *seq))
            .collect(),
    };
    assert_eq!(
        store.notify(new("a", &["bob", "ann", "bob"], 1)).await?,
        places(&[("ann", 1), ("bob", 1)])
    );
    assert_eq!(store.notify(new("b", &["ann"], 2)).await?, places(&[("ann", 2)]));
    assert_eq!(
        store.notify(new("c", &["ann", "bob"], 3)).await?,
        places(&[("ann", 3), ("bob", 2)])
    );
    let of_bob = list(&*store, "bob", newest(10)).await?;
    assert_eq!(
        (ids(&of_bob), of_bob.unread, of_bob.more),
        (vec!["c", "a"], 2, false)
    );
    let [newest, ..] = of_bob.notifications.as_slice() else {
        panic!("bob has none")
    };
    assert_eq!(
        (newest.seq, newest.body.as_str(), newest.at, newest.read_at),
        (2, "{\"of\":\"c\"}", 3, None)
    );
    Ok(())
}

/// The outcome of a repeated post that these users still have.
fn before(at: i64, places: &[(&str, u64)]) -> Posted {
    let places = places.iter().map(|(user, seq)| ((*user).to_owned(), *seq));
    Posted::Duplicate {
        at,
        places: places.collect(),
    }
}

pub async fn a_retry_differs_from_another_post(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    store.notify(new("a", &["ann", "bob"], 1)).await?;
    // Neither the time nor the order of the users distinguishes posts.
    let again = store.notify(new("a", &["bob", "ann"], 9)).await?;
    assert_eq!(again, before(1, &[("ann", 1), ("bob", 1)]));
    let mut other = new("a", &["ann", "bob"], 1);
    other.body = "{}".into();
    assert_eq!(store.notify(other).await?, Posted::Conflict);
    assert_eq!(store.notify(new("a", &["ann"], 1)).await?, Posted::Conflict);
    assert_eq!(list(&*store, "ann", newest(10)).await?.unread, 1);
    // Many at once with one id: one of them is the post.
    let at_once = (0..20).map(|_| store.notify(new("b", &["ann"], 2)));
    let mut new_ones = 0;
    for posted in join_all(at_once).await {
        match posted? {
            Posted::New { .. } => new_ones += 1,
            other => assert_eq!(other, before(2, &[("ann", 2)])),
        }
    }
    assert_eq!(new_ones, 1);
    Ok(())
}

/// Runs futures concurrently and returns their outputs.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

pub async fn pages_go_back_from_any_notification(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    post(&*store, "ann", 1..=5).await?;
    post(&*store, "bob", 6..=6).await?;
    let first = list(&*store, "ann", newest(2)).await?;
    assert_eq!((ids(&first), first.more), (vec!["n5", "n4"], true));
    let before = |id: &str, limit, unread_only| NotificationPage {
        before: Some(id.into()),
        unread_only,
        limit,
    };
    let second = list(&*store, "ann", before("n4", 3, false)).await?;
    assert_eq!((ids(&second), second.more), (vec!["n3", "n2", "n1"], false));
    for read in ["n2", "n5"] {
        store
            .read_notifications("ann", ReadWhich::One(read.into()), 9)
            .await?;
    }
    let unread = list(&*store, "ann", before("n4", 1, true)).await?;
    assert_eq!((ids(&unread), unread.more, unread.unread), (vec!["n3"], true, 3));
    let none = list(&*store, "ann", newest(0)).await?;
    assert_eq!((ids(&none), none.more, none.unread), (vec![], true, 3));
    for foreign in ["n6", "nothing"] {
        assert_eq!(store.notifications("ann", before(foreign, 9, false)).await?, None);
    }
    Ok(())
}

pub async fn reading_counts_down_once(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    post(&*store, "ann", 1..=4).await?;
    store.notify(new("both", &["ann", "bob"], 5)).await?;
    let read = async |which, at| store.read_notifications("ann", which, at).await;
    let one = |id: &str| ReadWhich::One(id.into());
    let answer = |unread, changed| Some(NotificationsRead { unread, changed });
    assert_eq!(read(one("n2"), 10).await?, answer(4, true));
    assert_eq!(read(one("n2"), 11).await?, answer(4, false));
    assert_eq!(read(one("nothing"), 12).await?, None);
    assert_eq!(read(ReadWhich::All, 13).await?, answer(0, true));
    assert_eq!(read(ReadWhich::All, 14).await?, answer(0, false));
    let times: Vec<_> = list(&*store, "ann", newest(9))
        .await?
        .notifications
        .into_iter()
        .map(|n| n.read_at)
        .collect();
    assert_eq!(times, [13, 13, 13, 10, 13].map(Some), "the first reading counts");
    assert_eq!(
        list(&*store, "bob", newest(9)).await?.unread,
        1,
        "each reads for themselves"
    );
    assert_eq!(
        store.read_notifications("bob", one("n1"), 20).await?,
        None,
        "not bob's"
    );
    Ok(())
}

pub async fn a_device_receives_notifications_after_its_mark(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    let none = waiting(&*store, "phone", 10).await?;
    assert_eq!((seqs(&none), none.more, none.upto), (vec![], false, 0));
    post(&*store, "ann", 1..=5).await?;
    let first = waiting(&*store, "phone", 2).await?;
    assert_eq!((seqs(&first), first.more, first.upto), (vec![1, 2], true, 2));
    let next = store
        .undelivered("ann", "phone", DeliveredUpto::Seq(2), 9, 1 << 20)
        .await?;
    assert_eq!((seqs(&next), next.more, next.upto), (vec![3, 4, 5], false, 5));
    mark(&*store, "phone", 4, 1).await?;
    mark(&*store, "phone", 3, 2).await?;
    assert_eq!(
        seqs(&waiting(&*store, "phone", 9).await?),
        [5],
        "a mark never goes back"
    );
    assert_eq!(seqs(&waiting(&*store, "", 9).await?), [1, 2, 3, 4, 5]);
    mark(&*store, "phone", 5, 3).await?;
    let all = waiting(&*store, "phone", 9).await?;
    assert_eq!((seqs(&all), all.more, all.upto), (vec![], false, 5));
    Ok(())
}

pub async fn a_page_of_undelivered_ends_early(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    for id in ["a", "b", "c"] {
        let mut large = new(id, &["ann"], 1);
        large.body = "x".repeat(100);
        store.notify(large).await?;
    }
    let page = async |after, max_bytes| {
        store
            .undelivered("ann", "phone", DeliveredUpto::Seq(after), 9, max_bytes)
            .await
    };
    assert_eq!(seqs(&page(0, 250).await?), [1, 2]);
    let one = page(1, 1).await?;
    assert_eq!((seqs(&one), one.more, one.upto), (vec![2], true, 2));
    Ok(())
}

pub async fn devices_beyond_the_limit_are_forgotten(harness: &dyn Harness) -> Outcome {
    let store = harness.open(keeping(|keep| keep.devices_per_user = 2));
    post(&*store, "ann", 1..=1).await?;
    for (at, device) in (1..).zip(["a", "b", "a", "c"]) {
        mark(&*store, device, 1, at).await?;
    }
    assert!(seqs(&waiting(&*store, "a", 9).await?).is_empty());
    assert!(seqs(&waiting(&*store, "c", 9).await?).is_empty());
    assert_eq!(
        seqs(&waiting(&*store, "b", 9).await?),
        [1],
        "forgotten devices start over"
    );
    // The device just marked keeps its mark even if the clock was set back.
    mark(&*store, "d", 1, 0).await?;
    assert!(seqs(&waiting(&*store, "d", 9).await?).is_empty());
    Ok(())
}

fn keeping(change: impl FnOnce(&mut NotificationRetention)) -> Options {
    let mut options = Options::default();
    change(&mut options.notifications);
    options
}

pub async fn the_oldest_notifications_of_a_user_are_removed(harness: &dyn Harness) -> Outcome {
    let store = harness.open(keeping(|keep| keep.max_per_user = 3));
    store.notify(new("both", &["ann", "bob"], 0)).await?;
    post(&*store, "ann", 1..=4).await?;
    let kept = list(&*store, "ann", newest(9)).await?;
    assert_eq!((ids(&kept), kept.unread), (vec!["n4", "n3", "n2"], 3));
    let missed = waiting(&*store, "phone", 9).await?;
    assert_eq!((seqs(&missed), missed.upto), (vec![3, 4, 5], 5));
    // Bob still has `both`; `n1` has no recipients left, so its id is free.
    assert_eq!(ids(&list(&*store, "bob", newest(9)).await?), ["both"]);
    let again = store.notify(new("both", &["ann", "bob"], 9)).await?;
    assert_eq!(again, before(0, &[("bob", 1)]));
    assert!(matches!(
        store.notify(new("n1", &["ann"], 9)).await?,
        Posted::New { .. }
    ));
    Ok(())
}

pub async fn old_notifications_are_removed_for_all(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    for n in 1..=600 {
        store.notify(new(&format!("n{n}"), &["ann", "bob"], n)).await?;
    }
    store.notify(new("behind", &["ann"], 1)).await?;
    let limits = |max_age_ms| NotificationRetention {
        max_age_ms,
        ..NotificationRetention::default()
    };
    assert_eq!(store.trim_notifications(limits(1_000), 1_000).await?, 0);
    assert_eq!(store.trim_notifications(limits(400), 1_000).await?, 599);
    assert_eq!(
        ids(&list(&*store, "ann", newest(9)).await?),
        ["behind", "n600"],
        "an old one behind a young one stays"
    );
    assert_eq!(store.trim_notifications(limits(0), 1_000).await?, 2);
    assert_eq!(list(&*store, "bob", newest(9)).await?.unread, 0);
    let all = waiting(&*store, "phone", 9).await?;
    assert_eq!((seqs(&all), all.upto), (vec![], 601), "numbers go on");
    Ok(())
}

pub async fn notifications_survive_a_restart(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    post(&*store, "ann", 1..=3).await?;
    mark(&*store, "phone", 2, 1).await?;
    store
        .read_notifications("ann", ReadWhich::One("n1".into()), 1)
        .await?;
    store.close().await;
    let store = harness.open(Options::default());
    assert_eq!(seqs(&waiting(&*store, "phone", 9).await?), [3]);
    assert_eq!(list(&*store, "ann", newest(9)).await?.unread, 2);
    assert_eq!(
        store.notify(new("n3", &["ann"], 9)).await?,
        before(3, &[("ann", 3)])
    );
    Ok(())
}
