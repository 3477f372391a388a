//! What this node looks at in the roster, what it knows from that, and what its clients are told of the difference.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use indexmap::IndexMap;
use roomful_socket::Socket;
use roomful_store::RoomId;
use tokio::time::timeout;

use super::{
    Link, PATIENCE,
    change_index::{self, Changes, Which},
    merged, read, room_key,
};
use crate::{
    admin::Device,
    error::ChatError,
    events::presence::{OFFLINE, ONLINE, Offline, Online, STATUS, ShowsAs},
    presence::cluster_presence::view::{Change, Shown},
    presence::tracker::{Choice, OnlineEntry},
    presence::{recipients::knows, server::PresenceServer},
    types::UserId,
};

impl PresenceServer {
    /// Looks at who is in these rooms elsewhere, unless that was done before. An answer should not wait for long.
    pub(crate) async fn look_around(&self, rooms: &[RoomId]) {
        let Some(link) = &self.link else { return };
        let rooms: Vec<_> = {
            let view = link.view.lock();
            rooms.iter().copied().filter(|room| !view.knows(*room)).collect()
        };
        if !rooms.is_empty() {
            let looked = timeout(PATIENCE, self.look_at_rooms(link, &rooms)).await;
            if !matches!(looked, Ok(Ok(()))) {
                link.work(|work| work.look_at_rooms.extend(rooms));
            }
        }
    }

    /// Those who show in a room elsewhere and not here, and how many more there are.
    pub(in crate::presence) fn elsewhere_in(&self, room: RoomId, most: usize) -> (Vec<OnlineEntry>, usize) {
        let Some(link) = &self.link else {
            return (Vec::new(), 0);
        };
        let (tracker, view) = (self.tracker.lock(), link.view.lock());
        let (users, more) = view.in_room(room);
        let mut strangers = users.filter(|(user, _)| !tracker.is_in(user, room));
        let listed: Vec<_> = strangers
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
        let more = more + strangers.count();
        (listed, more)
    }

    /// Whether the sockets in the room know of the user from another node.
    pub(in crate::presence) fn shows_elsewhere_in(&self, user: &UserId, room: RoomId) -> bool {
        let view = self.link.as_ref().map(|link| link.view.lock());
        view.is_some_and(|view| view.shown(room, user).is_some())
    }

    /// Whether clients here that follow the user know of them from another node.
    pub(in crate::presence) fn is_followed_elsewhere(&self, user: &str) -> bool {
        let followed = self.link.as_ref().map(|link| link.followed.lock());
        followed.is_some_and(|followed| followed.get(user).is_some_and(Option::is_some))
    }

    /// What users show as elsewhere, with since when they don't; in the order asked for.
    pub(in crate::presence) async fn shown_elsewhere(
        &self,
        users: &[String],
    ) -> Result<Vec<Option<(Choice, Option<i64>)>>, ChatError> {
        let Some(link) = &self.link else {
            return Ok(vec![None; users.len()]);
        };
        let found = link.there(users).await?;
        let mut followed = link.followed.lock();
        let shown = users.iter().zip(&found).map(|(user, there)| {
            let shown = merged(there);
            if self.recipients.is_watched(user) {
                let seen = shown.clone().filter(|shown| shown.choice().shows());
                followed.entry(user.as_str().into()).or_insert(seen);
            }
            shown.map(|shown| (shown.choice(), there.iter().find_map(|there| there.hidden_since)))
        });
        Ok(shown.collect())
    }

    /// The user's connections on other nodes.
    pub(crate) async fn devices_elsewhere(&self, user: &str) -> Vec<Device> {
        let Some(link) = &self.link else {
            return Vec::new();
        };
        let there = link.there(&[user.to_owned()]).await.unwrap_or_default();
        there
            .into_iter()
            .flatten()
            .flat_map(|there| there.devices)
            .collect()
    }

    /// Those of the users who are online, here or elsewhere.
    pub(crate) async fn online_among(&self, users: &[String]) -> Result<HashSet<String>, ChatError> {
        let mut online: HashSet<_> = {
            let tracker = self.tracker.lock();
            let here = users.iter().filter(|user| tracker.entry(user).is_some());
            here.cloned().collect()
        };
        if let Some(link) = &self.link {
            let there = link.there(users).await?;
            let away = users.iter().zip(&there).filter(|(_, there)| !there.is_empty());
            online.extend(away.map(|(user, _)| user.clone()));
        }
        Ok(online)
    }

    /// Which lists of other nodes have changed since this was asked before. All, as long as it can't be known.
    pub(super) async fn changed_lists(&self, link: &Link) -> Which {
        let told = async {
            let others = link.cluster.other_members().await?;
            let told = link.others(&[change_index::KEY.to_owned()]).await?;
            let complete = link.cluster.was_complete().await?;
            Ok::<_, ChatError>(complete.then_some((others, told)))
        };
        let Ok(Some((others, told))) = told.await else {
            link.followed_lists.lock().forget();
            return Which::All;
        };
        let told = told.into_iter().flatten().filter_map(|entry| {
            let changes = serde_json::from_slice::<Changes>(&entry.value).ok()?;
            Some((entry.member, changes))
        });
        let told: Vec<_> = told.collect();
        link.followed_lists.lock().look(&others, &told)
    }

    pub(super) async fn look_at_rooms(&self, link: &Link, rooms: &[RoomId]) -> Result<(), ChatError> {
        if rooms.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = rooms.iter().map(|room| room_key(*room)).collect();
        let found = link.others(&keys).await?;
        let complete = link.cluster.was_complete().await?;
        if !complete {
            // Who has gone is seen once it is.
            link.again.lock().extend(rooms);
        }
        let mut changes: IndexMap<UserId, Vec<(RoomId, Change)>> = IndexMap::new();
        {
            let mut view = link.view.lock();
            for (room, entries) in rooms.iter().zip(&found) {
                // Nobody has gone only because the roster has forgotten them.
                for change in view.look(*room, read(entries), complete) {
                    let (Change::Came(user) | Change::Went(user) | Change::Shows(user)) = &change;
                    changes.entry(Arc::clone(user)).or_default().push((*room, change));
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let users: Vec<_> = changes.keys().map(ToString::to_string).collect();
        let there = link.there(&users).await?;
        let seen = self.store.users(&users).await?;
        let seen: HashMap<_, _> = seen.into_iter().map(|row| (row.user_id, row.last_seen)).collect();
        for ((user, changes), there) in changes.iter().zip(&there) {
            let last_seen = seen.get(&**user).copied().unwrap_or_else(|| self.clock.now_ms());
            self.tell_change(link, user, changes, merged(there), last_seen);
        }
        Ok(())
    }

    /// Something has changed of a user elsewhere, who stands so now. Who is here, too, is told of by this node itself.
    fn tell_change(
        &self,
        link: &Link,
        user: &UserId,
        changes: &[(RoomId, Change)],
        now: Option<Shown>,
        last_seen: i64,
    ) {
        let tracker = self.tracker.lock();
        let is_here = |room: &RoomId| tracker.is_in(user, *room);
        let rooms: Vec<_> = changes
            .iter()
            .map(|(room, _)| *room)
            .filter(|room| !is_here(room))
            .collect();
        let watchers = self.recipients.watchers_of(user);
        let mut others = self.recipients.neighbours(user, &rooms);
        others.retain(|id, _| !watchers.contains_key(id));
        let shown = now.map(|shown| shown.choice()).filter(Choice::shows);
        let is_shown_here = tracker.choice(user).is_some_and(Choice::shows);
        let some = |which: fn(&Change) -> bool| changes.iter().any(|(_, change)| which(change));
        let came = some(|change| matches!(change, Change::Came(_)));
        let differs = some(|change| matches!(change, Change::Shows(_)));
        let went = some(|change| matches!(change, Change::Went(_)));
        if shown.is_none() && came {
            // In a list, and in no entry of their own: the one was put before the other. They come with the next look.
            let mut view = link.view.lock();
            for (room, _) in changes {
                view.forget(*room, user);
            }
            link.again.lock().extend(changes.iter().map(|(room, _)| *room));
        }
        match shown {
            Some(choice) if came => {
                let mut before = link.view.lock().rooms_of(user);
                before.retain(|room| !rooms.contains(room));
                before.extend(tracker.rooms_of(user));
                others.retain(|_, socket| !knows(socket, &before));
                let event = Online::new(user, self.clock.now_ms(), &choice);
                self.recipients.tell(user, ONLINE, &event, others.into_values());
            }
            Some(choice) if differs => {
                let event = ShowsAs::new(user, &choice);
                self.recipients.tell(user, STATUS, &event, others.into_values());
            }
            // They have left a room, and are there all the same.
            Some(_) => {}
            None if is_shown_here || !went => {}
            None => {
                let event = Offline {
                    user_id: user,
                    last_seen,
                };
                self.recipients.tell(user, OFFLINE, &event, others.into_values());
            }
        }
    }

    pub(super) async fn look_at_users(&self, link: &Link, users: &[UserId]) -> Result<(), ChatError> {
        let ids: Vec<_> = users.iter().map(ToString::to_string).collect();
        let there = link.there(&ids).await?;
        let complete = link.cluster.was_complete().await?;
        let rows = self.store.users(&ids).await?;
        let seen: HashMap<_, _> = rows.into_iter().map(|row| (row.user_id, row.last_seen)).collect();
        for (user, there) in users.iter().zip(&there) {
            let now = merged(there).filter(|shown| shown.choice().shows());
            if now.is_none() && !complete {
                continue;
            }
            let tracker = self.tracker.lock();
            let mut followed = link.followed.lock();
            // Whoever was not told anything yet is answered first.
            let Some(known) = followed.get_mut(user) else {
                continue;
            };
            let before = std::mem::replace(known, now.clone());
            if before == now || tracker.choice(user).is_some_and(Choice::shows) {
                continue;
            }
            drop(followed);
            let watchers: Vec<Socket> = self.recipients.watchers_of(user).into_values().collect();
            match (before, now) {
                (None, Some(shown)) => {
                    let choice = shown.choice();
                    let event = Online::new(user, self.clock.now_ms(), &choice);
                    self.recipients.tell(user, ONLINE, &event, watchers);
                }
                (_, Some(shown)) => {
                    let choice = shown.choice();
                    let event = ShowsAs::new(user, &choice);
                    self.recipients.tell(user, STATUS, &event, watchers);
                }
                (_, None) => {
                    let last_seen = seen.get(&**user).copied();
                    let event = Offline {
                        user_id: user,
                        last_seen: last_seen.unwrap_or_else(|| self.clock.now_ms()),
                    };
                    self.recipients.tell(user, OFFLINE, &event, watchers);
                }
            }
        }
        Ok(())
    }
}
