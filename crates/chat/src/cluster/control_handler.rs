//! Doing what all nodes must do. The node that wrote it has done it before; doing it once more changes nothing.

use std::sync::{Arc, atomic::Ordering};

use roomful_store::{LogEntry, RoomId};

use super::Cluster;
use crate::{admin, app::App, handlers::membership, log::control::Control, session::Session, types::UserId};

/// An entry of the cluster's own room has its turn.
pub(crate) fn obey(app: &Arc<App>, cluster: &Cluster, placed: &LogEntry) {
    let LogEntry {
        position: pos, entry, ..
    } = placed;
    let control: Control = match serde_json::from_str(&entry.body) {
        Ok(control) => control,
        // Of a newer version: then this one has nothing to do it with.
        Err(error) => return tracing::warn!(%error, "another node's command can't be read"),
    };
    // Two choices on two nodes: all end with the later one, whoever made it. And of a room's removal this node may have heard
    // nothing but an error, though it was done.
    let is_for_all = matches!(control, Control::Chose { .. } | Control::RoomDeleted { .. });
    if cluster.is_mine(&entry.user_id) && !is_for_all {
        return;
    }
    match control {
        Control::Joined { room, user } => joined(app, room, user.into()),
        Control::Left { room, user } => left(app, room, user.into()),
        Control::RoomDeleted { room } => {
            if let Some(room) = app.rooms.get(room) {
                let app = Arc::clone(app);
                tokio::spawn(async move { admin::clear_room(&app, &room).await });
            } else {
                for user in app.presence.everyone_in(room, usize::MAX) {
                    app.presence.leave(&user, room);
                }
            }
        }
        Control::SentAway { user } => {
            // Who has come since is welcome: this node is behind, not they.
            admin::close_sockets(app, &user, |session| session.since < *pos);
        }
        Control::Revoked { user, before } => {
            let serial = app.serials.fetch_add(1, Ordering::SeqCst);
            app.last_revocation.fetch_max(serial, Ordering::SeqCst);
            let void = |session: &Session| session.issued_at().is_none_or(|at| at < before);
            admin::close_sockets(app, &user, void);
        }
        Control::Chose { user, shown, seen_at } => {
            app.presence
                .chose_elsewhere(&user.into(), &shown.choice(), seen_at);
        }
        Control::Notified {
            id,
            notice,
            at,
            places,
        } => app.notifications.announce(&id, &notice, at, places),
    }
}

/// Unless the user has gone meanwhile.
fn joined(app: &Arc<App>, room: RoomId, user: UserId) {
    if !app.presence.is_here(&user) {
        return;
    }
    let app = Arc::clone(app);
    tokio::spawn(async move {
        if let Ok(Some(_)) = app.store.member(room, &user).await {
            app.presence.enter(&user, room);
        }
    });
}

/// Unless the user has come back meanwhile.
fn left(app: &Arc<App>, room: RoomId, user: UserId) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let here = app.rooms.get(room);
        let _one_change = match &here {
            Some(room) => Some(app.one_membership_change(&user, room).await),
            None => None,
        };
        match app.store.member(room, &user).await {
            Ok(Some(_)) => return,
            Ok(None) => {}
            // Rather out of the room by mistake than in it: who is a member joins again.
            Err(error) => tracing::warn!(%error, "who left a room on another node can't be looked up"),
        }
        match &here {
            Some(room) => membership::take_out(&app, room, &user).await,
            None => app.presence.leave(&user, room),
        }
    });
}
