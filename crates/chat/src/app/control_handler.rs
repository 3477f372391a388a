//! The effects of control entries on this node. The node that wrote an entry has often carried it out before,
//! so a repetition must change nothing.

use std::sync::{Arc, atomic::Ordering};

use roomful_store::{LogEntry, LogPosition, RoomId};

use super::App;
use crate::{
    admin,
    closing::close_sockets,
    events::{
        chat::Removal,
        connection::SessionEnded,
        moderation::{Announcement, ModerationAction},
    },
    handlers::{membership, profile},
    log::control::{Control, ControlHandler},
    moderation, standing,
    types::{RoomName, UserId},
};

impl ControlHandler for App {
    fn run_control(self: Arc<Self>, control: &LogEntry) {
        let LogEntry { position, entry, .. } = control;
        let control: Control = match serde_json::from_str(&entry.body) {
            Ok(control) => control,
            // A node of a newer version wrote it, about something that this version does not have.
            Err(error) => return tracing::warn!(%error, "failed to decode a control entry, skipping it"),
        };
        if matches!(control, Control::Moderated { .. } | Control::RoleChanged { .. }) {
            self.last_moderation.fetch_max(position.0, Ordering::AcqRel);
        }
        // After two choices on two nodes, all nodes must show the later one, also the node of the earlier
        // one. And the node that removed a room may have got an error though the removal was committed.
        let is_for_all = matches!(
            control,
            Control::StatusChosen { .. } | Control::RoomDeleted { .. }
        );
        let is_own_incarnation = self
            .cluster
            .as_ref()
            .is_some_and(|cluster| cluster.is_own_incarnation(&entry.user_id));
        if is_own_incarnation && !is_for_all {
            return;
        }
        match control {
            Control::Joined { room, user } => self.member_joined(room, user.into()),
            Control::Left { room, user, reason } => self.member_left(room, user.into(), reason),
            Control::RoleChanged { room, user } => self.role_changed(room, user.into()),
            Control::RoomDeleted { room, name } => self.room_deleted(room, &name),
            Control::Disconnected { user } => {
                // A connection that began after the command may stay: this node is late, not the client.
                close_sockets(&self, &user, SessionEnded::KICKED, |session| {
                    session.since < *position
                });
            }
            Control::Revoked { user, before } => {
                admin::apply_remote_revocation(&self, &user, before, *position);
            }
            Control::StatusChosen { user, shown, seen_at } => {
                self.presence
                    .apply_remote_status(&user.into(), &shown.choice(), seen_at);
            }
            Control::Moderated { room, act } => self.moderated(room, act, *position),
            Control::BlockChanged {
                user,
                blocked,
                on,
                at,
            } => moderation::apply_remote_block(self, user.into(), blocked.into(), on, at),
            Control::ProfileChanged { user, at } => {
                self.profiles.forget(&user);
                tokio::spawn(async move { profile::apply_remote_profile(&self, user.into(), at).await });
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
        self.profiles.clear();
    }
}

impl App {
    fn room_deleted(self: Arc<Self>, room: RoomId, name: &str) {
        if let Some(room) = self.rooms.get(room) {
            tokio::spawn(async move { admin::clear_room(&self, &room).await });
        } else {
            let name = RoomName::new(name).ok();
            tokio::spawn(async move {
                for user in self.presence.everyone_in(room, usize::MAX) {
                    let was_in = self.presence.leave(&user, room);
                    if let Some(name) = name.as_ref().filter(|_| was_in) {
                        membership::notify_room_removed(&self, &user, name, Removal::Deleted);
                    }
                    self.presence.membership_changed(&user).await;
                }
            });
        }
    }

    fn member_joined(self: Arc<Self>, room: RoomId, user: UserId) {
        tokio::spawn(async move {
            self.presence.membership_changed(&user).await;
            if !self.presence.is_here(&user) {
                return;
            }
            // They may have left again.
            if let Ok(Some(member)) = self.store.member(room, &user).await {
                self.presence.enter(&user, room);
                if let Some(name) = self.name_of(room, &user).await {
                    membership::notify_room_added(&self, &user, &name, member.joined_at);
                }
            }
        });
    }

    fn role_changed(self: Arc<Self>, room: RoomId, user: UserId) {
        tokio::spawn(async move {
            if let Some(name) = self.name_of(room, &user).await {
                let sockets = membership::sockets_allowed(&self, &user, &name);
                standing::notify(&self, (room, &name), &sockets).await;
            }
        });
    }

    /// The room's name, for events to the user's sockets; `None` if the user has none here.
    async fn name_of(&self, room: RoomId, user: &str) -> Option<RoomName> {
        if self.connections.sockets(user).is_empty() {
            return None;
        }
        if let Some(room) = self.rooms.get(room) {
            return Some(room.name.clone());
        }
        match self.store.room(room).await {
            Ok(row) => RoomName::new(&row?.name).ok(),
            Err(error) => {
                tracing::warn!(room, %error, "failed to look up a room's name");
                None
            }
        }
    }

    fn moderated(self: Arc<Self>, room: Option<RoomId>, act: Announcement, position: LogPosition) {
        let user = act.event.user_id.as_deref().map(UserId::from);
        match (act.event.action, room, user) {
            (ModerationAction::Ban, None, Some(user)) => {
                moderation::apply_remote_ban(self, user, act, position);
            }
            (action, Some(room), user) => {
                let app = Arc::clone(&self);
                tokio::spawn(async move {
                    let here = app.rooms.get(room);
                    moderation::notify_concerned(&app, here.as_deref(), &act).await;
                });
                if let (ModerationAction::Ban, Some(user)) = (action, user) {
                    self.member_left(room, user, Removal::Banned);
                }
            }
            (_, None, _) => {
                tokio::spawn(async move { moderation::notify_concerned(&self, None, &act).await });
            }
        }
    }

    fn member_left(self: Arc<Self>, room: RoomId, user: UserId, reason: Removal) {
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
                None => drop(self.presence.leave(&user, room)),
            }
            self.presence.membership_changed(&user).await;
            if let Some(name) = self.name_of(room, &user).await {
                membership::notify_room_removed(&self, &user, &name, reason);
            }
        });
    }
}
