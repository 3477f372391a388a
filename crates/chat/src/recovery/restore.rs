//! Recovery of one session: from the client's pid and offset to its rooms and missed events.

use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use roomful_socket::{Prepared, PrivateId, Reason, RecoveryRequest, Restored, Socket, SocketId};
use roomful_store::{LogEntry, LogPosition, Missed, Resume, Resumed, RoomRow, SessionKey};

use super::{HANDOVER, refusal::Refusal};
use crate::{
    app::App, cluster::UserMessage, handlers, log::view::Event, room::pending_join::PendingJoin,
    room_manager::RoomRef, session::Session, standing, types::RoomName,
};

/// The store's key of a session: a hash, so that a reader of the store cannot claim the session.
pub(super) fn key(pid: &PrivateId) -> SessionKey {
    let hash = digest(&SHA256, pid.as_str().as_bytes());
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    SessionKey(key)
}

/// A claimed session. While it exists, no other connection can recover the same one.
struct Claimed<'a> {
    app: &'a App,
    key: SessionKey,
}

impl<'a> Claimed<'a> {
    fn take(app: &'a App, key: SessionKey) -> Option<Self> {
        let is_first = app.recovery.restoring.lock().insert(key);
        is_first.then(|| Self { app, key })
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.app.recovery.restoring.lock().remove(&self.key);
    }
}

/// Recovers a session completely or not at all. On success the socket is subscribed to its rooms, with new
/// entries buffered.
pub(super) async fn restore(app: &Arc<App>, socket: &Socket, claim: &RecoveryRequest) -> Option<Restored> {
    let me = socket.state::<Session>().filter(|me| !me.plain)?;
    let outcome = try_restore(app, &me, socket, claim).await;
    let refusal = outcome.as_ref().err().copied();
    app.metrics.resumed(refusal);
    me.set_refused_recovery(refusal);
    outcome
        .inspect_err(|error| tracing::debug!(user = ?me.user, %error, "failed to recover a session"))
        .ok()
}

async fn try_restore(
    app: &Arc<App>,
    me: &Arc<Session>,
    socket: &Socket,
    claim: &RecoveryRequest,
) -> Result<Restored, Refusal> {
    let key = key(&claim.pid);
    // The offset is valid in the current epoch only.
    let epoch = app.log.epoch();
    let seen = seen(app, &claim.offset).await.ok_or(Refusal::ForeignOffset)?;
    if app.recovery.is_over(key) {
        return Err(Refusal::EndNotStored);
    }
    let _claimed = Claimed::take(app, key).ok_or(Refusal::AlreadyRecovering)?;
    app.recovery
        .inherit(app)
        .await
        .map_err(|_| Refusal::StoreFailed)?;
    end_other_connection(app, me, key).await?;
    let resumed = resume_in_store(app, me, key).await?;
    if let Some(cluster) = &app.cluster {
        // Another node may still believe it has the connection. Tell it to close.
        cluster.publish_to_user(&me.user, &UserMessage::TakenOver(key.0));
    }
    // From here on this connection owns the session, and ends it on failure.
    let place = ClientPosition { epoch, seen };
    match rebuild(app, me, socket, key, &place, &resumed).await {
        Ok(restored) => {
            me.set_key(Some(key));
            app.connections.connected(&me.user, socket);
            Ok(restored)
        }
        Err(why) => {
            if let Err(error) = app.store.end_session(key, me.serial).await {
                tracing::debug!(%error, "failed to end a session in the store");
            }
            Err(why)
        }
    }
}

/// The position of the client's offset. If another node was ahead of this one, catch up first.
async fn seen(app: &App, offset: &str) -> Option<LogPosition> {
    let place = app.log.parse_offset(offset);
    if place.is_none() {
        app.follower.catch_up().await?;
        return app.log.parse_offset(offset);
    }
    place
}

/// Closes a half-open connection that still owns the session and waits for its cleanup.
async fn end_other_connection(app: &App, me: &Session, key: SessionKey) -> Result<(), Refusal> {
    let has_it = |socket: &Socket| {
        socket
            .state::<Session>()
            .is_some_and(|other| other.key() == Some(key))
    };
    for other in app.connections.sockets(&me.user) {
        if has_it(&other) {
            other.close(Reason::ForcedClose);
        }
    }
    let ended = app.connections.none_left(&me.user, has_it);
    let ended = tokio::time::timeout(HANDOVER, ended).await;
    ended.map_err(|_| Refusal::StillConnected)
}

async fn resume_in_store(app: &App, me: &Session, key: SessionKey) -> Result<Resumed, Refusal> {
    let ask = Resume {
        key,
        owner: me.serial,
        user_id: me.user.to_string(),
        lost_since: app.clock.now_ms().saturating_sub(app.config.recovery.window_ms),
    };
    let resumed = app.store.resume_session(ask).await;
    resumed
        .map_err(|_| Refusal::StoreFailed)?
        .ok_or(Refusal::UnknownSession)
}

/// The client's position in the log.
struct ClientPosition {
    epoch: Arc<str>,
    seen: LogPosition,
}

async fn rebuild(
    app: &Arc<App>,
    me: &Arc<Session>,
    socket: &Socket,
    key: SessionKey,
    place: &ClientPosition,
    resumed: &Resumed,
) -> Result<Restored, Refusal> {
    let sid = SocketId::parse(&resumed.sid).ok_or(Refusal::Malformed)?;
    if resumed.rooms.len() > app.config.limits.rooms_per_socket {
        return Err(Refusal::TooManyRooms);
    }
    let rooms = open_rooms(app, me, resumed).await?;
    if !rooms.iter().all(|room| room.is_caught_up()) {
        // A newly opened room starts at the store's head. Catch up to it, or entries in between would be
        // neither missed nor buffered.
        app.follower.catch_up().await.ok_or(Refusal::StoreFailed)?;
        for room in &rooms {
            room.caught_up();
        }
    }
    let session = Arc::clone(me) as _;
    let joining = PendingJoin::begin(&app.log, session, socket, rooms, app.config.join_buffer);
    let joining = joining.await.map_err(|_| Refusal::ServerFailed)?;
    if *joining.epoch() != *place.epoch {
        return Err(Refusal::LogRestored);
    }
    let after = resumed.rooms.iter().map(|subscribed| subscribed.after);
    let missed = missed(app, me, &joining, key, place.seen, after).await?;
    me.set_restored(joining, place.seen);
    Ok(Restored { sid, missed })
}

/// The rooms of the session, from one call of the store.
async fn open_rooms(app: &App, me: &Session, resumed: &Resumed) -> Result<Vec<RoomRef>, Refusal> {
    let rows = || resumed.rooms.iter().map(|subscribed| &subscribed.room);
    let names: Result<Vec<_>, _> = rows().map(|row| RoomName::new(&row.name)).collect();
    let names = names.map_err(|_| Refusal::Malformed)?;
    if !names.iter().all(|name| me.allows(name)) {
        return Err(Refusal::RoomNotAllowed);
    }
    let names: Vec<_> = names.iter().collect();
    let found = app.rooms.open_all(&names).await;
    let found = found.map_err(|_| Refusal::StoreFailed)?;
    let same = |(found, row): (Option<RoomRef>, &RoomRow)| found.filter(|room| room.id == row.id);
    let rooms: Option<_> = found.into_iter().zip(rows()).map(same).collect();
    rooms.ok_or(Refusal::RoomDeleted)
}

/// The events after the client's position, up to the first buffered one.
async fn missed(
    app: &App,
    me: &Session,
    joining: &PendingJoin,
    key: SessionKey,
    seen: LogPosition,
    after: impl Iterator<Item = u64>,
) -> Result<Vec<Prepared>, Refusal> {
    let limits = app.config.recovery;
    let ask = Missed {
        // Checked again after subscribing: a membership may have ended just before.
        session: Some((key, me.serial)),
        rooms: joining
            .rooms()
            .iter()
            .map(|(room, _)| room.id)
            .zip(after)
            .collect(),
        after: seen,
        upto: joining.upto(),
        most: limits.max_events,
        most_bytes: limits.max_bytes,
    };
    let entries = app.store.missed(ask).await.map_err(|_| Refusal::StoreFailed)?;
    let entries = entries.ok_or(Refusal::TooManyMissed)?;
    let authors = entries.iter().map(|logged| logged.entry.user_id.as_str());
    let authors = app.profiles.of_authors(authors).await;
    let frame = |LogEntry {
                     position,
                     room,
                     entry,
                 }: &LogEntry| {
        let (room, _) = joining.rooms().iter().find(|(joined, _)| joined.id == *room)?;
        let avatar = authors
            .get(entry.user_id.as_str())
            .and_then(|author| author.avatar.clone());
        let offset = app.log.offset(*position);
        let frame = Event::of(room, entry, avatar)?.frame(room, &app.namespace, offset.as_deref())?;
        Some(frame.for_user(&me.user).event.clone())
    };
    let events: Option<Vec<_>> = entries.iter().map(frame).collect();
    let events = events.ok_or(Refusal::Malformed)?;
    if events.iter().map(Prepared::len).sum::<usize>() > limits.max_bytes {
        return Err(Refusal::MissedTooLarge);
    }
    Ok(events)
}

/// Finishes a recovery after the client got its missed events: releases the buffers, then sends the current
/// presence and typing of its rooms, and what the user may do there. `seen` is the position of the client's
/// offset.
pub(crate) async fn resume(
    app: &Arc<App>,
    me: &Arc<Session>,
    socket: &Socket,
    (joining, seen): (PendingJoin, LogPosition),
) {
    let rooms: Vec<_> = joining.rooms().iter().map(|(room, _)| room.clone()).collect();
    let Ok(seated) = joining.finish(|_| ()).await else {
        // The client believes it is connected. A reconnect recovers from its last event.
        return socket.close(Reason::SlowConsumer);
    };
    let rooms = rooms
        .into_iter()
        .zip(seated)
        .filter_map(|(room, seated)| seated.then_some(room));
    let rooms: Vec<_> = rooms.collect();
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    app.presence.ensure_rooms_read(&ids).await;
    handlers::presence::load_profiles(app, &ids).await;
    standing::show(app, me, socket, (&rooms, seen)).await;
    let mut shown = HashMap::new();
    for room in rooms {
        handlers::membership::enter(app, me, &room);
        socket.has_room().await;
        handlers::presence::show(app, socket, &room).await;
        shown.insert(room.id, room);
    }
    app.typing.show(socket, &shown);
}

/// Cleans up after a recovery whose client never connected.
pub(super) fn abandon(app: &Arc<App>, socket: &Socket) {
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    drop(me.take_restored());
    app.connections.disconnected(&me.user, socket);
    let app = Arc::clone(app);
    tokio::spawn(async move { super::end(&app, &me, Reason::TransportClose).await });
}
