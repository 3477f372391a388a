//! The state of one authenticated socket. Thousands of them idle, so it stays small: no task and no hash
//! table.

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
    middleware::rate_limit::ConnectionLimiter,
    notifications::tracker::Device,
    presence::tracker::{Choice, Recalled},
    recovery::refusal::Refusal,
    room::{
        Subscriber,
        pending_join::{JoiningSession, PendingJoin},
    },
    room_manager::RoomRef,
    types::{Claims, Profile, RoomName, UserId, Visibility},
};

/// The longest delay, in milliseconds, by which a session's retries of refused events are spread.
const LONGEST_SPREAD_MS: u32 = 10_000;

/// The state of one authenticated socket.
pub(crate) struct Session {
    /// A number that is unique within the process.
    pub(crate) serial: u64,
    /// The log position at admission: control entries up to it do not apply to this session. 0 on a single
    /// node.
    pub(crate) since: LogPosition,
    /// When it was admitted, in milliseconds of the monotonic clock.
    pub(crate) connected_ms: i64,
    /// The user's id. Never changes.
    pub(crate) user: UserId,
    /// The device's name, empty if the client gave none.
    pub(crate) device: Device,
    /// The client cannot recover sessions, so its events carry no offsets.
    pub(crate) plain: bool,
    /// The connection's own bucket; `None` without rate limits.
    pub(crate) limiter: Option<ConnectionLimiter>,
    /// One permit for each send in flight.
    pub(crate) sends: Arc<Semaphore>,
    /// Rate-limit tokens for answers already sent, which the next event pays.
    pub(crate) owed: AtomicU32,
    /// The second in which the client last sent a ping, on the monotonic clock.
    pinged_in: AtomicU32,
    /// Consecutive events refused by rate limits.
    refusals: AtomicU32,
    /// The end of the last retry slot, in milliseconds of the monotonic clock, which may wrap around.
    retry_slot: AtomicU32,
    /// Never held across an await. Under it, code may take the lock of the rooms' index, and no other.
    state: Mutex<SessionState>,
}

struct SessionState {
    claims: Claims,
    /// The time under which the socket waits for the end of its token.
    expiry_due: i64,
    joined: Vec<RoomRef>,
    /// The users it is subscribed to, sorted by id.
    watching: Vec<Watched>,
    /// The recovery key; `None` if the session cannot be recovered.
    key: Option<SessionKey>,
    /// Why the client did not get its earlier session back. `None` if it did, or did not ask.
    refused_recovery: Option<Refusal>,
    /// The user's stored status until presence takes it; `None` for most.
    recalled: Option<Box<Recalled>>,
    /// The recovered rooms until the socket is connected, and the position of the client's offset.
    restored: Option<Box<(PendingJoin, LogPosition)>>,
    /// The place among the user's connections, until the session ends.
    slot: Option<ConnectionSlot>,
}

/// A user whose presence a session is subscribed to.
struct Watched {
    user: UserId,
    /// Whether both share a room.
    shares: Known,
    /// Whether the watched user has blocked the session's user.
    blocked: Known,
}

/// A fact that was read from the store.
#[derive(Clone, Copy, Default)]
struct Known {
    holds: bool,
    /// The number of the read. A later read knows at least as much.
    read: u64,
}

impl Known {
    /// Takes the result of a read, unless a later one is known already.
    fn learn(&mut self, holds: bool, read: u64) {
        if read >= self.read {
            *self = Known { holds, read };
        }
    }
}

impl SessionState {
    fn sees_everyone(&self) -> bool {
        self.claims.sees == Some(Visibility::Everyone)
    }

    /// The index of a user it is subscribed to.
    fn find_watched(&self, user: &str) -> Result<usize, usize> {
        self.watching.binary_search_by(|known| (*known.user).cmp(user))
    }

    /// Changes the known state of a user it is subscribed to. Returns true if the session's view changes.
    fn change_watched(&mut self, user: &str, change: impl FnOnce(&mut Watched)) -> bool {
        let everyone = self.sees_everyone();
        let Ok(at) = self.find_watched(user) else {
            return false;
        };
        let Some(watched) = self.watching.get_mut(at) else {
            return false;
        };
        let before = watched.is_visible(everyone);
        change(watched);
        watched.is_visible(everyone) != before
    }
}

impl Watched {
    /// True if the session sees the user, given whether it sees all users except those who blocked it.
    fn is_visible(&self, everyone: bool) -> bool {
        !self.blocked.holds && (everyone || self.shares.holds)
    }
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
        // All connections of the user share one copy of the id.
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
            owed: AtomicU32::new(0),
            pinged_in: AtomicU32::new(u32::MAX),
            refusals: AtomicU32::new(0),
            retry_slot: AtomicU32::new(0),
            state: Mutex::new(SessionState {
                claims,
                expiry_due: 0,
                joined: Vec::new(),
                watching: Vec::new(),
                key: None,
                refused_recovery: None,
                recalled: None,
                restored: None,
                slot: Some(slot),
            }),
        }
    }

    // ---- the token

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.state.lock().claims.name.clone()
    }

    pub(crate) fn avatar(&self) -> Option<Arc<str>> {
        self.state.lock().claims.avatar.clone()
    }

    /// Takes the stored profile, unless the token is newer.
    pub(crate) fn adopt_profile(&self, stored: &Profile) {
        let claims = &mut self.state.lock().claims;
        let profile = stored.with_claims(claims);
        claims.name = profile.name;
        claims.avatar = profile.avatar;
    }

    /// The user's profile was changed.
    pub(crate) fn set_profile(&self, profile: &Profile) {
        let claims = &mut self.state.lock().claims;
        claims.name.clone_from(&profile.name);
        claims.avatar.clone_from(&profile.avatar);
    }

    pub(crate) fn expires_at(&self) -> i64 {
        self.state.lock().claims.expires_at
    }

    pub(crate) fn expiry_due(&self) -> i64 {
        self.state.lock().expiry_due
    }

    pub(crate) fn set_expiry_due(&self, at: i64) {
        self.state.lock().expiry_due = at;
    }

    pub(crate) fn issued_at(&self) -> Option<i64> {
        self.state.lock().claims.issued_at
    }

    pub(crate) fn allows(&self, room: &RoomName) -> bool {
        self.state.lock().claims.allows(room.as_str())
    }

    /// Whether the token has the moderator role, which holds in every room.
    pub(crate) fn is_moderator(&self) -> bool {
        self.state.lock().claims.moderator
    }

    /// Whether a token with these claims allows the same rooms as the present one.
    pub(crate) fn has_rooms_of(&self, claims: &Claims) -> bool {
        self.state.lock().claims.rooms == claims.rooms
    }

    /// Replaces the claims. Removes and returns the rooms that the new ones do not allow.
    pub(crate) fn renew(&self, claims: Claims) -> Vec<RoomRef> {
        let mut state = self.state.lock();
        state.claims = claims;
        let SessionState { claims, joined, .. } = &mut *state;
        joined
            .extract_if(.., |room| !claims.allows(room.name.as_str()))
            .collect()
    }

    /// Gives back the user's place for a connection. The socket may outlive its session: its transport can
    /// stay open for another namespace.
    pub(crate) fn give_back_slot(&self) {
        let slot = self.state.lock().slot.take();
        drop(slot);
    }

    // ---- rooms

    /// The room of this name, if this socket is subscribed.
    pub(crate) fn joined(&self, name: &RoomName) -> Option<RoomRef> {
        self.state
            .lock()
            .joined
            .iter()
            .find(|room| room.name == *name)
            .cloned()
    }

    /// The rooms that this socket is subscribed to.
    pub(crate) fn all_joined(&self) -> Vec<RoomRef> {
        self.state.lock().joined.clone()
    }

    /// How many rooms this socket is subscribed to.
    pub(crate) fn rooms(&self) -> usize {
        self.state.lock().joined.len()
    }

    /// Whether this socket is subscribed to at least one of these rooms.
    pub(crate) fn is_in_any(&self, rooms: &[RoomId]) -> bool {
        !rooms.is_empty()
            && self
                .state
                .lock()
                .joined
                .iter()
                .any(|room| rooms.contains(&room.id))
    }

    pub(crate) fn forget_room(&self, room: RoomId) {
        let mut state = self.state.lock();
        let gone = state
            .joined
            .iter()
            .position(|known| known.id == room)
            .map(|at| state.joined.swap_remove(at));
        drop(state);
        drop(gone);
    }

    pub(crate) fn take_rooms(&self) -> Vec<RoomRef> {
        std::mem::take(&mut self.state.lock().joined)
    }

    // ---- recovery

    /// The key under which the store remembers the session.
    pub(crate) fn key(&self) -> Option<SessionKey> {
        self.state.lock().key
    }

    /// Changes the recovery key; `None` gives up recovery.
    pub(crate) fn set_key(&self, key: Option<SessionKey>) {
        self.state.lock().key = key;
    }

    pub(crate) fn set_refused_recovery(&self, refusal: Option<Refusal>) {
        self.state.lock().refused_recovery = refusal;
    }

    /// Why the client did not get its earlier session back. `None` if it did, or did not ask.
    pub(crate) fn refused_recovery(&self) -> Option<Refusal> {
        self.state.lock().refused_recovery
    }

    pub(crate) fn set_restored(&self, rooms: PendingJoin, seen: LogPosition) {
        self.state.lock().restored = Some(Box::new((rooms, seen)));
    }

    pub(crate) fn take_restored(&self) -> Option<Box<(PendingJoin, LogPosition)>> {
        self.state.lock().restored.take()
    }

    // ---- presence

    /// Keeps the user's stored status until presence takes it.
    pub(crate) fn recall(&self, recalled: Recalled) {
        // The default status needs no memory.
        self.state.lock().recalled = (recalled.choice != Choice::default()).then(|| Box::new(recalled));
    }

    pub(crate) fn take_recalled(&self) -> Recalled {
        self.state
            .lock()
            .recalled
            .take()
            .map_or_else(Recalled::default, |recalled| *recalled)
    }

    /// Adds users to the socket's presence subscriptions, unseen for now. Returns false, and adds none, if
    /// the total would exceed `most`.
    pub(crate) fn watch(&self, users: &[UserId], most: usize) -> bool {
        let mut state = self.state.lock();
        let new: Vec<_> = users
            .iter()
            .filter(|user| state.find_watched(user).is_err())
            .cloned()
            .collect();
        let fits = state.watching.len() + new.len() <= most;
        if fits {
            state.watching.extend(new.into_iter().map(|user| Watched {
                user,
                shares: Known::default(),
                blocked: Known::default(),
            }));
            state
                .watching
                .sort_unstable_by(|one, other| one.user.cmp(&other.user));
        }
        fits
    }

    pub(crate) fn unwatch(&self, users: &[String]) {
        let mut state = self.state.lock();
        state
            .watching
            .retain(|known| !users.iter().any(|user| **user == *known.user));
    }

    pub(crate) fn take_watched(&self) -> Vec<UserId> {
        let watching = std::mem::take(&mut self.state.lock().watching);
        watching.into_iter().map(|watched| watched.user).collect()
    }

    /// The users it is subscribed to.
    pub(crate) fn watched(&self) -> Vec<UserId> {
        let state = self.state.lock();
        state
            .watching
            .iter()
            .map(|watched| watched.user.clone())
            .collect()
    }

    /// True if the user sees the presence of all users except those who blocked them.
    pub(crate) fn sees_everyone(&self) -> bool {
        self.state.lock().sees_everyone()
    }

    /// Whether it sees the presence of a user it is subscribed to.
    pub(crate) fn sees(&self, user: &str) -> bool {
        let state = self.state.lock();
        let watched = state
            .find_watched(user)
            .ok()
            .and_then(|at| state.watching.get(at));
        watched.map_or(state.sees_everyone(), |watched| {
            watched.is_visible(state.sees_everyone())
        })
    }

    /// Whether it would see the presence of a user it is subscribed to, if there were no blocks.
    pub(crate) fn sees_unless_blocked(&self, user: &str) -> bool {
        let state = self.state.lock();
        let watched = state
            .find_watched(user)
            .ok()
            .and_then(|at| state.watching.get(at));
        state.sees_everyone() || watched.is_some_and(|watched| watched.shares.holds)
    }

    /// The number of users whose presence this session subscribes to.
    pub(crate) fn watched_count(&self) -> usize {
        self.state.lock().watching.len()
    }

    /// Stores whether this session's user shares a room with `user`, whose presence it subscribes to. `read`
    /// orders the reads: an older one changes nothing. Returns whether the presence it sees changes.
    pub(crate) fn set_sharing(&self, user: &str, shares: bool, read: u64) -> bool {
        self.state
            .lock()
            .change_watched(user, |watched| watched.shares.learn(shares, read))
    }

    /// Stores whether `user`, whose presence it subscribes to, has blocked this session's user. `read` and
    /// the result are those of [`Self::set_sharing`].
    pub(crate) fn set_blocked(&self, user: &str, blocked: bool, read: u64) -> bool {
        self.state
            .lock()
            .change_watched(user, |watched| watched.blocked.learn(blocked, read))
    }

    // ---- limits

    /// Whether a `session:ping` costs no rate-limit token: the first one in each second does not.
    pub(crate) fn may_ping_free(&self, monotonic_ms: i64) -> bool {
        let second = u32::try_from(monotonic_ms.div_euclid(1_000)).unwrap_or(u32::MAX);
        self.pinged_in.swap(second, Ordering::Relaxed) != second
    }

    /// Adds tokens to the price of the next event, for an answer whose cost is known only now.
    pub(crate) fn add_debt(&self, tokens: u32) {
        self.owed.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Counts a refused event. Returns how many were refused in a row.
    pub(crate) fn refused(&self) -> u32 {
        self.refusals.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// The wait after which a refused event can pass: at least `wait_ms`, and `slot_ms` after the time that
    /// the previous refusal named. So events that are refused together come back one after the other.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the slots' arithmetic is modulo 2^32, and their distance is bounded"
    )]
    pub(crate) fn retry_after(&self, monotonic_ms: i64, wait_ms: u64, slot_ms: u32) -> u64 {
        let earliest = (monotonic_ms as u32).wrapping_add(wait_ms as u32);
        let ahead = self.retry_slot.load(Ordering::Relaxed).wrapping_sub(earliest);
        let ahead = if ahead <= LONGEST_SPREAD_MS { ahead } else { 0 };
        let slot_end = earliest.wrapping_add(ahead).wrapping_add(slot_ms);
        self.retry_slot.store(slot_end, Ordering::Relaxed);
        wait_ms.saturating_add(ahead.into())
    }

    pub(crate) fn accepted(&self) {
        self.refusals.store(0, Ordering::Relaxed);
    }

    /// Waits until this socket's earlier sends have their answers, which keeps its events in order.
    pub(crate) async fn sends_settled(&self, places: u32) {
        // Acquiring fails only on a closed semaphore, and this one is never closed.
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
        self.all_joined()
    }

    fn remember_room(&self, room: RoomRef) {
        let mut state = self.state.lock();
        if !state.joined.iter().any(|known| known.id == room.id) {
            // Most sockets are in one room: no capacity beyond that.
            state.joined.reserve_exact(1);
            state.joined.push(room);
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
        assert!(size_of::<Session>() <= 360, "{} bytes", size_of::<Session>());
    }
}
