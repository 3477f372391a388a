//! Keeps presence in step with the other nodes: one task that writes this node's entries into the registry
//! (`writer`) and reads those of the others (`reader`), as `ClusterPresence` plans it.
//!
//! The task works at once when something changes here or when another node announces a change, and at
//! intervals anyway. So a user does not stay online for long after leaving, even if the bus loses a message.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::StreamExt;
use parking_lot::Mutex;
use roomful_bus::Entry;
use roomful_store::RoomId;
use roomful_supervisor::supervise;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{PresenceServer, WRITES_AT_A_TIME};
use crate::{
    cluster::Cluster,
    error::ChatError,
    outage_log::OutageLog,
    presence::{
        change_index::Changed,
        cluster_presence::{ClusterPresence, Departure, Work},
        device::Device,
        tracker::{Choice, WentOffline},
    },
    types::{Shown, UserId},
};

/// The interval of reading the lists of rooms that have changed.
const INTERVAL: Duration = Duration::from_secs(2);
/// The number of intervals between two reads of all lists: a minute.
const ALL_EVERY: u32 = 30;
/// The number of intervals between two reads of the entries of users whose changes only these show.
const FOLLOWED_EVERY: u32 = 2;
/// How long changes gather before they are written and read.
const GATHER: Duration = Duration::from_millis(25);
/// The pause after the registry failed.
const RETRY: Duration = Duration::from_millis(500);
/// Keys in one read of the registry.
const KEYS: usize = 500;

/// Presence on the other nodes, and the connection to them.
pub(crate) struct ClusterSync {
    pub(super) cluster: Arc<Cluster>,
    /// Lock order: the tracker first.
    pub(super) state: Mutex<ClusterPresence>,
    wake: Notify,
}

/// The registry entry of a user on one node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserOnNode {
    pub(super) shown: Shown,
    /// When others last saw the user; `None` while they show.
    pub(super) hidden_since: Option<i64>,
    pub(super) devices: Vec<Device>,
}

pub(super) fn user_key(user: &str) -> String {
    format!("user:{user}")
}

pub(super) fn room_key(room: RoomId) -> String {
    format!("room:{room}")
}

impl ClusterSync {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            cluster,
            state: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Adds to the work of the task.
    pub(super) fn plan(&self, add: impl FnOnce(&mut Work)) {
        self.state.lock().plan(add);
        self.wake.notify_one();
    }

    /// Users went offline on this node, so the `emptied` rooms have no online users here. The caller holds
    /// the tracker's lock.
    pub(super) fn went_offline(&self, gone: Vec<WentOffline<RoomId>>, emptied: Vec<RoomId>, at: i64) {
        let mut state = self.state.lock();
        for WentOffline { last, rooms } in &gone {
            state
                .known
                .depart(&last.user, last.choice.visible().cloned(), rooms);
        }
        state.push_departure(Departure { gone, emptied, at });
        drop(state);
        self.wake.notify_one();
    }

    /// This node's entry of the user has changed.
    pub(super) fn user_changed(&self, user: &UserId) {
        self.plan(|work| _ = work.put_users.insert(Arc::clone(user)));
    }

    /// This node's lists of these rooms have changed.
    pub(super) fn rooms_changed(&self, rooms: &[RoomId]) {
        self.plan(|work| work.put_rooms.extend(rooms));
    }

    /// Another node's list of the room has changed.
    pub(crate) fn other_list_changed(&self, room: RoomId) {
        self.plan(|work| _ = work.read_rooms.insert(room));
    }

    /// Another node's entry of the user has changed.
    pub(crate) fn other_user_changed(&self, user: &str) {
        let mut state = self.state.lock();
        if state.known.is_watched(user) {
            state.plan(|work| _ = work.read_users.insert(user.into()));
            drop(state);
            self.wake.notify_one();
        }
    }

    /// No client here watches these users any more.
    pub(super) fn unwatch(&self, users: &[UserId]) {
        let mut state = self.state.lock();
        for user in users {
            state.known.unwatch(user);
        }
        drop(state);
        for user in users {
            self.cluster.release_user(user);
        }
    }

    /// The entries of other nodes under these keys, in their order.
    pub(super) async fn others(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, ChatError> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            found.extend(self.cluster.others(keys).await?);
        }
        Ok(found)
    }

    /// The entries of these users on other nodes, in their order.
    pub(super) async fn users(&self, users: &[String]) -> Result<Vec<Vec<UserOnNode>>, ChatError> {
        let keys: Vec<_> = users.iter().map(|user| user_key(user)).collect();
        let found = self.others(&keys).await?;
        Ok(found.iter().map(|entries| decode(entries)).collect())
    }
}

/// The values of registry entries, without those that this version can't decode.
pub(super) fn decode<T: for<'a> Deserialize<'a>>(entries: &[Entry]) -> Vec<T> {
    let value = |entry: &Entry| {
        serde_json::from_slice(&entry.value)
            .inspect_err(|error| tracing::debug!(%error, "failed to decode a registry entry of another node"))
            .ok()
    };
    entries.iter().filter_map(value).collect()
}

/// What a user shows as to others, by the entries of several nodes; `None` if they do not show.
pub(super) fn visible(entries: &[UserOnNode]) -> Option<Choice> {
    merged(entries)?.choice().visible().cloned()
}

/// What a user shows as, by the entries of several nodes: `None` if they are online on none.
pub(super) fn merged(entries: &[UserOnNode]) -> Option<Shown> {
    let mut shown = entries.iter().map(|entry| &entry.shown);
    let first = shown.next()?;
    // The entries differ only for a moment, while a choice is on its way to all nodes.
    let visible = shown.clone().find(|shown| shown.choice().shows());
    Some(
        if first.choice().shows() {
            first
        } else {
            visible.unwrap_or(first)
        }
        .clone(),
    )
}

impl PresenceServer {
    /// Starts the task. It ends when this server is dropped.
    pub(super) fn start_sync(self: &Arc<Self>) {
        if let Some(sync) = &self.sync {
            let (owner, sync) = (Arc::downgrade(self), Arc::clone(sync));
            let mut is_restart = false;
            let run = move || {
                // A panic loses the current work.
                if let Some(presence) = owner.upgrade().filter(|_| is_restart) {
                    presence.put_all();
                }
                is_restart = true;
                run(Weak::clone(&owner), Arc::clone(&sync))
            };
            supervise("presence sync", run).detach();
        }
    }

    /// Does the planned work, and plans again the parts that fail.
    async fn do_work(&self, sync: &ClusterSync) -> Result<(), ChatError> {
        self.report_departures(sync).await?;
        let work = sync.state.lock().take_work();
        let failed = Mutex::new(Ok(()));
        let note = |outcome: Result<(), ChatError>, again: &dyn Fn(&mut Work)| {
            if let Err(error) = outcome {
                sync.state.lock().plan(again);
                *failed.lock() = Err(error);
            }
        };
        let note = &note;
        futures_util::stream::iter(&work.put_users)
            .for_each_concurrent(WRITES_AT_A_TIME, |user| async move {
                let _one_change = self.choices.lock(user).await;
                let outcome = self.put_user(sync, user).await.map(drop);
                note(outcome, &|work| _ = work.put_users.insert(Arc::clone(user)));
            })
            .await;
        futures_util::stream::iter(&work.put_rooms)
            .for_each_concurrent(WRITES_AT_A_TIME, |room| async move {
                let outcome = self.put_room(sync, *room).await;
                note(outcome, &|work| _ = work.put_rooms.insert(*room));
            })
            .await;
        if work.put_index || !work.put_rooms.is_empty() {
            // After the lists: a node that reads the index finds the lists changed.
            let outcome = self.put_index(sync, &work.put_rooms).await;
            note(outcome, &|work| work.put_index = true);
        }
        let rooms: Vec<_> = work
            .read_rooms
            .into_iter()
            .filter(|room| self.rooms.has(*room))
            .collect();
        let outcome = self.read_rooms(sync, &rooms).await;
        note(outcome, &|work| work.read_rooms.extend(&rooms));
        note(self.announce_changes(sync).await, &|_| {});
        let users: Vec<_> = work.read_users.into_iter().collect();
        let outcome = self.read_watched(sync, &users).await;
        note(outcome, &|work| work.read_users.extend(users.iter().cloned()));
        failed.into_inner()
    }

    /// Plans the reads of an interval: changed lists, or `all` of them, and the `followed` users.
    async fn plan_reads(&self, sync: &ClusterSync, all: bool, followed: bool) {
        let changed = match self.changed_lists(sync).await {
            Changed::Rooms(rooms) if !all => Some(rooms),
            Changed::Rooms(_) | Changed::All => None,
        };
        let rooms = self.rooms.ids();
        let mut state = sync.state.lock();
        state.plan_reads(rooms, changed.as_ref());
        if followed {
            state.plan_followed();
        }
    }

    /// Removes entries of dead nodes from the registry. Reports users offline who are on no other node, once.
    async fn report_expired(&self, sync: &ClusterSync) -> Result<(), ChatError> {
        if !sync.cluster.is_complete().await? {
            // Users of dead nodes may be online on nodes whose entries the registry has lost.
            return Ok(());
        }
        let now = self.clock.now_ms();
        for expired in sync.cluster.take_expired().await? {
            let (Some(user), true) = (expired.key.strip_prefix("user:"), expired.others.is_empty()) else {
                continue;
            };
            let user = UserId::from(user);
            // A user who may come back after a restart is reported when their time is over.
            if self.is_here(&user) || self.lifecycle.is_returning(&user) {
                continue;
            }
            let entry = decode::<UserOnNode>(&[expired.entry]).pop();
            let name = entry.and_then(|entry| entry.shown.name);
            self.lifecycle.user_offline(&user, name.as_deref(), now);
            if let Err(error) = self.store.touch_user(&user, None, now).await {
                tracing::warn!(%error, "failed to store when a user was last seen");
            }
            sync.cluster.publish_user_presence(&user);
            // The bus does not bring this node its own messages.
            sync.other_user_changed(&user);
        }
        Ok(())
    }
}

async fn run(owner: Weak<PresenceServer>, sync: Arc<ClusterSync>) {
    let (mut next, mut intervals) = (Instant::now() + INTERVAL, 0u32);
    let mut outage = OutageLog::default();
    loop {
        let is_due = tokio::time::timeout_at(next, sync.wake.notified()).await.is_err();
        if !is_due {
            sleep(GATHER).await;
        }
        let Some(presence) = owner.upgrade() else { return };
        let mut outcome = Ok(());
        if is_due {
            next = Instant::now() + INTERVAL;
            intervals = intervals.wrapping_add(1);
            let all = intervals.is_multiple_of(ALL_EVERY);
            let followed = intervals.is_multiple_of(FOLLOWED_EVERY);
            presence.plan_reads(&sync, all, followed).await;
            outcome = presence.report_expired(&sync).await;
        }
        match outcome.and(presence.do_work(&sync).await) {
            Ok(()) => outage.ended("synchronised presence with the other nodes again"),
            Err(error) => {
                outage.failed(
                    "failed to synchronise presence with the other nodes, retrying",
                    &error,
                );
                sleep(RETRY).await;
                sync.wake.notify_one();
            }
        }
    }
}
