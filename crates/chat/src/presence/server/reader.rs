//! Reading the registry entries of other nodes, and announcing their changes to clients.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use roomful_store::RoomId;
use tokio::time::timeout;

use super::{
    PresenceServer,
    announcing::Found,
    cluster_sync::{ClusterSync, decode, merged, room_key, visible},
};
use crate::{
    error::ChatError,
    presence::{
        change_index::{self, ChangeIndex, Changed},
        cluster_presence::Change,
        device::Device,
        tracker::{Choice, OnlineEntry},
    },
    types::UserId,
};

/// How long an answer waits for the registry. Later it covers this node alone.
const PATIENCE: Duration = Duration::from_secs(1);

impl PresenceServer {
    // ---- for answers

    /// Reads the other nodes' lists of these rooms, unless they are known. Gives up after [`PATIENCE`]: the
    /// caller's answer then covers this node alone.
    pub(crate) async fn ensure_rooms_read(&self, rooms: &[RoomId]) {
        let Some(sync) = &self.sync else { return };
        let rooms: Vec<_> = {
            let state = sync.state.lock();
            rooms.iter().copied().filter(|room| !state.knows(*room)).collect()
        };
        if !rooms.is_empty() {
            let read = timeout(PATIENCE, self.read_rooms(sync, &rooms)).await;
            // If the task has read a room meanwhile, this read has changes for it to announce.
            sync.plan(|work| {
                if !matches!(read, Ok(Ok(()))) {
                    work.read_rooms.extend(rooms);
                }
            });
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
                state.known.watch(user.as_str().into(), visible(entries));
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

    /// Reads the lists of these rooms, and notes their changes.
    pub(super) async fn read_rooms(&self, sync: &ClusterSync, rooms: &[RoomId]) -> Result<(), ChatError> {
        if rooms.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = rooms.iter().map(|room| room_key(*room)).collect();
        let found = sync.others(&keys).await?;
        // After the read: the registry may have lost its content before it.
        let complete = sync.cluster.is_complete().await?;
        let mut state = sync.state.lock();
        for (room, entries) in rooms.iter().zip(&found) {
            let changes = state.merge(*room, decode(entries), complete);
            state.note_changes(*room, changes);
        }
        Ok(())
    }

    /// Announces the changes of the lists to the rooms' sockets. After a failure, the next call tries again.
    pub(super) async fn announce_changes(&self, sync: &ClusterSync) -> Result<(), ChatError> {
        let changes = sync.state.lock().take_changes();
        if changes.is_empty() {
            return Ok(());
        }
        let users: Vec<_> = changes.keys().map(ToString::to_string).collect();
        let entries = match sync.users(&users).await {
            Ok(entries) => entries,
            Err(error) => {
                sync.state.lock().put_changes_back(changes);
                return Err(error);
            }
        };
        let seen = self.last_seen(&users).await;
        for ((user, changes), entries) in changes.iter().zip(&entries) {
            let rooms = |which: fn(&Change) -> bool| {
                let changes = changes.iter().filter(|(_, change)| which(change));
                changes.map(|(room, _)| *room).collect::<Vec<_>>()
            };
            let came = rooms(|change| matches!(change, Change::Came(_)));
            let found = Found {
                shown: visible(entries),
                came: &came,
                went: &rooms(|change| matches!(change, Change::Went(_))),
                last_seen: self.last_seen_of(user, &seen),
            };
            if found.shown.is_none() && !came.is_empty() {
                // A list was put before the user's own entry.
                sync.state.lock().recheck_user(user, came.iter().copied());
            }
            // Without its entry, a user has gone if no list has them, either.
            if found.shown.is_some() || !found.went.is_empty() {
                self.tell(sync, user, found);
            }
        }
        Ok(())
    }

    /// When these users were last seen, without those of whom the store does not tell.
    async fn last_seen(&self, users: &[String]) -> HashMap<String, i64> {
        let rows = self.store.users(users).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "failed to read when users were last seen");
            Vec::new()
        });
        rows.into_iter().map(|row| (row.user_id, row.last_seen)).collect()
    }

    fn last_seen_of(&self, user: &UserId, seen: &HashMap<String, i64>) -> i64 {
        seen.get(&**user).copied().unwrap_or_else(|| self.clock.now_ms())
    }

    /// Reads the entries of watched users, and announces the changes.
    pub(super) async fn read_watched(&self, sync: &ClusterSync, users: &[UserId]) -> Result<(), ChatError> {
        let ids: Vec<_> = users.iter().map(ToString::to_string).collect();
        let found = sync.users(&ids).await?;
        let complete = sync.cluster.is_complete().await?;
        let seen = self.last_seen(&ids).await;
        for (user, entries) in users.iter().zip(&found) {
            let found = Found {
                shown: visible(entries),
                last_seen: self.last_seen_of(user, &seen),
                ..Found::default()
            };
            if found.shown.is_none() && !complete {
                continue;
            }
            // A change on another node may be a membership that makes the user visible here.
            self.show_to_new_subscribers(user).await;
            self.tell(sync, user, found);
        }
        Ok(())
    }
}
