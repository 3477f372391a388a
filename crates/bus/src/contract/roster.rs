//! Who is alive, and what only they can say.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Harness, Outcome, until};
use crate::{Beat, Bus, BusError, Entry};

/// Longer than any case takes.
const LONG: Duration = Duration::from_mins(10);
/// So short that a case may wait for its end, and long enough for a few calls.
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

async fn begin(bus: &Arc<dyn Bus>, member: &str, ttl: Duration) -> Outcome {
    assert_eq!(bus.beat(member, NOTHING, ttl).await?, Beat::Began, "{member}");
    Ok(())
}

/// Waits until the member is not among the living.
async fn death(bus: &Arc<dyn Bus>, member: &str) -> Outcome {
    until("the end of a lease", async || {
        Ok(bus.members().await?.iter().all(|living| living.member != member))
    })
    .await
}

async fn entries_of(bus: &Arc<dyn Bus>, key: &str) -> Result<Vec<Entry>, BusError> {
    let mut entries = bus.entries(&[key.to_owned()]).await?.pop().unwrap_or_default();
    entries.sort_by(|a, b| a.member.cmp(&b.member));
    Ok(entries)
}

pub async fn a_lease_begins_is_renewed_and_lapses(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    begin(&a, "a", SHORT).await?;
    begin(&b, "b", LONG).await?;
    assert_eq!(b.members().await?.len(), 2);
    // Renewed for much longer than it lasts without.
    let began = tokio::time::Instant::now();
    until("a while", async || {
        assert_eq!(a.beat("a", NOTHING, SHORT).await?, Beat::Renewed);
        Ok(began.elapsed() > SHORT * 3)
    })
    .await?;
    death(&b, "a").await?;
    assert_eq!(a.beat("a", NOTHING, LONG).await?, Beat::Lapsed);
    assert_eq!(b.beat("b", NOTHING, LONG).await?, Beat::Renewed);
    Ok(())
}

pub async fn a_lapsed_id_never_comes_back(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    begin(&a, "a", SHORT).await?;
    a.put("a", "key", bytes("value")).await?;
    death(&b, "a").await?;
    // From any end, before and after its entries are swept, and with nothing left of it.
    for _ in 0..3 {
        assert_eq!(b.beat("a", NOTHING, LONG).await?, Beat::Lapsed);
        assert_eq!(a.beat("a", NOTHING, LONG).await?, Beat::Lapsed);
        assert_eq!(b.members().await?, []);
        b.sweep(10).await?;
    }
    begin(&a, "another start of a", LONG).await
}

pub async fn a_lease_ends_when_its_member_resigns(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    begin(&a, "a", LONG).await?;
    a.put("a", "key", bytes("value")).await?;
    a.resign("a").await?;
    assert_eq!(b.members().await?, []);
    assert_eq!(entries_of(&b, "key").await?, []);
    assert_eq!(a.beat("a", NOTHING, LONG).await?, Beat::Lapsed);
    a.resign("a").await?;
    a.resign("nobody").await?;
    begin(&a, "nobody", LONG).await?;
    let swept = b.sweep(10).await?;
    assert_eq!(swept.len(), 1);
    assert_eq!(swept[0].entry, entry("a", "value"));
    Ok(())
}

pub async fn members_are_seen_with_their_latest_info(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    assert_eq!(b.members().await?, []);
    a.beat("a", bytes("one"), LONG).await?;
    b.beat("b", bytes("two"), LONG).await?;
    a.beat("a", bytes("three"), LONG).await?;
    let mut members = b.members().await?;
    members.sort_by(|a, b| a.member.cmp(&b.member));
    assert_eq!(members, [entry("a", "three"), entry("b", "two")]);
    Ok(())
}

pub async fn writes_answer_with_what_others_have(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    begin(&a, "a", LONG).await?;
    begin(&b, "b", LONG).await?;
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

pub async fn entries_are_answered_in_the_order_of_their_keys(harness: &impl Harness) -> Outcome {
    let bus = harness.connect().await?;
    begin(&bus, "a", LONG).await?;
    begin(&bus, "b", LONG).await?;
    for number in 0..500 {
        let member = if number % 2 == 0 { "a" } else { "b" };
        bus.put(member, &number.to_string(), bytes(&number.to_string()))
            .await?;
    }
    // Many at once, some twice, some that nobody has.
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

pub async fn entries_of_the_dead_do_not_count(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    begin(&a, "a", SHORT).await?;
    begin(&b, "b", LONG).await?;
    begin(&b, "c", LONG).await?;
    a.put("a", "key", bytes("1")).await?;
    b.put("b", "key", bytes("2")).await?;
    assert_eq!(b.entries(&["key".to_owned()]).await?.concat().len(), 2);
    death(&b, "a").await?;
    // Not swept yet.
    assert_eq!(entries_of(&b, "key").await?, [entry("b", "2")]);
    assert_eq!(b.put("b", "key", bytes("3")).await?, []);
    assert_eq!(b.put("c", "key", bytes("4")).await?, [entry("b", "3")]);
    Ok(())
}

pub async fn the_dead_are_swept_once(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    begin(&a, "a", LONG).await?;
    begin(&a, "c", LONG).await?;
    begin(&b, "b", LONG).await?;
    for number in 0..50 {
        a.put("a", &number.to_string(), bytes("of a")).await?;
        a.put("c", &number.to_string(), bytes("of c")).await?;
    }
    b.put("b", "7", bytes("of b")).await?;
    assert_eq!(b.sweep(100).await?, [], "nobody is dead");
    a.resign("a").await?;
    a.resign("c").await?;
    let mut swept = BTreeMap::new();
    until("all of the dead", async || {
        let (one, two, three) = tokio::join!(a.sweep(7), b.sweep(30), b.sweep(7));
        for found in [one?, two?, three?].into_iter().flatten() {
            let others = if found.key == "7" {
                vec![entry("b", "of b")]
            } else {
                vec![]
            };
            assert_eq!(found.others, others);
            let value = format!("of {}", found.entry.member);
            assert_eq!(found.entry.value, value);
            let times = swept.entry((found.key, found.entry.member)).or_insert(0);
            *times += 1;
            assert_eq!(*times, 1);
        }
        Ok(swept.len() == 100)
    })
    .await?;
    assert_eq!(a.sweep(100).await?, []);
    assert_eq!(entries_of(&b, "7").await?, [entry("b", "of b")]);
    Ok(())
}

pub async fn a_sweep_takes_so_many_at_most(harness: &impl Harness) -> Outcome {
    let bus = harness.connect().await?;
    begin(&bus, "a", LONG).await?;
    for number in 0..1200 {
        bus.put("a", &number.to_string(), NOTHING).await?;
    }
    bus.resign("a").await?;
    assert_eq!(bus.sweep(0).await?, []);
    assert_eq!(bus.sweep(3).await?.len(), 3);
    assert_eq!(bus.sweep(1100).await?.len(), 1100);
    assert_eq!(bus.sweep(1100).await?.len(), 97);
    assert_eq!(bus.sweep(1100).await?, []);
    Ok(())
}

pub async fn a_lapsed_member_writes_nothing(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    let lapsed = Err(BusError::Lapsed);
    assert_eq!(a.put("a", "key", bytes("0")).await, lapsed, "it has not begun");
    begin(&a, "a", SHORT).await?;
    begin(&b, "b", LONG).await?;
    a.put("a", "key", bytes("1")).await?;
    death(&a, "a").await?;
    for _ in 0..2 {
        assert_eq!(a.put("a", "key", bytes("2")).await, lapsed);
        assert_eq!(a.put("a", "new key", bytes("2")).await, lapsed);
        assert_eq!(a.remove("a", "key").await, lapsed);
        assert_eq!(a.hold("a", "sweeper", LONG).await, Err(BusError::Lapsed));
        let swept = b.sweep(10).await?;
        let swept: Vec<_> = swept.into_iter().map(|swept| (swept.key, swept.entry)).collect();
        if !swept.is_empty() {
            assert_eq!(swept, [("key".to_owned(), entry("a", "1"))]);
        }
    }
    assert!(b.hold("b", "sweeper", LONG).await?);
    Ok(())
}

pub async fn one_member_has_a_hold(harness: &impl Harness) -> Outcome {
    let mut ends = Vec::new();
    for number in 0..5 {
        let bus = harness.connect().await?;
        let member = number.to_string();
        begin(&bus, &member, LONG).await?;
        ends.push((bus, member));
    }
    let tasks = ends.iter().cloned().map(|(bus, member)| {
        tokio::spawn(async move { Ok::<_, BusError>((bus.hold(&member, "one", LONG).await?, member)) })
    });
    let mut holders = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        let task = task.await.map_err(|error| BusError::Setup(error.to_string()))?;
        let (has_it, member) = task?;
        if has_it {
            holders.push(member);
        }
    }
    assert_eq!(holders.len(), 1, "{holders:?}");
    for (bus, member) in &ends {
        let is_holder = holders.contains(member);
        assert_eq!(bus.hold(member, "one", LONG).await?, is_holder);
    }
    let (bus, member) = &ends[0];
    assert!(bus.hold(member, "another", LONG).await?);
    Ok(())
}

pub async fn a_hold_is_free_when_its_holder_or_its_time_ends(harness: &impl Harness) -> Outcome {
    let (a, b) = (harness.connect().await?, harness.connect().await?);
    begin(&a, "a", LONG).await?;
    begin(&b, "b", LONG).await?;
    assert!(a.hold("a", "long", LONG).await?);
    let began = tokio::time::Instant::now();
    assert!(a.hold("a", "timed", SHORT).await?);
    // A machine that is busy may have let its time pass.
    assert!(!b.hold("b", "timed", LONG).await? || began.elapsed() > SHORT);
    until("the end of a hold", async || b.hold("b", "timed", LONG).await).await?;
    assert!(!a.hold("a", "timed", LONG).await?);
    assert!(!b.hold("b", "long", LONG).await?);
    a.resign("a").await?;
    assert!(b.hold("b", "long", LONG).await?);
    Ok(())
}

pub async fn any_key_and_any_value_come_back_as_they_were(harness: &impl Harness) -> Outcome {
    let bus = harness.connect().await?;
    let names = ["", " ", ".token", "e", "{a}", "\r\n", "ü€𝄞", "\0", "a:b"];
    let value = Bytes::from((0..=255).collect::<Vec<u8>>());
    for member in names {
        assert_eq!(
            bus.beat(member, value.clone(), LONG).await?,
            Beat::Began,
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
        bus.resign(member).await?;
    }
    let swept = bus.sweep(1000).await?;
    assert_eq!(swept.len(), names.len() * names.len());
    assert!(swept.iter().all(|swept| swept.entry.value == value));
    Ok(())
}
