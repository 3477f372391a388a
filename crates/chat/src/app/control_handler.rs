//! What control entries do on this node. Most of them the node that wrote them has carried out before, so a
//! repetition must change nothing.

use std::sync::{Arc, atomic::Ordering};

use roomful_store::{LogEntry, RoomId};

use super::App;
use crate::{
    admin,
    handlers::membership,
    log::control::{Control, ControlHandler},
    session::Session,
    types::UserId,
};

impl ControlHandler for App {
    fn run_control(self: Arc<Self>, control: &LogEntry) {
        let LogEntry { position, entry, .. } = control;
        let control: Control = match serde_json::from_str(&entry.body) {
            Ok(control) => control,
            // A node of a newer version wrote it, about something that this version does not have.
            Err(error) => return tracing::warn!(%error, "failed to decode a control entry, skipping it"),
        };
        // After two choices on two nodes, all nodes must show the later one, also the node of the earlier
        // one. And the node that removed a room may have got an error though the removal was committed.
        let is_for_all = matches!(
            control,
            Control::StatusChosen { .. } | Control::RoomDeleted { .. }
        );
        let is_mine = self
            .cluster
            .as_ref()
            .is_some_and(|cluster| cluster.is_mine(&entry.user_id));
        if is_mine && !is_for_all {
            return;
        }
        match control {
            Control::Joined { room, user } => self.member_joined(room, user.into()),
            Control::Left { room, user } => self.member_left(room, user.into()),
            Control::RoomDeleted { room } => self.room_deleted(room),
            Control::Disconnected { user } => {
                // A connection that began after the command may stay: this node is late, not the client.
                admin::close_sockets(&self, &user, |session| session.since < *position);
            }
            Control::Revoked { user, before } => {
                let serial = self.serials.fetch_add(1, Ordering::SeqCst);
                self.last_revocation.fetch_max(serial, Ordering::SeqCst);
                let is_void = |session: &Session| session.issued_at().is_none_or(|at| at < before);
                admin::close_sockets(&self, &user, is_void);
            }
            Control::StatusChosen { user, shown, seen_at } => {
                self.presence
                    .chose_elsewhere(&user.into(), &shown.choice(), seen_at);
            }
            Control::Notified {
                id,
                notice,
                at,
                places,
            } => self.notifications.announce(&id, &notice, at, places),
        }
    }

    fn log_restored(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.watermarks.clear();
        }
    }
}

impl App {
    fn room_deleted(self: Arc<Self>, room: RoomId) {
        if let Some(room) = self.rooms.get(room) {
            tokio::spawn(async move { admin::clear_room(&self, &room).await });
        } else {
            for user in self.presence.everyone_in(room, usize::MAX) {
                self.presence.leave(&user, room);
            }
        }
    }

    fn member_joined(self: Arc<Self>, room: RoomId, user: UserId) {
        if !self.presence.is_here(&user) {
            return;
        }
        tokio::spawn(async move {
            // They may have left again.
            if let Ok(Some(_)) = self.store.member(room, &user).await {
                self.presence.enter(&user, room);
            }
        });
    }

    fn member_left(self: Arc<Self>, room: RoomId, user: UserId) {
        tokio::spawn(async move {
            let here = self.rooms.get(room);
            let _one_change = match &here {
                Some(room) => Some(self.one_membership_change(&user, room).await),
                None => None,
            };
            match self.store.member(room, &user).await {
                // They have joined again.
                Ok(Some(_)) => return,
                Ok(None) => {}
                // To take out a member by mistake does less harm than to leave somebody in: a member joins
                // again.
                Err(error) => {
                    tracing::warn!(%error, "failed to look up a member, taking them out of the room");
                }
            }
            match &here {
                Some(room) => membership::take_out(&self, room, &user).await,
                None => self.presence.leave(&user, room),
            }
        });
    }
}
