//! Presence over several nodes: what this node puts into the roster, and the task that keeps it up to date. What is looked at
//! there, and what clients are told, stands in `looks`.
//!
//! Of each user who is here, and of each room in which somebody here shows, the roster has an entry of this node; it counts as
//! long as the node lives. What a client is told comes from looking at the entries of the others: at once when a node says that
//! one has changed, and anyway every few seconds. So nobody shows for long who is gone, whatever the bus loses.

mod looks;

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
    time::{Instant, sleep, timeout},
};

use super::presence::{PresenceServer, WRITES_AT_A_TIME, note_seen};
use crate::{
    admin::Device,
    cluster::{
        Cluster, Control,
        elsewhere::{Crowd, Elsewhere, Shown},
    },
    error::ChatError,
    presence_tracker::{OnlineEntry, UserId, WentOffline},
};

/// How often the lists of all rooms here are looked at.
const LOOK: Duration = Duration::from_secs(2);
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
    view: Mutex<Elsewhere>,
    /// What users whom clients here follow show as elsewhere, as far as those were told. Bounded by the subscriptions.
    followed: Mutex<HashMap<UserId, Option<Shown>>>,
    work: Mutex<Work>,
    wake: Notify,
    /// Users who have gone from this node, while it is not known whether they are elsewhere.
    went: Mutex<Vec<Went>>,
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
    look_at_users: IndexSet<UserId>,
    look_at_rooms: IndexSet<RoomId>,
}

/// A user on one node.
#[derive(Debug, Serialize, Deserialize)]
struct There {
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
    async fn there(&self, users: &[String]) -> Result<Vec<Vec<There>>, ChatError> {
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
fn merged(there: &[There]) -> Option<Shown> {
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

// ---- what this node puts

impl PresenceServer {
    /// Starts what keeps this node's entries and views up to date. It ends when this server is gone.
    pub(super) fn start_link(self: &Arc<Self>) {
        if let Some(link) = &self.link {
            tokio::spawn(keep_up(Arc::downgrade(self), Arc::clone(link)));
        }
    }

    /// Everything here is put again: the roster has forgotten it, or never had it.
    pub(crate) fn put_all(&self) {
        let Some(link) = &self.link else { return };
        let everyone = self.tracker.lock().everyone();
        let users: Vec<_> = everyone.into_iter().map(|entry| entry.user).collect();
        let rooms = {
            let tracker = self.tracker.lock();
            let rooms: HashSet<_> = users
                .iter()
                .flat_map(|user| tracker.rooms_of(user))
                .copied()
                .collect();
            rooms
        };
        link.work(|work| {
            work.put_users.extend(users);
            work.put_rooms.extend(rooms);
        });
    }

    fn there(&self, entry: &OnlineEntry) -> There {
        There {
            shown: Shown {
                name: entry.name.clone(),
                status: entry.choice.status,
                text: entry.choice.text.clone(),
            },
            hidden_since: entry.hidden_since,
            devices: self.devices(&entry.user),
        }
    }

    /// Puts the user's entry, or takes it out if they are not here. Answers on how many other nodes they are. The caller has
    /// the user's turn.
    async fn put(&self, link: &Link, user: &UserId) -> Result<usize, ChatError> {
        let entry = self.tracker.lock().entry(user);
        let others = match entry {
            Some(entry) => link.cluster.put(&user_key(user), &self.there(&entry)).await?,
            None => link.cluster.remove(&user_key(user)).await?,
        };
        link.cluster.tell_presence(user);
        Ok(others.len())
    }

    /// The user has come to this node: whether they are on another one already.
    pub(super) async fn is_elsewhere_already(&self, user: &UserId) -> bool {
        let Some(link) = &self.link else { return false };
        let asked = timeout(DOOR, async {
            let _turn = self.choices.take(user).await;
            self.put(link, user).await
        });
        if let Ok(Ok(others)) = asked.await {
            return others > 0;
        }
        link.user_changed(user);
        false
    }

    /// A user has become a member of a room. If they are on another node, too, it has to know.
    ///
    /// # Errors
    /// `unavailable`, `internal`: it is not certain that it does.
    pub(crate) async fn tell_joined(&self, user: &UserId, room: RoomId) -> Result<(), ChatError> {
        let Some(link) = &self.link else { return Ok(()) };
        let there = link.others(&[user_key(user)]).await;
        if there.is_ok_and(|there| there.iter().all(Vec::is_empty)) {
            return Ok(());
        }
        let user = user.to_string();
        link.cluster.command(&Control::Joined { room, user }).await
    }

    /// Users have gone from this node. Those who are on no other one have gone altogether. As long as the roster can't be
    /// asked, nobody is told anything.
    async fn see_off(&self, link: &Link) -> Result<(), ChatError> {
        loop {
            let Some(went) = link.went.lock().pop() else {
                return Ok(());
            };
            let Went {
                mut gone,
                emptied,
                at,
            } = went;
            let mut seen = Vec::new();
            let mut outcome = Ok(());
            while let Some(last) = gone.pop() {
                match self.see_one_off(link, &last, at).await {
                    Ok(true) => seen.push(last.last),
                    Ok(false) => {}
                    Err(error) => {
                        gone.push(last);
                        outcome = Err(error);
                        break;
                    }
                }
            }
            note_seen(Arc::clone(&self.store), seen, at).await;
            if outcome.is_err() {
                link.went.lock().push(Went { gone, emptied, at });
                return outcome;
            }
            self.emptied_here(emptied, at).await;
        }
    }

    /// Answers whether the user has gone altogether.
    async fn see_one_off(&self, link: &Link, gone: &WentOffline<RoomId>, at: i64) -> Result<bool, ChatError> {
        let user = &gone.last.user;
        let _turn = self.choices.take(user).await;
        if self.tracker.lock().entry(user).is_some() {
            // Come back meanwhile.
            return Ok(false);
        }
        let others = self.put(link, user).await?;
        // After that: whoever looks at the lists shall find the user gone.
        link.rooms_changed(&gone.rooms);
        if others == 0 {
            self.tell_gone(gone, at);
        }
        Ok(others == 0)
    }

    /// Nobody is online in these rooms here any more. It is told outside of those in which nobody is elsewhere either.
    pub(super) async fn emptied_here(&self, rooms: Vec<RoomId>, now: i64) {
        let Some(link) = &self.link else { return };
        let keys: Vec<_> = rooms.iter().map(|room| room_key(*room)).collect();
        let Ok(others) = link.others(&keys).await else {
            return;
        };
        for (room, _) in rooms.iter().zip(others).filter(|(_, others)| others.is_empty()) {
            if self.tracker.lock().count_in(*room) == 0 {
                self.happenings.room_emptied(*room, now);
            }
        }
    }

    async fn put_room(&self, link: &Link, room: RoomId) -> Result<(), ChatError> {
        let crowd = {
            let tracker = self.tracker.lock();
            let users = tracker.showing_in(room, self.listed);
            let shown = |entry: OnlineEntry| {
                let shown = Shown {
                    name: entry.name,
                    status: entry.choice.status,
                    text: entry.choice.text,
                };
                (entry.user, shown)
            };
            Crowd {
                count: tracker.count_showing(room),
                users: users.into_iter().map(shown).collect(),
            }
        };
        if crowd.count == 0 {
            link.cluster.remove(&room_key(room)).await?;
        } else {
            link.cluster.put(&room_key(room), &crowd).await?;
        }
        link.cluster.tell_crowd(room);
        Ok(())
    }
}

// ---- the task

impl PresenceServer {
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
                let _turn = self.choices.take(user).await;
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

    /// All rooms that are here are to be looked at; `users`: and all users that clients follow.
    fn look_at_all(&self, link: &Link, users: bool) {
        let rooms = self.rooms.ids();
        let kept: HashSet<_> = rooms.iter().copied().collect();
        link.view.lock().retain(|room| kept.contains(&room));
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
            if self.is_here(&user) || self.happenings.awaits(&user) {
                continue;
            }
            let name = read::<There>(&[swept.entry])
                .pop()
                .and_then(|there| there.shown.name);
            self.happenings.user_offline(&user, name.as_deref(), now);
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
            presence.look_at_all(&link, looks.is_multiple_of(WATCH_EVERY));
            outcome = presence.sweep(&link).await;
        }
        if let Err(error) = outcome.and(presence.do_work(&link).await) {
            tracing::warn!(%error, "who is online on other nodes can't be known now");
            sleep(RETRY).await;
            link.wake.notify_one();
        }
    }
}
