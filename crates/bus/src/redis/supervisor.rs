//! The supervisor: keeps connections to the current masters as discovery reports changes.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use roomful_supervisor::{Supervised, supervise};
use tokio::time::{sleep, timeout};

use super::{
    back_off::BackOff,
    discovery::{Discovery, Topology},
    publisher,
    shard::{Shard, ShardMap},
    shared::Shared,
    slots::SLOTS,
    subscriber,
    url::ServerAddr,
};
use crate::BusError;

/// Shortest pause between two discoveries, since many failures may ask for one at once.
const PAUSE: Duration = Duration::from_millis(50);

/// The shards with their tasks. Dropping an entry ends its tasks.
type Shards = HashMap<ServerAddr, (Arc<Shard>, [Supervised; 2])>;

/// Runs until it is aborted.
pub(crate) async fn run(shared: Arc<Shared>, mut discovery: Discovery) {
    let mut shards = Shards::new();
    let mut known = None;
    let mut back_off = BackOff::new(shared.options.retry_max);
    loop {
        match discovery.discover().await {
            Ok(topology) => {
                back_off.reset();
                if known.as_ref() != Some(&topology) {
                    apply(&shared, &mut shards, &topology);
                    known = Some(topology);
                }
                let before = shared.discovered.send_replace(Some(Ok(())));
                if matches!(before, Some(Err(_))) {
                    tracing::info!("found the master of Redis again");
                }
            }
            Err(error) => {
                let before = shared.discovered.send_replace(Some(Err(error.clone())));
                if !is_same_kind(before.as_ref(), &error) {
                    tracing::warn!(%error, "failed to find the master of Redis, retrying");
                }
                back_off.wait().await;
                continue;
            }
        }
        if discovery.is_fixed() {
            // The tasks of the shards live as long as this future.
            return std::future::pending().await;
        }
        sleep(PAUSE).await;
        let asked = timeout(shared.options.watch_interval, shared.rediscover.notified()).await;
        if asked.is_ok() {
            discovery.skip_current();
        }
    }
}

/// True if the previous discovery failed in the same way, so that the log has it already.
fn is_same_kind(before: Option<&Result<(), BusError>>, error: &BusError) -> bool {
    matches!(before, Some(Err(before)) if mem::discriminant(before) == mem::discriminant(error))
}

fn apply(shared: &Arc<Shared>, shards: &mut Shards, topology: &Topology) {
    let mut map = ShardMap::default();
    let mut index_of = |addr: &ServerAddr, map: &mut ShardMap| {
        let (shard, _) = shards
            .entry(addr.clone())
            .or_insert_with(|| start_shard(shared, addr));
        let known = map.shards.iter().position(|known| Arc::ptr_eq(known, shard));
        known.unwrap_or_else(|| {
            map.shards.push(Arc::clone(shard));
            map.shards.len() - 1
        })
    };
    match topology {
        Topology::Single(addr) => {
            index_of(addr, &mut map);
        }
        Topology::Cluster(ranges) => {
            let mut by_slot = vec![None; usize::from(SLOTS)];
            for range in ranges {
                let index = u16::try_from(index_of(&range.master, &mut map)).ok();
                for slot in range.first..=range.last {
                    if let Some(serving) = by_slot.get_mut(usize::from(slot)) {
                        *serving = index;
                    }
                }
            }
            map.by_slot = Some(by_slot);
        }
    }
    let map = Arc::new(map);
    let before = shared.shard_map.send_replace(Arc::clone(&map));
    move_channels(shared, &before, &map);
    shards.retain(|_, (shard, _)| {
        let stays = map.shards.iter().any(|serving| Arc::ptr_eq(serving, shard));
        if !stays {
            shared.metrics.dropped_down.increment(shard.queue.down());
        }
        stays
    });
}

fn start_shard(shared: &Arc<Shared>, addr: &ServerAddr) -> (Arc<Shard>, [Supervised; 2]) {
    let shard = Shard::new(addr.clone(), &shared.options);
    let parts = || (Arc::clone(shared), Arc::clone(&shard));
    let (for_subscriber, for_publisher) = (parts(), parts());
    let tasks = [
        supervise("bus subscriber", move || {
            let (shared, shard) = for_subscriber.clone();
            subscriber::run(shared, shard)
        }),
        supervise("bus publisher", move || {
            let (shared, shard) = for_publisher.clone();
            publisher::run(shared, shard)
        }),
    ];
    (shard, tasks)
}

/// Marks channels whose slot has moved as unconfirmed, and lets both shards recheck them.
fn move_channels(shared: &Shared, before: &ShardMap, after: &ShardMap) {
    let has_moved = |slot: u16| match (before.shard(slot), after.shard(slot)) {
        (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
        (None, None) => false,
        _ => true,
    };
    let moved: Vec<_> = {
        let mut subscriptions = shared.subscriptions.lock();
        subscriptions.unconfirm(has_moved);
        let moved = subscriptions.within(has_moved).into_iter();
        moved
            .filter_map(|channel| Some((subscriptions.slot(&channel)?, channel)))
            .collect()
    };
    for (slot, channel) in moved {
        for shard in [before.shard(slot), after.shard(slot)].into_iter().flatten() {
            shard.recheck([Arc::clone(&channel)]);
        }
    }
}
