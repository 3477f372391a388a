//! Several nodes on one store. Engines for a single process skip these cases.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use super::{Harness, Outcome, message, room, say, sessions};
use crate::{
    Appended, LogPosition, NewSession, Options, Outage, OutboxOptions, Record, Resume, SessionKey, Store,
    StoreError,
};

const SENDERS: usize = 8;
const EACH: usize = 25;
const KEY: SessionKey = SessionKey([9; 16]);

/// Two nodes with a short heartbeat timeout.
fn both(harness: &dyn Harness) -> Option<[Arc<dyn Store>; 2]> {
    let options = || Options {
        node_timeout: Duration::from_secs(2),
        outbox: OutboxOptions::to_one_sink(),
        ..Options::default()
    };
    let first = harness.open(options());
    Some([first, harness.open_another(options())?])
}

async fn due(store: &Arc<dyn Store>) -> Result<Vec<Record>, StoreError> {
    let outbox = store
        .outbox()
        .ok_or_else(|| StoreError::Internal("no outbox".into()))?;
    outbox.due("all", 1_000_000, 100).await
}

/// Waits until this node receives the sink's records, once the lease of the other node has expired.
async fn comes_by(store: &Arc<dyn Store>) -> Result<Vec<Record>, StoreError> {
    for _ in 0..1_000 {
        let records = due(store).await?;
        if !records.is_empty() {
            return Ok(records);
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(StoreError::Internal("a lease does not end".into()))
}

pub async fn appends_of_two_nodes_leave_no_hole(harness: &dyn Harness) -> Outcome {
    let Some(nodes) = both(harness) else { return Ok(()) };
    let rooms = [room(&*nodes[0], "a").await?.id, room(&*nodes[1], "b").await?.id];
    let mut senders = JoinSet::new();
    for sender in 0..2 * SENDERS {
        let node = Arc::clone(&nodes[sender % 2]);
        senders.spawn(async move {
            let mut given = Vec::new();
            for n in 0..EACH {
                let entries =
                    rooms.map(|room| message(room, &format!("user{sender}"), None, &format!("{n}")));
                let placed = node.append_with_positions(entries.to_vec()).await?;
                for (position, (room, answer)) in placed
                    .first_position
                    .and_following()
                    .zip(rooms.iter().zip(placed.results))
                {
                    let Ok(Appended::New { seq, .. }) = answer else {
                        panic!("{answer:?}")
                    };
                    given.push((position.0, *room, seq));
                }
            }
            Ok::<_, StoreError>(given)
        });
    }
    let mut given = Vec::new();
    while let Some(sent) = senders.join_next().await {
        given.extend(sent.map_err(|error| StoreError::Internal(error.to_string()))??);
    }
    given.sort_unstable();
    let all = (2 * SENDERS * EACH * rooms.len()) as u64;
    assert!(
        given.iter().map(|(pos, ..)| *pos).eq(1..=all),
        "one order, without holes"
    );
    for room in rooms {
        let seqs = given
            .iter()
            .filter(|(_, of, _)| *of == room)
            .map(|(.., seq)| *seq);
        assert!(seqs.eq(1..=all / 2), "each room in the order of all");
    }
    for node in &nodes {
        assert_eq!(node.read_log_head().await?.position.0, all);
        assert_eq!(
            node.log_head().position.0,
            all,
            "it remembers the head it has read"
        );
        let placed = node
            .log_entries(LogPosition::ZERO, LogPosition(all), u32::MAX)
            .await?;
        assert!(
            placed
                .iter()
                .map(|placed| (placed.position.0, placed.room, placed.entry.seq))
                .eq(given.iter().copied())
        );
    }
    Ok(())
}

pub async fn a_node_reads_the_appends_of_another(harness: &dyn Harness) -> Outcome {
    let Some([one, other]) = both(harness) else {
        return Ok(());
    };
    let a = room(&*one, "a").await?.id;
    assert_eq!(room(&*other, "a").await?.id, a);
    one.append(vec![message(a, "ann", Some("k"), "1")]).await?;
    say(&*other, a, "bob", &["2", "3"]).await?;
    assert_eq!((one.other_nodes().await?, other.other_nodes().await?), (1, 1));
    assert_eq!(one.log_head().position.0, 1, "it has not read the new head yet");
    let position = one.read_log_head().await?;
    assert_eq!(
        (position.position.0, &position.epoch),
        (3, &other.log_head().epoch)
    );
    let told = one.log_entries(LogPosition(1), position.position, 10).await?;
    let told: Vec<_> = told
        .iter()
        .map(|placed| (placed.position.0, &*placed.entry.body))
        .collect();
    assert_eq!(told, [(2, "2"), (3, "3")]);
    let retry = other.append(vec![message(a, "ann", Some("k"), "1")]).await?;
    assert_eq!(
        retry,
        [Ok(Appended::Duplicate { seq: 1, at: 1_000 })],
        "a retry may come to another node"
    );
    Ok(())
}

async fn begin(store: &dyn Store) -> Outcome {
    let session = NewSession {
        key: KEY,
        owner: 1,
        sid: "sid".into(),
        user_id: "ann".into(),
        at: 10,
    };
    store.begin_session(session).await
}

async fn resumed(store: &dyn Store, lost_since: i64) -> Result<bool, StoreError> {
    let ask = Resume {
        key: KEY,
        // The same number as on the other node.
        owner: 1,
        user_id: "ann".into(),
        lost_since,
    };
    Ok(store.resume_session(ask).await?.is_some())
}

pub async fn a_session_is_taken_over_from_a_living_node(harness: &dyn Harness) -> Outcome {
    let Some([one, other]) = both(harness) else {
        return Ok(());
    };
    let a = room(&*one, "a").await?.id;
    one.join(a, "ann", 1).await?;
    begin(&*one).await?;
    assert!(one.subscribe(KEY, 1, a, 0, 1).await?);
    other.mark_all_sessions_lost().await?;
    assert!(
        resumed(&*other, i64::MAX).await?,
        "it was not lost: its node lives"
    );
    // Calls of its former owner have no effect.
    assert!(!one.subscribe(KEY, 1, a, 5, 1).await?);
    one.unsubscribe(KEY, 1, vec![a]).await?;
    one.mark_session_lost(KEY, 1, 1, 0).await?;
    one.end_session(KEY, 1).await?;
    one.close().await;
    assert!(other.subscribe(KEY, 1, a, 5, 1).await?);
    assert!(
        resumed(&*other, i64::MAX).await?,
        "nor did it end with the other node"
    );
    Ok(())
}

pub async fn a_dead_node_releases_its_leases_and_sessions(harness: &dyn Harness) -> Outcome {
    let Some([one, other]) = both(harness) else {
        return Ok(());
    };
    let a = room(&*one, "a").await?.id;
    say(&*one, a, "bob", &["1"]).await?;
    begin(&*one).await?;
    one.heartbeat(50, 0).await?;
    assert!(!due(&one).await?.is_empty());
    // Without closing, like a process that dies.
    drop(one);
    assert!(due(&other).await?.is_empty(), "nobody knows yet");
    comes_by(&other).await?;
    other.heartbeat(99, 0).await?;
    // Lost at its node's last heartbeat, to the millisecond.
    assert!(resumed(&*other, 50).await?);
    assert!(other.subscribe(KEY, 1, a, 1, 1).await?);
    Ok(())
}

pub async fn sessions_of_a_dead_node_expire(harness: &dyn Harness) -> Outcome {
    let Some([one, other]) = both(harness) else {
        return Ok(());
    };
    room(&*one, "a").await?;
    begin(&*one).await?;
    one.heartbeat(50, 0).await?;
    assert!(!due(&one).await?.is_empty());
    drop(one);
    comes_by(&other).await?;
    // A resume computes the loss, without a heartbeat of another node.
    assert!(!resumed(&*other, 51).await?);
    Ok(())
}

pub async fn a_sink_is_served_by_one_node_at_a_time(harness: &dyn Harness) -> Outcome {
    let Some([one, other]) = both(harness) else {
        return Ok(());
    };
    let a = room(&*one, "a").await?.id;
    say(&*one, a, "bob", &["1", "2"]).await?;
    let mine = due(&one).await?;
    assert_eq!(mine.len(), 3);
    say(&*other, a, "bob", &["3"]).await?;
    assert_eq!(
        due(&other).await?,
        [],
        "records go to the node that serves the sink"
    );
    assert_eq!(due(&one).await?.len(), 4);
    // A live node keeps the sink beyond one lease without asking. Only time can show that nothing happens.
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(due(&other).await?, []);
    one.close().await;
    assert_eq!(due(&other).await?.len(), 4, "at once: it has released its leases");
    assert_eq!(due(&one).await, Err(Outage::Closed.into()));
    Ok(())
}

pub async fn a_second_node_continues_a_chat(harness: &dyn Harness) -> Outcome {
    let Some([one, other]) = both(harness) else {
        return Ok(());
    };
    let a = room(&*one, "a").await?.id;
    other.join(a, "ann", 1).await?;
    say(&*one, a, "bob", &["1", "2"]).await?;
    assert_eq!(
        other.unread(a, "ann").await?.map(|unread| unread.messages),
        Some(2)
    );
    one.mark_read(a, "ann", 1, 5).await?;
    assert_eq!(
        other.member(a, "ann").await?.map(|member| member.read_seq),
        Some(1)
    );
    let missed = sessions::ask(&[(a, 0)], 0, 2);
    assert_eq!(other.missed(missed).await?.map(|missed| missed.len()), Some(2));
    Ok(())
}
