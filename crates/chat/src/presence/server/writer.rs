//! This node's entries in the registry: its users, its lists of rooms, and the index of changed lists.

use std::{collections::HashSet, sync::Arc, time::Duration};

use indexmap::IndexSet;
use roomful_store::RoomId;
use tokio::time::timeout;

use super::{
    PresenceServer,
    announcing::Found,
    cluster_sync::{ClusterSync, UserOnNode, decode, room_key, user_key, visible},
    note_seen,
};
use crate::{
    error::ChatError,
    log::control::Control,
    presence::{
        change_index,
        cluster_presence::{Departure, NodePresence},
        tracker::{Choice, OnlineEntry, WentOffline},
    },
    types::{Shown, UserId},
};

/// How long a client waits for the registry when it connects or chooses a status.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether users who left this node are online on others.
enum OtherNodes {
    NoneHasThem,
    SomeHaveThem,
    /// The registry has lost entries, and other nodes have not put theirs again yet.
    Unknown,
}

impl PresenceServer {
    /// Puts all entries of this node, since the registry has none of them.
    pub(crate) fn put_all(&self) {
        let Some(sync) = &self.sync else { return };
        let (users, rooms) = {
            let tracker = self.tracker.lock();
            let users: Vec<_> = tracker.everyone().into_iter().map(|entry| entry.user).collect();
            let rooms = users.iter().flat_map(|user| tracker.rooms_of(user));
            let rooms: HashSet<_> = rooms.copied().collect();
            (users, rooms)
        };
        sync.plan(|work| {
            work.put_users.extend(users);
            work.put_rooms.extend(rooms);
            work.put_index = true;
        });
    }

    /// Puts the user's entry, or removes it if they are not online here. Returns the entries of other nodes.
    /// The caller holds the lock for the user's choices.
    pub(super) async fn put_user(
        &self,
        sync: &ClusterSync,
        user: &UserId,
    ) -> Result<Vec<UserOnNode>, ChatError> {
        let entry = self.tracker.lock().entry(user);
        let others = match entry {
            Some(entry) => {
                sync.cluster
                    .put(&user_key(user), &self.on_this_node(entry))
                    .await?
            }
            None => sync.cluster.remove(&user_key(user)).await?,
        };
        sync.cluster.publish_user_presence(user);
        Ok(decode(&others))
    }

    /// Puts the user's entry with the status that they are about to show as. So a node that learns of the
    /// status in another way never finds an older one in the registry. If that fails, the task puts the entry
    /// later. The caller holds the lock for the user's choices.
    pub(super) async fn put_choice(&self, sync: &ClusterSync, user: &UserId, choice: &Choice, seen_at: i64) {
        let Some(mut entry) = self.tracker.lock().entry(user) else {
            return;
        };
        entry.hidden_since = (!choice.shows()).then_some(seen_at);
        entry.choice = choice.clone();
        let (key, entry) = (user_key(user), self.on_this_node(entry));
        if let Ok(Ok(_)) = timeout(PATIENCE, sync.cluster.put(&key, &entry)).await {
            sync.cluster.publish_user_presence(user);
        }
    }

    fn on_this_node(&self, entry: OnlineEntry) -> UserOnNode {
        UserOnNode {
            devices: self.devices(&entry.user),
            hidden_since: entry.hidden_since,
            shown: Shown {
                name: entry.name,
                status: entry.choice.status,
                text: entry.choice.text,
            },
        }
    }

    /// Puts the entry of a user that has come to this node. Returns whether they are on another node already;
    /// false if the registry does not tell in time.
    pub(super) async fn is_on_other_node(&self, user: &UserId) -> bool {
        let Some(sync) = &self.sync else { return false };
        let others = timeout(PATIENCE, async {
            let _one_change = self.choices.lock(user).await;
            self.put_user(sync, user).await
        });
        if let Ok(Ok(others)) = others.await {
            return !others.is_empty();
        }
        sync.user_changed(user);
        false
    }

    /// Tells the other nodes that a user has become a member of a room, if they are online there.
    ///
    /// # Errors
    /// `unavailable`, `internal`: it is unknown whether the other nodes know it.
    pub(crate) async fn member_joined(&self, user: &UserId, room: RoomId) -> Result<(), ChatError> {
        let Some(sync) = &self.sync else { return Ok(()) };
        let others = sync.others(&[user_key(user)]).await;
        if others.is_ok_and(|others| others.iter().all(Vec::is_empty)) {
            return Ok(());
        }
        let user = user.to_string();
        sync.cluster.command(&Control::Joined { room, user }).await
    }

    /// Announces users that went offline on this node and are on no other. Announces none while the registry
    /// fails.
    pub(super) async fn report_departures(&self, sync: &ClusterSync) -> Result<(), ChatError> {
        loop {
            let Some(departure) = sync.state.lock().pop_departure() else {
                return Ok(());
            };
            let Departure {
                mut gone,
                emptied,
                at,
            } = departure;
            let mut seen = Vec::new();
            let mut outcome = Ok(OtherNodes::NoneHasThem);
            while let Some(user) = gone.pop() {
                outcome = self.report_departure(sync, &user, at).await;
                match outcome {
                    Ok(OtherNodes::NoneHasThem) => seen.push(user.last),
                    Ok(OtherNodes::SomeHaveThem) => {}
                    Ok(OtherNodes::Unknown) | Err(_) => {
                        gone.push(user);
                        break;
                    }
                }
            }
            note_seen(Arc::clone(&self.store), seen, at).await;
            if gone.is_empty() {
                outcome = self.report_emptied(sync, &emptied, at).await;
            }
            if let Ok(OtherNodes::Unknown) | Err(_) = outcome {
                // The next interval tries again.
                sync.state.lock().push_departure(Departure { gone, emptied, at });
                return outcome.map(drop);
            }
        }
    }

    /// Announces that the user is offline, if they are on no node.
    async fn report_departure(
        &self,
        sync: &ClusterSync,
        gone: &WentOffline<RoomId>,
        at: i64,
    ) -> Result<OtherNodes, ChatError> {
        let user = &gone.last.user;
        let _one_change = self.choices.lock(user).await;
        if self.tracker.lock().entry(user).is_some() {
            // They have come back.
            return Ok(OtherNodes::SomeHaveThem);
        }
        let others = self.put_user(sync, user).await?;
        // After the user's entry: a node that reads the lists finds the entry removed.
        sync.rooms_changed(&gone.rooms);
        if others.is_empty() && !sync.cluster.is_complete().await? {
            return Ok(OtherNodes::Unknown);
        }
        let found = Found {
            shown: visible(&others),
            last_seen: gone.last.last_seen(at),
            ..Found::default()
        };
        {
            let tracker = self.tracker.lock();
            if tracker.entry(user).is_some() {
                // They have come back meanwhile.
                return Ok(OtherNodes::SomeHaveThem);
            }
            sync.state.lock().known.departed(user);
        }
        self.tell(sync, user, found);
        if !others.is_empty() {
            return Ok(OtherNodes::SomeHaveThem);
        }
        self.note_offline(&gone.last, at);
        Ok(OtherNodes::NoneHasThem)
    }

    /// Emits `room.emptied` for those of the rooms that have no users on any node. Nobody is online in them
    /// here.
    async fn report_emptied(
        &self,
        sync: &ClusterSync,
        rooms: &[RoomId],
        now: i64,
    ) -> Result<OtherNodes, ChatError> {
        if rooms.is_empty() {
            return Ok(OtherNodes::NoneHasThem);
        }
        let keys: Vec<_> = rooms.iter().map(|room| room_key(*room)).collect();
        let others = sync.others(&keys).await?;
        if !sync.cluster.is_complete().await? {
            return Ok(OtherNodes::Unknown);
        }
        for (room, _) in rooms.iter().zip(others).filter(|(_, others)| others.is_empty()) {
            if self.tracker.lock().count_in(*room) == 0 {
                self.lifecycle.room_emptied(*room, now);
            }
        }
        Ok(OtherNodes::NoneHasThem)
    }

    /// Puts this node's list of the room, or removes it if nobody shows in it.
    pub(super) async fn put_room(&self, sync: &ClusterSync, room: RoomId) -> Result<(), ChatError> {
        let list = {
            let tracker = self.tracker.lock();
            let shown = |entry: OnlineEntry| {
                let shown = Shown {
                    name: entry.name,
                    status: entry.choice.status,
                    text: entry.choice.text,
                };
                (entry.user, shown)
            };
            let users = tracker.showing_in(room, self.listed);
            NodePresence {
                count: tracker.count_showing(room),
                users: users.into_iter().map(shown).collect(),
            }
        };
        if list.count == 0 {
            sync.cluster.remove(&room_key(room)).await?;
        } else {
            sync.cluster.put(&room_key(room), &list).await?;
        }
        sync.cluster.publish_room_presence(room);
        Ok(())
    }

    /// Puts the index of changed lists, to which those of `rooms` are added.
    pub(super) async fn put_index(
        &self,
        sync: &ClusterSync,
        rooms: &IndexSet<RoomId>,
    ) -> Result<(), ChatError> {
        let index = sync.state.lock().lists_changed(rooms);
        sync.cluster.put(change_index::KEY, &index).await.map(drop)
    }
}
