//! Contract cases for `Membership`: leases, entries and locks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Harness, Outcome, until};
use crate::{Bus, BusError, Entry, Heartbeat};

/// A lease that outlasts any case.
const LONG: Duration = Duration::from_mins(10);
/// A lease short enough to wait for its end, and long enough for a few calls.
const SHORT: Duration = Duration::from_millis(300);

const NOTHING: Bytes = Bytes::new();

fn entry(member: &str, value: &str) -> Entry {
    Entry {
        member: member.to_owned(),
        value: Bytes::from(value.to_owned()),
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

async fn start(bus: &Arc<dyn Bus>, member: &str, ttl: Duration) -> Outcome {
    assert_eq!(
        bus.heartbeat(member, NOTHING, ttl).await?,
        Heartbeat::Started,
        "{member}"
    );
    Ok(())
}

/// Waits until the member has expired.
async fn expiry(bus: &Arc<dyn Bus>, member: &str) -> Outcome {
    until("the lease to expire", async || {
        Ok(bus.members().await?.iter().all(|live| live.member != member))
    })
    .await
}

async fn entries_of(bus: &Arc<dyn Bus>, key: &str) -> Result<Vec<Entry>, BusError> {
    let mut entries = bus.entries(&[key.to_owned()]).await?.pop().unwrap_or_default();
    entries.sort_by(|a, b| a.member.cmp(&b.member));
    Ok(entries)
}

pub async fn a_lease_starts_is_renewed_and_expires(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    start(&a, "a", SHORT).await?;
    start(&b, "b", LONG).await?;
    assert_eq!(b.members().await?.len(), 2);
    // Renews the lease for much longer than one period.
    let started = tokio::time::Instant::now();
    until("three lease periods", async || {
        assert_eq!(a.heartbeat("a", NOTHING, SHORT).await?, Heartbeat::Renewed);
        Ok(started.elapsed() > SHORT * 3)
    })
    .await?;
    expiry(&b, "a").await?;
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await?, Heartbeat::Expired);
    assert_eq!(b.heartbeat("b", NOTHING, LONG).await?, Heartbeat::Renewed);
    Ok(())
}

pub async fn an_expired_id_never_starts_again(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    start(&a, "a", SHORT).await?;
    a.put("a", "key", bytes("value")).await?;
    expiry(&b, "a").await?;
    // With any client, before and after its entries are taken, and when nothing of it is left.
    for _ in 0..3 {
        assert_eq!(b.heartbeat("a", NOTHING, LONG).await?, Heartbeat::Expired);
        assert_eq!(a.heartbeat("a", NOTHING, LONG).await?, Heartbeat::Expired);
        assert_eq!(b.members().await?, []);
        b.take_expired(10).await?;
    }
    start(&a, "next incarnation of a", LONG).await
}

pub async fn leaving_ends_the_lease(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    start(&a, "a", LONG).await?;
    a.put("a", "key", bytes("value")).await?;
    a.leave("a", Duration::ZERO).await?;
    assert_eq!(b.members().await?, []);
    assert_eq!(entries_of(&b, "key").await?, []);
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await?, Heartbeat::Expired);
    a.leave("a", Duration::ZERO).await?;
    a.leave("nobody", Duration::ZERO).await?;
    start(&a, "nobody", LONG).await?;
    let expired = b.take_expired(10).await?;
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].entry, entry("a", "value"));
    Ok(())
}

pub async fn entries_of_a_member_that_left_linger(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    start(&a, "a", LONG).await?;
    start(&a, "c", LONG).await?;
    start(&b, "b", LONG).await?;
    for member in ["a", "c"] {
        a.put(member, "key", bytes("value")).await?;
    }
    assert!(a.acquire_lock("a", "lock", LONG).await?);
    a.leave("a", LONG).await?;
    a.leave("c", SHORT).await?;
    let members = b.members().await?;
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await?, Heartbeat::Expired);
    assert_eq!(a.put("a", "key", NOTHING).await, Err(BusError::Expired));
    assert_eq!(a.remove("a", "key").await, Err(BusError::Expired));
    assert_eq!(
        a.acquire_lock("a", "other lock", LONG).await,
        Err(BusError::Expired)
    );
    assert!(b.acquire_lock("b", "lock", LONG).await?, "its locks are free");
    until("one of the two to expire", async || {
        Ok(entries_of(&b, "key").await? == [entry("a", "value")])
    })
    .await?;
    let expired = b.take_expired(10).await?;
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].entry, entry("c", "value"));
    assert_eq!(expired[0].others, [entry("a", "value")]);
    // Leaving again does not shorten or extend the time.
    a.leave("a", Duration::ZERO).await?;
    assert_eq!(entries_of(&b, "key").await?, [entry("a", "value")]);
    Ok(())
}

pub async fn members_shows_the_latest_info(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    assert_eq!(b.members().await?, []);
    a.heartbeat("a", bytes("one"), LONG).await?;
    b.heartbeat("b", bytes("two"), LONG).await?;
    a.heartbeat("a", bytes("three"), LONG).await?;
    let mut members = b.members().await?;
    members.sort_by(|a, b| a.member.cmp(&b.member));
    assert_eq!(members, [entry("a", "three"), entry("b", "two")]);
    Ok(())
}

pub async fn writes_return_the_entries_of_others(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    start(&a, "a", LONG).await?;
    start(&b, "b", LONG).await?;
    assert_eq!(a.put("a", "key", bytes("1")).await?, []);
    assert_eq!(b.put("b", "other key", bytes("2")).await?, []);
    assert_eq!(b.put("b", "key", bytes("3")).await?, [entry("a", "1")]);
    assert_eq!(a.put("a", "key", bytes("4")).await?, [entry("b", "3")]);
    assert_eq!(b.remove("b", "key").await?, [entry("a", "4")]);
    assert_eq!(a.remove("a", "key").await?, []);
    assert_eq!(a.remove("a", "key").await?, []);
    assert_eq!(entries_of(&a, "key").await?, []);
    assert_eq!(entries_of(&a, "other key").await?, [entry("b", "2")]);
    Ok(())
}

pub async fn entries_come_in_the_order_of_the_keys(harness: &impl Harness) -> Outcome {
    let bus = harness.connect().await?;
    start(&bus, "a", LONG).await?;
    start(&bus, "b", LONG).await?;
    for number in 0..500 {
        let member = if number % 2 == 0 { "a" } else { "b" };
        bus.put(member, &number.to_string(), bytes(&number.to_string()))
            .await?;
    }
    // Many keys at once, one of them twice, half of them without entries.
    let keys: Vec<_> = (0..1000)
        .rev()
        .chain([7])
        .map(|number| number.to_string())
        .collect();
    let answer = bus.entries(&keys).await?;
    assert_eq!(answer.len(), keys.len());
    for (key, entries) in keys.iter().zip(answer) {
        let values: Vec<_> = entries.iter().map(|entry| entry.value.clone()).collect();
        let known = key.parse::<u32>().is_ok_and(|number| number < 500);
        assert_eq!(values, if known { vec![bytes(key)] } else { vec![] }, "{key}");
    }
    assert_eq!(bus.entries(&[]).await?, Vec::<Vec<Entry>>::new());
    Ok(())
}

pub async fn entries_of_expired_members_are_hidden(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    start(&a, "a", SHORT).await?;
    start(&b, "b", LONG).await?;
    start(&b, "c", LONG).await?;
    a.put("a", "key", bytes("1")).await?;
    b.put("b", "key", bytes("2")).await?;
    assert_eq!(b.entries(&["key".to_owned()]).await?.concat().len(), 2);
    expiry(&b, "a").await?;
    // The expired entry is still there, but hidden.
    assert_eq!(entries_of(&b, "key").await?, [entry("b", "2")]);
    assert_eq!(b.put("b", "key", bytes("3")).await?, []);
    assert_eq!(b.put("c", "key", bytes("4")).await?, [entry("b", "3")]);
    Ok(())
}

pub async fn an_expired_entry_is_taken_once(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    start(&a, "a", LONG).await?;
    start(&a, "c", LONG).await?;
    start(&b, "b", LONG).await?;
    for number in 0..50 {
        a.put("a", &number.to_string(), bytes("of a")).await?;
        a.put("c", &number.to_string(), bytes("of c")).await?;
    }
    b.put("b", "7", bytes("of b")).await?;
    assert_eq!(b.take_expired(100).await?, [], "all members are alive");
    a.leave("a", Duration::ZERO).await?;
    a.leave("c", Duration::ZERO).await?;
    let mut times_taken = BTreeMap::new();
    until("all expired entries", async || {
        let (one, two, three) = tokio::join!(a.take_expired(7), b.take_expired(30), b.take_expired(7));
        for found in [one?, two?, three?].into_iter().flatten() {
            let others = if found.key == "7" {
                vec![entry("b", "of b")]
            } else {
                vec![]
            };
            assert_eq!(found.others, others);
            let value = format!("of {}", found.entry.member);
            assert_eq!(found.entry.value, value);
            let times = times_taken.entry((found.key, found.entry.member)).or_insert(0);
            *times += 1;
            assert_eq!(*times, 1);
        }
        Ok(times_taken.len() == 100)
    })
    .await?;
    assert_eq!(a.take_expired(100).await?, []);
    assert_eq!(entries_of(&b, "7").await?, [entry("b", "of b")]);
    Ok(())
}

pub async fn take_expired_keeps_its_limit(harness: &impl Harness) -> Outcome {
    let bus = harness.connect().await?;
    start(&bus, "a", LONG).await?;
    for number in 0..1200 {
        bus.put("a", &number.to_string(), NOTHING).await?;
    }
    bus.leave("a", Duration::ZERO).await?;
    assert_eq!(bus.take_expired(0).await?, []);
    assert_eq!(bus.take_expired(3).await?.len(), 3);
    assert_eq!(bus.take_expired(1100).await?.len(), 1100);
    assert_eq!(bus.take_expired(1100).await?.len(), 97);
    assert_eq!(bus.take_expired(1100).await?, []);
    Ok(())
}

pub async fn an_expired_member_cannot_write(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let expired = Err(BusError::Expired);
    assert_eq!(
        a.put("a", "key", bytes("0")).await,
        expired,
        "no lease has started"
    );
    start(&a, "a", SHORT).await?;
    start(&b, "b", LONG).await?;
    a.put("a", "key", bytes("1")).await?;
    expiry(&a, "a").await?;
    for _ in 0..2 {
        assert_eq!(a.put("a", "key", bytes("2")).await, expired);
        assert_eq!(a.put("a", "new key", bytes("2")).await, expired);
        assert_eq!(a.remove("a", "key").await, expired);
        assert_eq!(a.acquire_lock("a", "cleaner", LONG).await, Err(BusError::Expired));
        let taken = b.take_expired(10).await?;
        let taken: Vec<_> = taken.into_iter().map(|taken| (taken.key, taken.entry)).collect();
        if !taken.is_empty() {
            assert_eq!(taken, [("key".to_owned(), entry("a", "1"))]);
        }
    }
    assert!(b.acquire_lock("b", "cleaner", LONG).await?);
    Ok(())
}

pub async fn one_member_owns_a_lock(harness: &impl Harness) -> Outcome {
    let mut clients = Vec::new();
    for number in 0..5 {
        let bus = harness.connect().await?;
        let member = number.to_string();
        start(&bus, &member, LONG).await?;
        clients.push((bus, member));
    }
    let tasks = clients.iter().cloned().map(|(bus, member)| {
        tokio::spawn(
            async move { Ok::<_, BusError>((bus.acquire_lock(&member, "one", LONG).await?, member)) },
        )
    });
    let mut owners = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        let task = task.await.map_err(|error| BusError::Config(error.to_string()))?;
        let (acquired, member) = task?;
        if acquired {
            owners.push(member);
        }
    }
    assert_eq!(owners.len(), 1, "{owners:?}");
    for (bus, member) in &clients {
        let is_owner = owners.contains(member);
        assert_eq!(bus.acquire_lock(member, "one", LONG).await?, is_owner);
    }
    let (bus, member) = &clients[0];
    assert!(bus.acquire_lock(member, "another", LONG).await?);
    Ok(())
}

pub async fn a_lock_is_free_when_its_owner_leaves_or_its_time_ends(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    start(&a, "a", LONG).await?;
    start(&b, "b", LONG).await?;
    assert!(a.acquire_lock("a", "long", LONG).await?);
    let acquired_at = tokio::time::Instant::now();
    assert!(a.acquire_lock("a", "timed", SHORT).await?);
    // On a busy machine the lock may have expired already.
    assert!(!b.acquire_lock("b", "timed", LONG).await? || acquired_at.elapsed() > SHORT);
    until("the lock to expire", async || {
        b.acquire_lock("b", "timed", LONG).await
    })
    .await?;
    assert!(!a.acquire_lock("a", "timed", LONG).await?);
    assert!(!b.acquire_lock("b", "long", LONG).await?);
    a.leave("a", Duration::ZERO).await?;
    assert!(b.acquire_lock("b", "long", LONG).await?);
    Ok(())
}

pub async fn any_bytes_are_valid_in_keys_and_values(harness: &impl Harness) -> Outcome {
    let bus = harness.connect().await?;
    let names = ["", " ", ".token", "e", "{a}", "\r\n", "ü€𝄞", "\0", "a:b"];
    let value = Bytes::from((0..=255).collect::<Vec<u8>>());
    for member in names {
        assert_eq!(
            bus.heartbeat(member, value.clone(), LONG).await?,
            Heartbeat::Started,
            "{member:?}"
        );
        for key in names {
            bus.put(member, key, value.clone()).await?;
        }
    }
    assert!(bus.members().await?.iter().all(|member| member.value == value));
    let keys = names.map(str::to_owned);
    for entries in bus.entries(&keys).await? {
        assert_eq!(entries.len(), names.len());
        assert!(entries.iter().all(|entry| entry.value == value));
    }
    for member in names {
        bus.leave(member, Duration::ZERO).await?;
    }
    let expired = bus.take_expired(1000).await?;
    assert_eq!(expired.len(), names.len() * names.len());
    assert!(expired.iter().all(|expired| expired.entry.value == value));
    Ok(())
}
