//! Keeps a lane to each master, as masters come and go.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    back_off::BackOff,
    ear,
    finder::{Finder, Layout},
    publisher,
    shared::{Lane, Route, Shared},
    slots::SLOTS,
    target::Place,
};
use crate::BusError;

/// How long to wait at least before asking again who is master: many may call for it at once.
const PAUSE: Duration = Duration::from_millis(50);

/// The lanes with their tasks, which end with them.
type Lanes = HashMap<Place, (Arc<Lane>, JoinSet<()>)>;

/// Conducts until it is aborted.
pub(crate) async fn conduct(shared: Arc<Shared>, mut finder: Finder) {
    let mut lanes = Lanes::new();
    let mut known = None;
    let mut back_off = BackOff::new(shared.options.retry_max);
    loop {
        match finder.find().await {
            Ok(layout) => {
                back_off.reset();
                if known.as_ref() != Some(&layout) {
                    apply(&shared, &mut lanes, &layout);
                    known = Some(layout);
                }
                shared.found.send_replace(Some(Ok(())));
            }
            Err(error) => {
                let before = shared.found.send_replace(Some(Err(error.clone())));
                if !is_known_trouble(before.as_ref(), &error) {
                    tracing::warn!(%error, "nobody says which Redis is master; asking again");
                }
                back_off.wait().await;
                continue;
            }
        }
        if finder.is_fixed() {
            // Its lanes live as long as this does.
            return std::future::pending().await;
        }
        sleep(PAUSE).await;
        let called = timeout(shared.options.watch_interval, shared.refresh.notified()).await;
        if called.is_ok() {
            finder.doubt();
        }
    }
}

/// Whether the last round ended in the same kind of trouble, which was logged then.
fn is_known_trouble(before: Option<&Result<(), BusError>>, error: &BusError) -> bool {
    matches!(before, Some(Err(before)) if mem::discriminant(before) == mem::discriminant(error))
}

fn apply(shared: &Arc<Shared>, lanes: &mut Lanes, layout: &Layout) {
    let mut route = Route::default();
    let mut lane_of = |place: &Place, route: &mut Route| {
        let (lane, _) = lanes.entry(place.clone()).or_insert_with(|| {
            let lane = Lane::new(place.clone(), &shared.options);
            let mut tasks = JoinSet::new();
            tasks.spawn(ear::hear(Arc::clone(shared), Arc::clone(&lane)));
            tasks.spawn(publisher::publish(Arc::clone(shared), Arc::clone(&lane)));
            (lane, tasks)
        });
        let known = route.lanes.iter().position(|known| Arc::ptr_eq(known, lane));
        known.unwrap_or_else(|| {
            route.lanes.push(Arc::clone(lane));
            route.lanes.len() - 1
        })
    };
    match layout {
        Layout::Whole(place) => {
            lane_of(place, &mut route);
        }
        Layout::Slots(ranges) => {
            let mut by_slot = vec![None; usize::from(SLOTS)];
            for range in ranges {
                let lane = u16::try_from(lane_of(&range.master, &mut route)).ok();
                for slot in range.first..=range.last {
                    if let Some(carrier) = by_slot.get_mut(usize::from(slot)) {
                        *carrier = lane;
                    }
                }
            }
            route.by_slot = Some(by_slot);
        }
    }
    let route = Arc::new(route);
    let before = shared.route.send_replace(Arc::clone(&route));
    move_topics(shared, &before, &route);
    lanes.retain(|_, (lane, _)| {
        let stays = route.lanes.iter().any(|carrier| Arc::ptr_eq(carrier, lane));
        if !stays {
            shared.metrics.dropped_down.increment(lane.outbox.down());
        }
        stays
    });
}

/// What another lane carries now is not heard until it is confirmed there.
fn move_topics(shared: &Shared, before: &Route, after: &Route) {
    let has_moved = |slot: u16| match (before.lane(slot), after.lane(slot)) {
        (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
        (None, None) => false,
        _ => true,
    };
    let moved: Vec<_> = {
        let mut topics = shared.topics.lock();
        topics.lost(has_moved);
        let moved = topics.within(has_moved).into_iter();
        moved
            .filter_map(|channel| Some((topics.slot(&channel)?, channel)))
            .collect()
    };
    for (slot, channel) in moved {
        for lane in [before.lane(slot), after.lane(slot)].into_iter().flatten() {
            lane.unsettle([Arc::clone(&channel)]);
        }
    }
}
