//! What the server keeps for one authenticated socket. Thousands of them idle, so it is small: no task, no table.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use parking_lot::Mutex;
use roomful_socket::Socket;
use roomful_store::{LogPosition, RoomId, SessionKey};
use tokio::sync::Semaphore;

use crate::{
    connections::ConnectionSlot,
    error::ChatError,
    middleware::rate_limit::ConnectionLimiter,
    notifications::tracker::Device,
    presence::tracker::{Choice, Recalled},
    room::{
        Subscriber,
        pending_join::{JoiningSession, PendingJoin},
    },
    room_manager::RoomRef,
    types::UserId,
    types::{Claims, RoomName},
};

/// An authenticated socket's state.
pub(crate) struct Session {
    /// Tells the sessions of a process apart.
    pub(crate) serial: u64,
    /// Where the order of all entries stood when it was let in: what was commanded up to there is not meant for it. 0 where
    /// there is one node.
    pub(crate) since: LogPosition,
    /// When it was admitted, in milliseconds of the monotonic clock.
    pub(crate) connected_ms: i64,
    /// Whose it is. Never changes.
    pub(crate) user: UserId,
    /// Which of the user's devices it is on; empty if it did not say.
    pub(crate) device: Device,
    /// Its client can't take up sessions, and wants no offsets.
    pub(crate) plain: bool,
    /// Its own bucket; `None` when the limits are off.
    pub(crate) limiter: Option<ConnectionLimiter>,
    /// One place for each send that may be under way.
    pub(crate) sends: Arc<Semaphore>,
    /// Events refused in a row for being too many.
    refusals: AtomicU32,
    /// Never held over an await, nor while another lock of this crate is asked for, but that of the rooms' index, under
    /// which nobody asks for any.
    life: Mutex<Life>,
    _slot: ConnectionSlot,
}

struct Life {
    claims: Claims,
    joined: Vec<RoomRef>,
    watching: Vec<UserId>,
    /// Under what its client may take it up again; `None` if it can't.
    key: Option<SessionKey>,
    /// What is remembered of its user, until they are online; `None` for most.
    recalled: Option<Box<Recalled>>,
    /// What was given back to it, until it is connected.
    restored: Option<Box<PendingJoin>>,
}

impl Session {
    pub(crate) fn new(
        (serial, since, connected_ms): (u64, LogPosition, i64),
        mut claims: Claims,
        (device, plain): (Device, bool),
        limiter: Option<ConnectionLimiter>,
        sends: usize,
        slot: ConnectionSlot,
    ) -> Self {
        // One copy of the id for all connections of the user.
        claims.user = slot.user();
        Self {
            serial,
            since,
            connected_ms,
            user: slot.user(),
            device,
            plain,
            limiter,
            sends: Arc::new(Semaphore::new(sends)),
            refusals: AtomicU32::new(0),
            life: Mutex::new(Life {
                claims,
                joined: Vec::new(),
                watching: Vec::new(),
                key: None,
                recalled: None,
                restored: None,
            }),
            _slot: slot,
        }
    }

    // ---- the token

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.life.lock().claims.name.clone()
    }

    pub(crate) fn expires_at(&self) -> i64 {
        self.life.lock().claims.expires_at
    }

    pub(crate) fn issued_at(&self) -> Option<i64> {
        self.life.lock().claims.issued_at
    }

    pub(crate) fn allows(&self, room: &RoomName) -> bool {
        self.life.lock().claims.allows(room.as_str())
    }

    /// Whether the token makes its user a moderator everywhere.
    pub(crate) fn is_moderator(&self) -> bool {
        self.life.lock().claims.moderator
    }

    /// A fresh token takes effect. The rooms which it no longer allows are given back, and are no longer joined.
    pub(crate) fn renew(&self, claims: Claims) -> Vec<RoomRef> {
        let mut life = self.life.lock();
        life.claims = claims;
        let Life { claims, joined, .. } = &mut *life;
        joined
            .extract_if(.., |room| !claims.allows(room.name.as_str()))
            .collect()
    }

    // ---- rooms

    /// The room of this name, if the socket is subscribed to it.
    pub(crate) fn joined(&self, name: &RoomName) -> Option<RoomRef> {
        self.life
            .lock()
            .joined
            .iter()
            .find(|room| room.name == *name)
            .cloned()
    }

    /// Whether one more room may be subscribed to, or it is subscribed to this one.
    ///
    /// # Errors
    /// `invalid_request` if there are as many as there may be.
    pub(crate) fn has_room_for(&self, name: &RoomName, most: usize) -> Result<(), ChatError> {
        if self.joined(name).is_none() && self.rooms() >= most {
            let message =
                format!("this connection is in {most} rooms, the most there may be; leave one first");
            return Err(ChatError::InvalidRequest(message));
        }
        Ok(())
    }

    /// How many rooms the socket is subscribed to.
    pub(crate) fn rooms(&self) -> usize {
        self.life.lock().joined.len()
    }

    /// Whether the socket is subscribed to one of these rooms.
    pub(crate) fn is_in_any(&self, rooms: &[RoomId]) -> bool {
        !rooms.is_empty()
            && self
                .life
                .lock()
                .joined
                .iter()
                .any(|room| rooms.contains(&room.id))
    }

    pub(crate) fn forget_room(&self, room: RoomId) {
        let mut life = self.life.lock();
        let gone = life
            .joined
            .iter()
            .position(|known| known.id == room)
            .map(|at| life.joined.swap_remove(at));
        drop(life);
        drop(gone);
    }

    pub(crate) fn take_rooms(&self) -> Vec<RoomRef> {
        std::mem::take(&mut self.life.lock().joined)
    }

    // ---- recovery

    /// Under what the session is remembered.
    pub(crate) fn key(&self) -> Option<SessionKey> {
        self.life.lock().key
    }

    /// The session is remembered under this key from now on, or not at all.
    pub(crate) fn set_key(&self, key: Option<SessionKey>) {
        self.life.lock().key = key;
    }

    pub(crate) fn set_restored(&self, restored: PendingJoin) {
        self.life.lock().restored = Some(Box::new(restored));
    }

    pub(crate) fn take_restored(&self) -> Option<Box<PendingJoin>> {
        self.life.lock().restored.take()
    }

    // ---- presence

    /// What is remembered of the user, for when they come online.
    pub(crate) fn recall(&self, recalled: Recalled) {
        // Of who simply shows as online nothing needs to be known.
        self.life.lock().recalled = (recalled.choice != Choice::default()).then(|| Box::new(recalled));
    }

    pub(crate) fn take_recalled(&self) -> Recalled {
        self.life
            .lock()
            .recalled
            .take()
            .map_or_else(Recalled::default, |recalled| *recalled)
    }

    /// Notes that the socket watches these users; false, and nothing noted, if that would be more than `most`.
    pub(crate) fn watch(&self, users: &[UserId], most: usize) -> bool {
        let mut life = self.life.lock();
        let new: Vec<_> = users
            .iter()
            .filter(|user| !life.watching.contains(user))
            .cloned()
            .collect();
        let fits = life.watching.len() + new.len() <= most;
        if fits {
            life.watching.extend(new);
        }
        fits
    }

    pub(crate) fn unwatch(&self, users: &[String]) {
        self.life
            .lock()
            .watching
            .retain(|known| !users.iter().any(|user| **user == **known));
    }

    pub(crate) fn take_watched(&self) -> Vec<UserId> {
        std::mem::take(&mut self.life.lock().watching)
    }

    // ---- limits

    /// An event was refused as one too many. How many that makes in a row.
    pub(crate) fn refused(&self) -> u32 {
        self.refusals.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(crate) fn accepted(&self) {
        self.refusals.store(0, Ordering::Relaxed);
    }

    /// Waits until all sends of this socket are answered, so that what comes after them takes effect after them.
    pub(crate) async fn sends_settled(&self, places: u32) {
        // An error would mean that the semaphore was closed, which nobody does.
        drop(self.sends.acquire_many(places).await);
    }
}

impl JoiningSession for Session {
    fn serial(&self) -> u64 {
        self.serial
    }

    fn subscriber(&self, socket: &Socket) -> Subscriber {
        Subscriber {
            socket: socket.clone(),
            user: Arc::clone(&self.user),
            plain: self.plain,
        }
    }

    fn joined_rooms(&self) -> Vec<RoomRef> {
        self.life.lock().joined.clone()
    }

    fn remember_room(&self, room: RoomRef) {
        let mut life = self.life.lock();
        if !life.joined.iter().any(|known| known.id == room.id) {
            // Most sockets are in one room: no capacity beyond that.
            life.joined.reserve_exact(1);
            life.joined.push(room);
        }
    }

    fn forget_room(&self, room: &RoomRef) {
        self.forget_room(room.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_is_small() {
        assert!(size_of::<Session>() <= 312, "{} bytes", size_of::<Session>());
    }
}
