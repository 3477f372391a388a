//! Reading the registry entries of other nodes, and announcing their changes to clients.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use roomful_socket::Socket;
use roomful_store::RoomId;
use tokio::time::timeout;

use super::{
    PresenceServer,
    cluster_sync::{ClusterSync, decode, merged, room_key},
};
use crate::{
    error::ChatError,
    events::presence::{OFFLINE, ONLINE, Offline, Online, STATUS, ShowsAs},
    presence::{
        change_index::{self, ChangeIndex, Changed},
        cluster_presence::{Before, Change},
        device::Device,
        recipients::knows,
        tracker::{Choice, OnlineEntry},
    },
    types::{Shown, UserId},
};

/// How long an answer waits for the registry before it tells of this node alone.
const PATIENCE: Duration = Duration::from_secs(1);

impl PresenceServer {
    // ---- for answers

    /// Reads the other nodes' lists of these rooms, unless they are known. Gives up after a moment: the
    /// caller's answer then tells of this node alone.
    pub(crate) async fn ensure_rooms_read(&self, rooms: &[RoomId]) {
        let Some(sync) = &self.sync else { return };
        let rooms: Vec<_> = {
            let state = sync.state.lock();
            rooms.iter().copied().filter(|room| !state.knows(*room)).collect()
        };
        if !rooms.is_empty() {
            let read = timeout(PATIENCE, self.read_rooms(sync, &rooms)).await;
            if !matches!(read, Ok(Ok(()))) {
                sync.plan(|work| work.read_rooms.extend(rooms));
            }
        }
    }

    /// Up to `most` of the users who show in a room on other nodes and not here, and how many more there are.
    pub(super) fn on_other_nodes(&self, room: RoomId, most: usize) -> (Vec<OnlineEntry>, usize) {
        let Some(sync) = &self.sync else {
            return (Vec::new(), 0);
        };
        let (tracker, state) = (self.tracker.lock(), sync.state.lock());
        let (users, more) = state.in_room(room);
        let mut others = users.filter(|(user, _)| !tracker.is_in(user, room));
        let listed: Vec<_> = others
            .by_ref()
            .take(most)
            .map(|(user, shown)| OnlineEntry {
                user: Arc::clone(user),
                name: shown.name.clone(),
                gone_at: None,
                choice: shown.choice(),
                hidden_since: None,
            })
            .collect();
        let more = more + others.count();
        (listed, more)
    }

    /// Whether the room's sockets know from another node that the user is online.
    pub(super) fn shows_on_other_node(&self, user: &UserId, room: RoomId) -> bool {
        let state = self.sync.as_ref().map(|sync| sync.state.lock());
        state.is_some_and(|state| state.shown(room, user).is_some())
    }

    /// Whether the clients that watch the user know from another node that they are online.
    pub(super) fn is_announced(&self, user: &str) -> bool {
        let state = self.sync.as_ref().map(|sync| sync.state.lock());
        state.is_some_and(|state| state.is_announced(user))
    }

    /// What users show as on other nodes, and since when they are hidden; in the order of `users`.
    ///
    /// # Errors
    /// `unavailable` if the registry can't be asked.
    pub(super) async fn shown_on_other_nodes(
        &self,
        users: &[String],
    ) -> Result<Vec<Option<(Choice, Option<i64>)>>, ChatError> {
        let Some(sync) = &self.sync else {
            return Ok(vec![None; users.len()]);
        };
        let found = sync.users(users).await?;
        let mut state = sync.state.lock();
        let shown = users.iter().zip(&found).map(|(user, entries)| {
            let shown = merged(entries);
            if self.recipients.is_watched(user) {
                let visible = shown.clone().filter(|shown| shown.choice().shows());
                state.watch(user.as_str().into(), visible);
            }
            shown.map(|shown| {
                let hidden_since = entries.iter().find_map(|entry| entry.hidden_since);
                (shown.choice(), hidden_since)
            })
        });
        Ok(shown.collect())
    }

    /// The user's connections on other nodes; none if the registry can't be asked.
    pub(crate) async fn remote_devices(&self, user: &str) -> Vec<Device> {
        let Some(sync) = &self.sync else {
            return Vec::new();
        };
        let entries = sync.users(&[user.to_owned()]).await.unwrap_or_default();
        entries
            .into_iter()
            .flatten()
            .flat_map(|entry| entry.devices)
            .collect()
    }

    /// Those of the users who are online on any node.
    ///
    /// # Errors
    /// `unavailable` if the registry can't be asked.
    pub(super) async fn online_on_any_node(&self, users: &[String]) -> Result<HashSet<String>, ChatError> {
        let mut online: HashSet<_> = {
            let tracker = self.tracker.lock();
            let here = users.iter().filter(|user| tracker.entry(user).is_some());
            here.cloned().collect()
        };
        if let Some(sync) = &self.sync {
            let found = sync.users(users).await?;
            let others = users
                .iter()
                .zip(&found)
                .filter(|(_, entries)| !entries.is_empty());
            online.extend(others.map(|(user, _)| user.clone()));
        }
        Ok(online)
    }

    // ---- for the task

    /// The lists of other nodes that have changed since the last call; all, if that can't be known.
    pub(super) async fn changed_lists(&self, sync: &ClusterSync) -> Changed {
        let found = async {
            let members = sync.cluster.other_members().await?;
            let indexes = sync.others(&[change_index::KEY.to_owned()]).await?;
            let complete = sync.cluster.is_complete().await?;
            Ok::<_, ChatError>(complete.then_some((members, indexes)))
        };
        let Ok(Some((mut members, indexes))) = found.await else {
            sync.state.lock().forget_lists();
            return Changed::All;
        };
        let indexes = indexes.into_iter().flatten().filter_map(|entry| {
            let index = serde_json::from_slice::<ChangeIndex>(&entry.value).ok()?;
            Some((entry.member, index))
        });
        let indexes: Vec<_> = indexes.collect();
        // A node that has left is no member any more, but its lists stay until the grace of its users is
        // over.
        members.extend(indexes.iter().map(|(node, _)| node.clone()));
        sync.state.lock().follow_lists(&members, &indexes)
    }

    /// Reads the lists of these rooms, and announces the changes to the rooms' sockets.
    pub(super) async fn read_rooms(&self, sync: &ClusterSync, rooms: &[RoomId]) -> Result<(), ChatError> {
        if rooms.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = rooms.iter().map(|room| room_key(*room)).collect();
        let found = sync.others(&keys).await?;
        // After the read: the registry may have lost its content before it.
        let complete = sync.cluster.is_complete().await?;
        let mut changes: IndexMap<UserId, Vec<(RoomId, Change)>> = IndexMap::new();
        {
            let mut state = sync.state.lock();
            for (room, entries) in rooms.iter().zip(&found) {
                for change in state.merge(*room, decode(entries), complete) {
                    let (Change::Came(user) | Change::Went(user) | Change::Shows(user)) = &change;
                    changes.entry(Arc::clone(user)).or_default().push((*room, change));
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let users: Vec<_> = changes.keys().map(ToString::to_string).collect();
        let entries = sync.users(&users).await?;
        let seen = self.last_seen(&users).await?;
        for ((user, changes), entries) in changes.iter().zip(&entries) {
            let last_seen = seen.get(&**user).copied().unwrap_or_else(|| self.clock.now_ms());
            self.emit_changes(sync, user, changes, merged(entries), last_seen);
        }
        Ok(())
    }

    async fn last_seen(&self, users: &[String]) -> Result<HashMap<String, i64>, ChatError> {
        let rows = self.store.users(users).await?;
        Ok(rows.into_iter().map(|row| (row.user_id, row.last_seen)).collect())
    }

    /// Announces the changes of a user, who shows as `now` on the other nodes, to the rooms' sockets. Leaves
    /// out rooms in which the user is online here: for those this node announces by itself.
    fn emit_changes(
        &self,
        sync: &ClusterSync,
        user: &UserId,
        changes: &[(RoomId, Change)],
        now: Option<Shown>,
        last_seen: i64,
    ) {
        let tracker = self.tracker.lock();
        let rooms: Vec<_> = changes
            .iter()
            .map(|(room, _)| *room)
            .filter(|room| !tracker.is_in(user, *room))
            .collect();
        let watchers = self.recipients.watchers_of(user);
        let mut others = self.recipients.in_rooms(user, &rooms);
        others.retain(|id, _| !watchers.contains_key(id));
        let shown = now.map(|shown| shown.choice()).filter(Choice::shows);
        let is_shown_here = tracker.choice(user).is_some_and(Choice::shows);
        let some = |which: fn(&Change) -> bool| changes.iter().any(|(_, change)| which(change));
        let came = some(|change| matches!(change, Change::Came(_)));
        let differs = some(|change| matches!(change, Change::Shows(_)));
        let went = some(|change| matches!(change, Change::Went(_)));
        if shown.is_none() && came {
            // A list was put before the user's own entry.
            let rooms = changes.iter().map(|(room, _)| *room);
            sync.state.lock().recheck_user(user, rooms);
        }
        match shown {
            Some(choice) if came => {
                let mut before = sync.state.lock().rooms_of(user);
                before.retain(|room| !rooms.contains(room));
                before.extend(tracker.rooms_of(user));
                others.retain(|_, socket| !knows(socket, &before));
                let event = Online::new(user, self.clock.now_ms(), &choice);
                self.recipients.send(user, ONLINE, &event, others.into_values());
            }
            Some(choice) if differs => {
                let event = ShowsAs::new(user, &choice);
                self.recipients.send(user, STATUS, &event, others.into_values());
            }
            // They have left a room and are still online.
            Some(_) => {}
            None if is_shown_here || !went => {}
            None => {
                let event = Offline {
                    user_id: user,
                    last_seen,
                };
                self.recipients.send(user, OFFLINE, &event, others.into_values());
            }
        }
    }

    /// Reads the entries of watched users, and announces the changes to the watching sockets.
    pub(super) async fn read_watched(&self, sync: &ClusterSync, users: &[UserId]) -> Result<(), ChatError> {
        let ids: Vec<_> = users.iter().map(ToString::to_string).collect();
        let found = sync.users(&ids).await?;
        let complete = sync.cluster.is_complete().await?;
        let seen = self.last_seen(&ids).await?;
        for (user, entries) in users.iter().zip(&found) {
            let now = merged(entries).filter(|shown| shown.choice().shows());
            if now.is_none() && !complete {
                continue;
            }
            // A change on another node may be a membership that makes the user visible here.
            self.show_to_new_subscribers(user).await;
            let tracker = self.tracker.lock();
            let Some(before) = sync.state.lock().announce(user, now.as_ref()) else {
                continue;
            };
            if tracker.choice(user).is_some_and(Choice::shows) {
                continue;
            }
            let watchers: Vec<Socket> = self.recipients.watchers_of(user).into_values().collect();
            match (before, now) {
                (Before::Offline, Some(shown)) => {
                    let choice = shown.choice();
                    let event = Online::new(user, self.clock.now_ms(), &choice);
                    self.recipients.send(user, ONLINE, &event, watchers);
                }
                (_, Some(shown)) => {
                    let choice = shown.choice();
                    let event = ShowsAs::new(user, &choice);
                    self.recipients.send(user, STATUS, &event, watchers);
                }
                (_, None) => {
                    let last_seen = seen.get(&**user).copied();
                    let event = Offline {
                        user_id: user,
                        last_seen: last_seen.unwrap_or_else(|| self.clock.now_ms()),
                    };
                    self.recipients.send(user, OFFLINE, &event, watchers);
                }
            }
        }
        Ok(())
    }
}
