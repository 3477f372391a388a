//! Who sees whose presence: everybody, or only users who share a room, and nobody whom the user has blocked.
//!
//! A session keeps for each user it is subscribed to whether it sees them. The flags change with memberships
//! and blocks: the code that changes one calls [`PresenceServer::membership_changed`] or
//! [`PresenceServer::block_changed`].

use std::{
    collections::{BTreeSet, HashSet},
    sync::atomic::Ordering,
};

use roomful_socket::Socket;

use super::PresenceServer;
use crate::{
    error::ChatError,
    events::presence::{OFFLINE, ONLINE, Offline, Online, State, Status},
    session::Session,
    types::UserId,
};

impl PresenceServer {
    /// The states of these users as the session sees them, in the order of `users`. Users whom it does not
    /// see look like users who never connected.
    pub(crate) async fn visible_states(
        &self,
        me: &Session,
        users: Vec<String>,
    ) -> Result<Vec<State>, ChatError> {
        let read = self.begin_read();
        let mut visible = self.visible(me, &users).await?;
        let blockers = self.store.blockers_among(&me.user, &users).await?;
        for user in &users {
            if !me.sees_everyone() {
                me.set_sharing(user, visible.contains(user), read);
            }
            me.set_blocked(user, blockers.contains(user), read);
        }
        visible.retain(|user| !blockers.contains(user));
        let mut states = self.states(users, Some(&me.user)).await?;
        for state in states
            .iter_mut()
            .filter(|state| !visible.contains(&state.user_id))
        {
            state.status = Status::Offline;
            state.text = None;
            state.last_seen = None;
        }
        Ok(states)
    }

    /// The number of a read that begins now. A change that is committed before is part of its result.
    fn begin_read(&self) -> u64 {
        self.visibility_reads.fetch_add(1, Ordering::SeqCst)
    }

    /// How many users have to be compared with the user after a change of a membership.
    pub(crate) fn count_compared(&self, user: &UserId) -> usize {
        let own = restricted(self.recipients.other_devices(user, None));
        let watched = own.iter().filter_map(Socket::state::<Session>);
        let watched: usize = watched.map(|session| session.watched_count()).sum();
        watched + self.recipients.subscribed_to(user).len()
    }

    async fn visible(&self, me: &Session, users: &[String]) -> Result<HashSet<String>, ChatError> {
        if me.sees_everyone() {
            return Ok(users.iter().cloned().collect());
        }
        let mut visible: HashSet<_> = self
            .store
            .sharing_a_room(&me.user, users)
            .await?
            .into_iter()
            .collect();
        visible.insert(me.user.to_string());
        Ok(visible)
    }

    /// Updates who sees the user and whom the user sees, after one of their memberships began or ended. Does
    /// nothing if no subscription on this node concerns them.
    pub(crate) async fn membership_changed(&self, user: &UserId) {
        let read = self.begin_read();
        let watchers = restricted(self.recipients.subscribed_to(user));
        let own = restricted(self.recipients.other_devices(user, None));
        let mut others = BTreeSet::new();
        others.extend(
            watchers
                .iter()
                .filter_map(|socket| Some(user_of(socket)?.to_string())),
        );
        for session in own.iter().filter_map(Socket::state::<Session>) {
            others.extend(session.watched().iter().map(ToString::to_string));
        }
        others.remove(&**user);
        if others.is_empty() {
            return;
        }
        let others: Vec<_> = others.into_iter().collect();
        let sharing = self.store.sharing_a_room(user, &others).await;
        let sharing: HashSet<String> = match sharing {
            Ok(sharing) => sharing.into_iter().collect(),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "failed to look up shared rooms, hiding presence until the next change"
                );
                HashSet::new()
            }
        };
        for socket in watchers
            .iter()
            .filter(|socket| user_of(socket).is_some_and(|id| id != *user))
        {
            let shares = user_of(socket).is_some_and(|watcher| sharing.contains(&*watcher));
            self.set_sharing((socket, user), shares, read).await;
        }
        for socket in &own {
            let Some(session) = socket.state::<Session>() else {
                continue;
            };
            for watched in session.watched().into_iter().filter(|watched| watched != user) {
                self.set_sharing((socket, &watched), sharing.contains(&*watched), read)
                    .await;
            }
        }
    }

    /// Updates whether the sockets of `blocked` see `user`, after a block between the two began or ended.
    /// Does nothing if none of them is subscribed on this node.
    pub(crate) async fn block_changed(&self, user: &UserId, blocked: &UserId) {
        let read = self.begin_read();
        let mut watchers = self.recipients.subscribed_to(user);
        watchers.retain(|socket| user_of(socket).is_some_and(|watcher| watcher == *blocked));
        if watchers.is_empty() {
            return;
        }
        // Read again, since another node may have changed it since.
        let blockers = self.store.blockers_among(blocked, &[user.to_string()]).await;
        let is_blocked = blockers.map_or_else(
            |error| {
                tracing::warn!(%error, "failed to look up a block, hiding presence until the next change");
                true
            },
            |blockers| !blockers.is_empty(),
        );
        for socket in &watchers {
            let Some(session) = socket.state::<Session>() else {
                continue;
            };
            if session.set_blocked(user, is_blocked, read) {
                self.emit_visible_state(socket, &session, user).await;
            }
        }
    }

    /// Updates the flags if a subscribed socket does not see the user yet. Does nothing otherwise, so it is
    /// cheap.
    pub(super) async fn show_to_new_subscribers(&self, user: &UserId) {
        let sockets = self.recipients.subscribed_to(user);
        let sees = |socket: &Socket| {
            let session = socket.state::<Session>();
            session.is_none_or(|session| session.sees_unless_blocked(user))
        };
        if !sockets.iter().all(sees) {
            self.membership_changed(user).await;
        }
    }

    /// Notes whether the socket's user shares a room with `user`.
    async fn set_sharing(&self, (socket, user): (&Socket, &UserId), shares: bool, read: u64) {
        let session = socket.state::<Session>();
        if let Some(session) = session.filter(|session| session.set_sharing(user, shares, read)) {
            self.emit_visible_state(socket, &session, user).await;
        }
    }

    /// The socket sees the user from now on, or no longer: it gets the user's present state, or that they are
    /// offline.
    async fn emit_visible_state(&self, socket: &Socket, session: &Session, user: &UserId) {
        let now = self.clock.now_ms();
        let state = match self.states(vec![user.to_string()], None).await {
            Ok(mut states) => states.pop(),
            Err(_) => None,
        };
        let Some(state) = state.filter(|state| state.status != Status::Offline) else {
            return;
        };
        // The last of several changes at once decides.
        let _one = self.visibility_events.lock();
        if session.sees(user) {
            let event = Online {
                user_id: user,
                at: now,
                status: Some(state.status).filter(|status| *status != Status::Online),
                text: state.text.as_deref(),
            };
            self.recipients.send(user, ONLINE, &event, [socket.clone()]);
        } else {
            let event = Offline {
                user_id: user,
                last_seen: now,
            };
            self.recipients.send(user, OFFLINE, &event, [socket.clone()]);
        }
    }
}

/// The sockets whose sessions see only users who share a room.
fn restricted(mut sockets: Vec<Socket>) -> Vec<Socket> {
    sockets.retain(|socket| {
        let session = socket.state::<Session>();
        session.is_some_and(|session| !session.sees_everyone())
    });
    sockets
}

fn user_of(socket: &Socket) -> Option<UserId> {
    Some(socket.state::<Session>()?.user.clone())
}
