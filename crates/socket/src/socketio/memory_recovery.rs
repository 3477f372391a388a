//! Connection state recovery in the memory of one server: the latest events of a namespace, and the
//! sessions of clients that were lost.

use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use roomful_wire::packet::Payload;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    Socket,
    recovery::{PrivateId, Recovery, RecoveryRequest, Restored, Restoring},
};
use crate::{id::SocketId, prepared::Prepared, reason::Reason};

/// Bytes that an event costs beside its frame, roughly.
const ENTRY_OVERHEAD: usize = 128;

/// Limits of connection state recovery in memory, for [`crate::Builder::connection_state_recovery`]. They
/// hold for each namespace.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecoveryLimits {
    /// How long a lost client may take to return (2 min).
    pub max_disconnection: Duration,
    /// Events kept (10,000). A client that missed more starts a new session.
    pub max_events: usize,
    /// Bytes of events kept (16 MiB).
    pub max_bytes: usize,
    /// Sessions of lost clients kept (10,000). The oldest are forgotten first.
    pub max_sessions: usize,
}

impl Default for RecoveryLimits {
    fn default() -> Self {
        RecoveryLimits {
            max_disconnection: Duration::from_mins(2),
            max_events: 10_000,
            max_bytes: 16 * 1024 * 1024,
            max_sessions: 10_000,
        }
    }
}

/// The recipients of an event.
#[derive(Debug, Default)]
pub(super) struct Recipients {
    /// None means all sockets.
    pub(super) rooms: SmallVec<[Arc<str>; 1]>,
    pub(super) except: SmallVec<[Arc<str>; 1]>,
    pub(super) except_socket: Option<SocketId>,
}

impl Recipients {
    /// Whether a socket with this id in these rooms is one of them.
    fn include(&self, id: SocketId, rooms: &[Arc<str>]) -> bool {
        let is_in = |room: &Arc<str>| **room == *id.as_str() || rooms.contains(room);
        let included = self.rooms.is_empty() || self.rooms.iter().any(is_in);
        included && self.except_socket != Some(id) && !self.except.iter().any(is_in)
    }
}

/// The events and sessions of one namespace.
pub(super) struct MemoryRecovery {
    limits: RecoveryLimits,
    /// Tells the offsets of this run from those of others.
    epoch: u32,
    /// Held while an event is sent, so that all clients get events in the order of their offsets, and a
    /// client enters between two events. Locked before the sockets' and rooms' locks.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Logged>,
    bytes: usize,
    /// The number of the next event.
    next: u64,
    /// Private ids of connected sockets.
    live: HashMap<SocketId, PrivateId>,
    lost: HashMap<PrivateId, LostSession>,
    /// Lost sessions in the order of their end. Some may have returned.
    order: VecDeque<(Instant, PrivateId)>,
}

struct Logged {
    recipients: Recipients,
    event: Prepared,
}

#[derive(Clone)]
struct LostSession {
    sid: SocketId,
    rooms: Vec<Arc<str>>,
    data: Option<Arc<dyn Any + Send + Sync>>,
    until: Instant,
}

impl State {
    /// The number of the oldest event kept.
    fn first(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    fn trim(&mut self, limits: &RecoveryLimits) {
        while self.events.len() > limits.max_events || self.bytes > limits.max_bytes {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes -= oldest.event.len() + ENTRY_OVERHEAD;
        }
    }

    /// Forgets sessions that have expired or exceed the limit.
    fn expire(&mut self, limits: &RecoveryLimits) {
        let now = Instant::now();
        while let Some((until, pid)) = self.order.front() {
            if *until > now && self.order.len() <= limits.max_sessions {
                return;
            }
            // A client that was lost again has a later entry.
            if self.lost.get(pid).is_some_and(|session| session.until == *until) {
                self.lost.remove(pid);
            }
            self.order.pop_front();
        }
    }

    /// How many of the kept events are not after `offset`. `None` if some after it are not kept any more.
    fn skipped(&self, offset: u64) -> Option<usize> {
        let skipped = (offset + 1).checked_sub(self.first())?;
        usize::try_from(skipped).ok().filter(|_| offset < self.next)
    }

    /// The events after `offset` for a socket. `None` if some are not kept any more.
    fn missed(&self, offset: u64, id: SocketId, rooms: &[Arc<str>]) -> Option<Vec<Prepared>> {
        let events = self.events.iter().skip(self.skipped(offset)?);
        let missed = events.filter(|logged| logged.recipients.include(id, rooms));
        Some(missed.map(|logged| logged.event.clone()).collect())
    }
}

impl MemoryRecovery {
    pub(super) fn new(limits: RecoveryLimits) -> Self {
        MemoryRecovery {
            limits,
            epoch: rand::random(),
            state: Mutex::default(),
        }
    }

    /// Encodes an event with its offset, keeps it, and sends it before the next one.
    pub(super) fn emit<T>(
        &self,
        namespace: &str,
        event: &str,
        payload: &Payload,
        recipients: Recipients,
        send: impl FnOnce(&Prepared) -> T,
    ) -> T {
        let mut state = self.state.lock();
        let offset = format!("{:x}.{:x}", self.epoch, state.next);
        let event = Prepared::event_at(namespace, event, payload, &offset);
        state.next += 1;
        state.bytes += event.len() + ENTRY_OVERHEAD;
        state.events.push_back(Logged {
            recipients,
            event: event.clone(),
        });
        state.trim(&self.limits);
        send(&event)
    }

    /// Keeps the session of a socket that leaves for this reason.
    pub(super) fn keep(
        &self,
        socket: SocketId,
        rooms: Vec<Arc<str>>,
        data: Option<Arc<dyn Any + Send + Sync>>,
        reason: Reason,
    ) {
        let mut state = self.state.lock();
        let Some(pid) = state.live.remove(&socket) else {
            return;
        };
        if !reason.is_recoverable() {
            return;
        }
        let until = Instant::now() + self.limits.max_disconnection;
        let session = LostSession {
            sid: socket,
            rooms,
            data,
            until,
        };
        state.lost.insert(pid, session);
        state.order.push_back((until, pid));
        state.expire(&self.limits);
    }

    /// Forgets a socket that did not enter.
    pub(super) fn forget(&self, socket: SocketId) {
        self.state.lock().live.remove(&socket);
    }

    fn number(&self, offset: &str) -> Option<u64> {
        let (epoch, number) = offset.split_once('.')?;
        let epoch = u32::from_str_radix(epoch, 16).ok()?;
        let number = u64::from_str_radix(number, 16).ok()?;
        (epoch == self.epoch && number < u64::MAX).then_some(number)
    }
}

impl Recovery for MemoryRecovery {
    fn begin(&self, socket: &Socket, pid: &PrivateId) -> bool {
        self.state.lock().live.insert(*socket.id(), *pid);
        true
    }

    fn restore<'a>(&'a self, socket: &'a Socket, request: &'a RecoveryRequest) -> Restoring<'a> {
        let lost = {
            let mut state = self.state.lock();
            state.expire(&self.limits);
            let complete = self
                .number(&request.offset)
                .is_some_and(|offset| state.skipped(offset).is_some());
            state.lost.get(&request.pid).filter(|_| complete).cloned()
        };
        let restored = lost.map(|lost| {
            for room in &lost.rooms {
                socket.join(room);
            }
            socket.restore_state(lost.data);
            Restored {
                sid: lost.sid,
                missed: Vec::new(),
            }
        });
        Box::pin(std::future::ready(restored))
    }

    fn enter(
        &self,
        socket: &Socket,
        request: &RecoveryRequest,
        restored: Restored,
        enter: &mut dyn FnMut(&Restored) -> bool,
    ) -> bool {
        let mut state = self.state.lock();
        let missed = self
            .number(&request.offset)
            .and_then(|offset| state.missed(offset, restored.sid, &socket.rooms()));
        // Another connection may have taken the session, and events may have been dropped meanwhile.
        let (Some(missed), Some(lost)) = (missed, state.lost.remove(&request.pid)) else {
            drop(state);
            socket.close(Reason::ForcedClose);
            return false;
        };
        let entered = enter(&Restored { missed, ..restored });
        if entered {
            state.live.insert(lost.sid, request.pid);
        } else {
            state.lost.insert(request.pid, lost);
        }
        entered
    }

    fn abandon(&self, _: &Socket) {
        // The session is still kept.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(max_events: usize) -> MemoryRecovery {
        MemoryRecovery::new(RecoveryLimits {
            max_events,
            ..RecoveryLimits::default()
        })
    }

    fn emit(log: &MemoryRecovery, room: Option<&str>) -> u64 {
        let rooms = room.map(Arc::from).into_iter().collect();
        let recipients = Recipients {
            rooms,
            ..Recipients::default()
        };
        log.emit("/", "event", &Payload::empty(), recipients, |_| ());
        log.state.lock().next - 1
    }

    #[test]
    fn missed_events_are_those_after_the_offset_for_the_sockets_rooms() {
        let (log, id) = (log(10), SocketId::random());
        let first = emit(&log, None);
        emit(&log, Some("a"));
        emit(&log, Some("b"));
        emit(&log, Some(id.as_str()));
        let missed = |offset, rooms: &[Arc<str>]| log.state.lock().missed(offset, id, rooms).map(|m| m.len());
        assert_eq!(missed(first, &["a".into()]), Some(2));
        assert_eq!(missed(first, &[]), Some(1));
        assert_eq!(missed(first + 3, &[]), Some(0));
        assert_eq!(missed(first + 4, &[]), None, "an offset of the future");
    }

    #[test]
    fn an_offset_before_the_oldest_event_is_refused() {
        let (log, id) = (log(2), SocketId::random());
        let first = emit(&log, None);
        emit(&log, None);
        emit(&log, None);
        let missed = |offset| {
            log.state
                .lock()
                .missed(offset, id, &[])
                .map(|missed| missed.len())
        };
        assert_eq!(missed(first), Some(2));
        emit(&log, None);
        assert_eq!(missed(first), None);
        assert_eq!(log.number("1.zz"), None);
        assert_eq!(log.number(&format!("{:x}.5", log.epoch.wrapping_add(1))), None);
        assert_eq!(log.number(&format!("{:x}.a", log.epoch)), Some(10));
    }

    #[test]
    fn lost_sessions_are_bounded() {
        let log = MemoryRecovery::new(RecoveryLimits {
            max_sessions: 2,
            ..RecoveryLimits::default()
        });
        let lose = |reason| {
            let (socket, pid) = (SocketId::random(), PrivateId::random());
            log.state.lock().live.insert(socket, pid);
            log.keep(socket, Vec::new(), None, reason);
            pid
        };
        let first = lose(Reason::PingTimeout);
        let left = lose(Reason::ClientNamespaceDisconnect);
        let last = [lose(Reason::TransportClose), lose(Reason::TransportClose)];
        let state = log.state.lock();
        assert!(!state.lost.contains_key(&first), "the oldest");
        assert!(!state.lost.contains_key(&left), "left for good");
        assert!(last.iter().all(|pid| state.lost.contains_key(pid)));
        assert!(state.live.is_empty());
    }
}
