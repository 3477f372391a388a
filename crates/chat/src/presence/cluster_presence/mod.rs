//! Presence over several nodes: what this node puts into the roster, and the task that keeps it up to date. What is
//! put there stands in `puts`; what is looked at, and what clients are told, in `looks`.
//!
//! Of each user who is here, and of each room in which somebody here shows, the roster has an entry of this node; it counts as
//! long as the node lives. What a client is told comes from looking at the entries of the others: at once when a node says that
//! one has changed, and anyway every few seconds. So nobody shows for long who is gone, whatever the bus loses. Which lists of rooms
//! have changed meanwhile is told by `lists`.

mod change_index;
mod reader;
pub(crate) mod view;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::StreamExt;
use indexmap::IndexSet;
use parking_lot::Mutex;
use roomful_bus::Entry;
use roomful_store::RoomId;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use self::change_index::{Changes, Followed, Which};
use self::view::{ClusterPresence, Shown};
use super::server::{PresenceServer, WRITES_AT_A_TIME};
use crate::{
    admin::Device, cluster::Cluster, error::ChatError, presence::tracker::WentOffline, types::UserId,
};

/// How often it is looked for lists of rooms here that have changed.
const LOOK: Duration = Duration::from_secs(2);
/// Of these looks, every so many-th is at all lists, whether or not they have changed: each minute.
const ALL_EVERY: u32 = 30;
/// Of these looks, every so many-th is at the users that clients follow, too.
const WATCH_EVERY: u32 = 2;
/// How long changes are gathered before they are put and looked at.
const GATHER: Duration = Duration::from_millis(25);
/// The wait after the roster failed.
const RETRY: Duration = Duration::from_millis(500);
/// Keys that are asked for at a time.
const KEYS: usize = 500;
/// How long a client that connects waits until it is known whether its user is elsewhere.
const DOOR: Duration = Duration::from_millis(500);
/// How long an answer waits for the roster before it tells of this node alone.
const PATIENCE: Duration = Duration::from_secs(1);

/// This node's part in presence.
pub(crate) struct Link {
    pub(super) cluster: Arc<Cluster>,
    view: Mutex<ClusterPresence>,
    /// What users whom clients here follow show as elsewhere, as far as those were told. Bounded by the subscriptions.
    followed: Mutex<HashMap<UserId, Option<Shown>>>,
    work: Mutex<Work>,
    wake: Notify,
    /// Users who have gone from this node, while it is not known whether they are elsewhere.
    went: Mutex<Vec<Went>>,
    /// What has changed of the lists that this node puts, and how far that of others was followed.
    changes: Mutex<Changes>,
    followed_lists: Mutex<Followed>,
    /// Rooms that are looked at with the next look, whether or not their lists have changed.
    again: Mutex<HashSet<RoomId>>,
}

/// Users whose grace ended at the same time, and the rooms in which nobody is online here since.
struct Went {
    gone: Vec<WentOffline<RoomId>>,
    emptied: Vec<RoomId>,
    at: i64,
}

/// What is to be done: bounded by the users and rooms that are here.
#[derive(Debug, Default)]
struct Work {
    put_users: IndexSet<UserId>,
    put_rooms: IndexSet<RoomId>,
    /// How many lists were put is to be put, too.
    put_changes: bool,
    look_at_users: IndexSet<UserId>,
    look_at_rooms: IndexSet<RoomId>,
}

/// A user on one node.
#[derive(Debug, Serialize, Deserialize)]
struct UserOnNode {
    shown: Shown,
    /// While they don't show: when others saw them last.
    hidden_since: Option<i64>,
    devices: Vec<Device>,
}

fn user_key(user: &str) -> String {
    format!("user:{user}")
}

fn room_key(room: RoomId) -> String {
    format!("room:{room}")
}

impl Link {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            cluster,
            view: Mutex::default(),
            followed: Mutex::default(),
            work: Mutex::default(),
            wake: Notify::new(),
            went: Mutex::default(),
            changes: Mutex::default(),
            followed_lists: Mutex::default(),
            again: Mutex::default(),
        }
    }

    /// Users have gone from this node.
    pub(super) fn went(&self, gone: Vec<WentOffline<RoomId>>, emptied: Vec<RoomId>, at: i64) {
        self.went.lock().push(Went { gone, emptied, at });
        self.wake.notify_one();
    }

    fn work(&self, add: impl FnOnce(&mut Work)) {
        add(&mut self.work.lock());
        self.wake.notify_one();
    }

    /// The user's entry here has changed.
    pub(crate) fn user_changed(&self, user: &UserId) {
        self.work(|work| _ = work.put_users.insert(Arc::clone(user)));
    }

    /// The lists of these rooms here have changed.
    pub(super) fn rooms_changed(&self, rooms: &[RoomId]) {
        self.work(|work| work.put_rooms.extend(rooms));
    }

    /// Another node's list of the room has changed.
    pub(crate) fn hear_room(&self, room: RoomId) {
        self.work(|work| _ = work.look_at_rooms.insert(room));
    }

    /// Another node's entry of the user has changed.
    pub(crate) fn hear_user(&self, user: &str) {
        if self.followed.lock().contains_key(user) {
            self.work(|work| _ = work.look_at_users.insert(user.into()));
        }
    }

    pub(super) fn unfollow(&self, users: &[UserId]) {
        let mut followed = self.followed.lock();
        for user in users {
            followed.remove(user);
            self.cluster.user_went(user);
        }
    }

    /// What other nodes have under these keys.
    async fn others(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, ChatError> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            found.extend(self.cluster.others(keys).await?);
        }
        Ok(found)
    }

    /// Where the users are, but for here.
    async fn there(&self, users: &[String]) -> Result<Vec<Vec<UserOnNode>>, ChatError> {
        let keys: Vec<_> = users.iter().map(|user| user_key(user)).collect();
        let found = self.others(&keys).await?;
        Ok(found.iter().map(|entries| read(entries)).collect())
    }
}

fn read<T: for<'a> Deserialize<'a>>(entries: &[Entry]) -> Vec<T> {
    let value = |entry: &Entry| {
        serde_json::from_slice(&entry.value)
            .inspect_err(|error| tracing::debug!(%error, "another node's entry can't be read"))
            .ok()
    };
    entries.iter().filter_map(value).collect()
}

/// What several nodes say of a user amounts to.
fn merged(there: &[UserOnNode]) -> Option<Shown> {
    let mut shown = there.iter().map(|there| &there.shown);
    let first = shown.next()?;
    // They differ for a moment only, while a choice is on its way to all nodes.
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
    /// Starts what keeps this node's entries and views up to date. It ends when this server is gone.
    pub(super) fn start_link(self: &Arc<Self>) {
        if let Some(link) = &self.link {
            tokio::spawn(keep_up(Arc::downgrade(self), Arc::clone(link)));
        }
    }

    /// Does what is to be done. What fails is done again.
    async fn do_work(&self, link: &Link) -> Result<(), ChatError> {
        self.see_off(link).await?;
        let work = std::mem::take(&mut *link.work.lock());
        let failed = Mutex::new(Ok(()));
        let note = |outcome: Result<(), ChatError>, again: &dyn Fn(&mut Work)| {
            if let Err(error) = outcome {
                again(&mut link.work.lock());
                *failed.lock() = Err(error);
            }
        };
        let note = &note;
        futures_util::stream::iter(&work.put_users)
            .for_each_concurrent(WRITES_AT_A_TIME, |user| async move {
                let _turn = self.choices.lock(user).await;
                let outcome = self.put(link, user).await.map(drop);
                note(outcome, &|work| _ = work.put_users.insert(Arc::clone(user)));
            })
            .await;
        futures_util::stream::iter(&work.put_rooms)
            .for_each_concurrent(WRITES_AT_A_TIME, |room| async move {
                let outcome = self.put_room(link, *room).await;
                note(outcome, &|work| _ = work.put_rooms.insert(*room));
            })
            .await;
        if work.put_changes || !work.put_rooms.is_empty() {
            // After the lists themselves: whoever reads it finds them changed.
            let outcome = self.put_changes(link, &work.put_rooms).await;
            note(outcome, &|work| work.put_changes = true);
        }
        let rooms: Vec<_> = work
            .look_at_rooms
            .into_iter()
            .filter(|room| self.rooms.has(*room))
            .collect();
        let outcome = self.look_at_rooms(link, &rooms).await;
        note(outcome, &|work| work.look_at_rooms.extend(&rooms));
        let users: Vec<_> = work.look_at_users.into_iter().collect();
        let outcome = self.look_at_users(link, &users).await;
        note(outcome, &|work| work.look_at_users.extend(users.iter().cloned()));
        failed.into_inner()
    }

    /// The rooms here whose lists have changed are to be looked at, or `all` of them; `users`: and all users that clients follow.
    async fn look_around_again(&self, link: &Link, all: bool, users: bool) {
        let mut rooms = self.rooms.ids();
        let kept: HashSet<_> = rooms.iter().copied().collect();
        link.view.lock().retain(|room| kept.contains(&room));
        if let (false, Which::These(changed)) = (all, self.changed_lists(link).await) {
            let again = std::mem::take(&mut *link.again.lock());
            let view = link.view.lock();
            rooms.retain(|room| changed.contains(room) || again.contains(room) || !view.knows(*room));
        }
        let followed: Vec<_> = if users {
            link.followed.lock().keys().cloned().collect()
        } else {
            Vec::new()
        };
        let mut work = link.work.lock();
        work.look_at_rooms.extend(rooms);
        work.look_at_users.extend(followed);
    }

    /// Takes entries of dead nodes out: of users who are nowhere else, it is told outside that they went, once.
    async fn sweep(&self, link: &Link) -> Result<(), ChatError> {
        let now = self.clock.now_ms();
        for swept in link.cluster.sweep().await? {
            let (Some(user), true) = (swept.key.strip_prefix("user:"), swept.others.is_empty()) else {
                continue;
            };
            let user = UserId::from(user);
            // Who is awaited after a start is told of then.
            if self.is_here(&user) || self.lifecycle.awaits(&user) {
                continue;
            }
            let name = read::<UserOnNode>(&[swept.entry])
                .pop()
                .and_then(|there| there.shown.name);
            self.lifecycle.user_offline(&user, name.as_deref(), now);
            if let Err(error) = self.store.see_user(&user, name.as_deref(), now).await {
                tracing::warn!(%error, "when a user was last seen can't be stored");
            }
            link.cluster.tell_presence(&user);
            // What is told the others does not come back here.
            link.hear_user(&user);
        }
        Ok(())
    }
}

async fn keep_up(owner: Weak<PresenceServer>, link: Arc<Link>) {
    let (mut next_look, mut looks) = (Instant::now() + LOOK, 0u32);
    loop {
        let due = tokio::time::timeout_at(next_look, link.wake.notified())
            .await
            .is_err();
        if !due {
            sleep(GATHER).await;
        }
        let Some(presence) = owner.upgrade() else { return };
        let mut outcome = Ok(());
        if due {
            next_look = Instant::now() + LOOK;
            looks = looks.wrapping_add(1);
            let (all, users) = (looks.is_multiple_of(ALL_EVERY), looks.is_multiple_of(WATCH_EVERY));
            presence.look_around_again(&link, all, users).await;
            outcome = presence.sweep(&link).await;
        }
        if let Err(error) = outcome.and(presence.do_work(&link).await) {
            tracing::warn!(%error, "who is online on other nodes can't be known now");
            sleep(RETRY).await;
            link.wake.notify_one();
        }
    }
}
