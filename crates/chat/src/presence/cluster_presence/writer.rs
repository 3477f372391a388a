//! What this node puts into the roster: its users, its lists of rooms, and which of these have changed.

use std::{collections::HashSet, sync::Arc};

use indexmap::IndexSet;
use roomful_store::RoomId;
use tokio::time::timeout;

use super::{
    super::server::{PresenceServer, note_seen},
    DOOR, Link, UserOnNode, Went, change_index, room_key, user_key,
};
use crate::{
    error::ChatError,
    log::control::Control,
    presence::cluster_presence::view::{NodePresence, Shown},
    presence::tracker::{OnlineEntry, WentOffline},
    types::UserId,
};

impl PresenceServer {
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
            work.put_changes = true;
        });
    }

    fn there(&self, entry: &OnlineEntry) -> UserOnNode {
        UserOnNode {
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
    pub(super) async fn put(&self, link: &Link, user: &UserId) -> Result<usize, ChatError> {
        let entry = self.tracker.lock().entry(user);
        let others = match entry {
            Some(entry) => link.cluster.put(&user_key(user), &self.there(&entry)).await?,
            None => link.cluster.remove(&user_key(user)).await?,
        };
        link.cluster.tell_presence(user);
        Ok(others.len())
    }

    /// The user has come to this node: whether they are on another one already.
    pub(in crate::presence) async fn is_elsewhere_already(&self, user: &UserId) -> bool {
        let Some(link) = &self.link else { return false };
        let asked = timeout(DOOR, async {
            let _turn = self.choices.lock(user).await;
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
    pub(super) async fn see_off(&self, link: &Link) -> Result<(), ChatError> {
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
        let _turn = self.choices.lock(user).await;
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
    pub(in crate::presence) async fn emptied_here(&self, rooms: Vec<RoomId>, now: i64) {
        let Some(link) = &self.link else { return };
        let keys: Vec<_> = rooms.iter().map(|room| room_key(*room)).collect();
        let Ok(others) = link.others(&keys).await else {
            return;
        };
        for (room, _) in rooms.iter().zip(others).filter(|(_, others)| others.is_empty()) {
            if self.tracker.lock().count_in(*room) == 0 {
                self.lifecycle.room_emptied(*room, now);
            }
        }
    }

    pub(super) async fn put_room(&self, link: &Link, room: RoomId) -> Result<(), ChatError> {
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
            NodePresence {
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

impl PresenceServer {
    /// Puts which lists have changed, these among them.
    pub(super) async fn put_changes(&self, link: &Link, rooms: &IndexSet<RoomId>) -> Result<(), ChatError> {
        let changes = {
            let mut changes = link.changes.lock();
            rooms.iter().for_each(|room| changes.add(*room));
            changes.clone()
        };
        link.cluster.put(change_index::KEY, &changes).await.map(drop)
    }
}
