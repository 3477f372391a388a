//! Giving a session back: from what the client shows to its rooms, with what it missed.

use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use roomful_socket::{Prepared, PrivateId, Reason, RecoveryRequest, Restored, Socket, SocketId};
use roomful_store::{LogEntry, LogPosition, Missed, Resume, Resumed, RoomRow, SessionKey};

use super::HANDOVER;
use crate::{
    app::App,
    cluster::UserMessage,
    handlers,
    log::view::Event,
    room::{Frame, Room, pending_join::PendingJoin},
    room_manager::RoomRef,
    session::Session,
    types::RoomName,
};

/// Under what a session is remembered: whoever reads the store can't take it.
pub(super) fn key(pid: &PrivateId) -> SessionKey {
    let hash = digest(&SHA256, pid.as_str().as_bytes());
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    SessionKey(key)
}

/// A session that is being given back; nobody else gets it meanwhile.
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

/// Gives a session back, if that can be done whole. The socket is then in its rooms, and what comes there waits.
pub(super) async fn restore(app: &Arc<App>, socket: &Socket, claim: &RecoveryRequest) -> Option<Restored> {
    let me = socket.state::<Session>().filter(|me| !me.plain)?;
    let outcome = try_restore(app, &me, socket, claim).await;
    app.metrics.resumed(outcome.is_ok());
    outcome
        .inspect_err(|why| tracing::debug!(user = ?me.user, why, "a session can't be given back"))
        .ok()
}

async fn try_restore(
    app: &Arc<App>,
    me: &Arc<Session>,
    socket: &Socket,
    claim: &RecoveryRequest,
) -> Result<Restored, &'static str> {
    let key = key(&claim.pid);
    // What the client names is a place in this order and in no other.
    let epoch = app.log.epoch();
    let seen = seen(app, &claim.offset)
        .await
        .ok_or("its offset is none of ours")?;
    if app.recovery.is_over(key) {
        return Err("its end is still to be noted");
    }
    let _claimed = Claimed::take(app, key).ok_or("it is being given back already")?;
    app.recovery.inherit(app).await.map_err(|_| "the store failed")?;
    end_other_connection(app, me, key).await?;
    let resumed = resume_in_store(app, me, key).await?;
    if let Some(cluster) = &app.cluster {
        // What another node still believes to be its connection carries nothing that counts any more.
        cluster.publish_to_user(&me.user, &UserMessage::TakenOver(key.0));
    }
    // From here on it is this connection's, and over if it can't be given back.
    let place = Place { epoch, seen };
    match rebuild(app, me, socket, key, &place, &resumed).await {
        Ok(restored) => {
            me.set_key(Some(key));
            app.connections.connected(&me.user, socket);
            Ok(restored)
        }
        Err(why) => {
            if let Err(error) = app.store.end_session(key, me.serial).await {
                tracing::debug!(%error, "a session can't be ended");
            }
            Err(why)
        }
    }
}

/// The place that the client names. Another node may have been ahead of this one: it goes on until it is there, too.
async fn seen(app: &App, offset: &str) -> Option<LogPosition> {
    let place = app.log.parse_offset(offset);
    if place.is_none() {
        app.follower.catch_up().await?;
        return app.log.parse_offset(offset);
    }
    place
}

/// A connection that still has the session is dead without knowing it. Its part here ends before another takes it up.
async fn end_other_connection(app: &App, me: &Session, key: SessionKey) -> Result<(), &'static str> {
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
    ended.map_err(|_| "its other connection does not end")
}

async fn resume_in_store(app: &App, me: &Session, key: SessionKey) -> Result<Resumed, &'static str> {
    let ask = Resume {
        key,
        owner: me.serial,
        user_id: me.user.to_string(),
        lost_since: app.clock.now_ms().saturating_sub(app.config.recovery.window_ms),
    };
    let resumed = app.store.resume_session(ask).await;
    resumed
        .map_err(|_| "the store failed")?
        .ok_or("it is not there, or not complete, or not theirs")
}

/// Up to where the client has seen the order.
struct Place {
    epoch: Arc<str>,
    seen: LogPosition,
}

async fn rebuild(
    app: &Arc<App>,
    me: &Arc<Session>,
    socket: &Socket,
    key: SessionKey,
    place: &Place,
    resumed: &Resumed,
) -> Result<Restored, &'static str> {
    let sid = SocketId::parse(&resumed.sid).ok_or("its id can't be read")?;
    if resumed.rooms.len() > app.config.limits.rooms_per_socket {
        return Err("it is in too many rooms");
    }
    let mut rooms = Vec::with_capacity(resumed.rooms.len());
    for subscribed in &resumed.rooms {
        rooms.push(room(app, me, &subscribed.room).await?);
    }
    if !rooms.iter().all(|room| room.is_caught_up()) {
        // A room that was opened just now stands where the store does. This node must not be behind that, or what lies
        // between would neither be missed nor be on its way.
        app.follower.catch_up().await.ok_or("the store failed")?;
        for room in &rooms {
            room.caught_up();
        }
    }
    let session = Arc::clone(me) as _;
    let joining = PendingJoin::begin(&app.log, session, socket, rooms, app.config.join_buffer);
    let joining = joining.await.map_err(|_| "the server failed")?;
    if *joining.epoch() != *place.epoch {
        return Err("the log was restored meanwhile");
    }
    // Asked again, now that the rooms are subscribed to: who was taken out of one just before is in it by mistake.
    if resume_in_store(app, me, key).await?.rooms.len() != resumed.rooms.len() {
        return Err("its rooms changed");
    }
    let after = resumed.rooms.iter().map(|subscribed| subscribed.after);
    let missed = missed(app, &joining, place.seen, after).await?;
    me.set_restored(joining);
    Ok(Restored { sid, missed })
}

async fn room(app: &App, me: &Session, row: &RoomRow) -> Result<RoomRef, &'static str> {
    let name = RoomName::new(&row.name).map_err(|_| "a room's name can't be read")?;
    if !me.allows(&name) {
        return Err("the token does not allow one of its rooms");
    }
    let found = app
        .rooms
        .open(&name, false)
        .await
        .map_err(|_| "the store failed")?;
    found.filter(|room| room.id == row.id).ok_or("a room is gone")
}

/// The events of the entries that the client has not seen, up to those that wait for it.
async fn missed(
    app: &App,
    joining: &PendingJoin,
    seen: LogPosition,
    after: impl Iterator<Item = u64>,
) -> Result<Vec<Prepared>, &'static str> {
    let limits = app.config.recovery;
    let ask = Missed {
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
    let entries = app.store.missed(ask).await.map_err(|_| "the store failed")?;
    let entries = entries.ok_or("it missed too much, or what is no longer kept")?;
    let find = |placed: &LogEntry| joining.rooms().iter().find(|(room, _)| room.id == placed.room);
    let frame = |placed: &LogEntry| frame(app, &find(placed)?.0, placed).map(|frame| frame.event);
    let events: Option<Vec<_>> = entries.iter().map(frame).collect();
    let events = events.ok_or("an entry can't be read")?;
    if events.iter().map(Prepared::len).sum::<usize>() > limits.max_bytes {
        return Err("what it missed is too large");
    }
    Ok(events)
}

fn frame(app: &App, room: &Room, placed: &LogEntry) -> Option<Frame> {
    let offset = app.log.offset(placed.position);
    Event::of(room, &placed.entry)?.frame(room, &app.namespace, offset.as_deref())
}

/// The client was let in, with what it missed on its way: what came meanwhile follows, then how things stand in its
/// rooms.
pub(crate) async fn resume(app: &Arc<App>, me: &Arc<Session>, socket: &Socket, joining: PendingJoin) {
    let rooms: Vec<_> = joining.rooms().iter().map(|(room, _)| room.clone()).collect();
    let Ok(seated) = joining.finish(|_| ()).await else {
        // It was told that it is in. It comes back from where it is.
        return socket.close(Reason::SlowConsumer);
    };
    let rooms = rooms
        .into_iter()
        .zip(seated)
        .filter_map(|(room, seated)| seated.then_some(room));
    let rooms: Vec<_> = rooms.collect();
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    app.presence.ensure_rooms_read(&ids).await;
    let mut shown = HashMap::new();
    for room in rooms {
        handlers::membership::enter(app, me, &room);
        socket.has_room().await;
        handlers::presence::show(app, socket, &room);
        shown.insert(room.id, room);
    }
    app.typing.show(socket, &shown);
}

/// A client to which its session was given back did not get in after all.
pub(super) fn abandon(app: &Arc<App>, socket: &Socket) {
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    drop(me.take_restored());
    app.connections.disconnected(&me.user, socket);
    let app = Arc::clone(app);
    tokio::spawn(async move { super::end(&app, &me, Reason::TransportClose).await });
}
