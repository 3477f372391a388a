//! The state of one Engine.IO session as pure values: the transport and its requests ([`TransportState`]),
//! and the heartbeat ([`Heartbeat`]). Callers pass in the time; the async layer owns timers, streams and
//! buffers.
//!
//! Source: the Engine.IO protocol, version 4, sections "Transports", "Upgrade" and "Heartbeat".

use std::time::{Duration, Instant};

/// The transport of a session and its open requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportState {
    /// HTTP long-polling.
    Polling {
        /// A GET is parked or being answered.
        get: bool,
        /// A POST body is being read.
        post: bool,
        /// A WebSocket is probing to take over.
        probing: bool,
    },
    /// A WebSocket, from the start or after an upgrade. Final.
    WebSocket,
}

/// Why a request conflicts with the session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportConflict {
    /// A second GET (or POST) while one was open. The session must be closed.
    #[error("a request of this kind is already open for this session")]
    Overlap,
    /// A WebSocket carries the session. Polling requests get "bad request"; the session continues.
    #[error("the session has moved to WebSocket")]
    Upgraded,
    /// Another WebSocket is already probing. The new one is closed; the session continues.
    #[error("another WebSocket is already upgrading this session")]
    Upgrading,
}

impl TransportState {
    /// A session that was opened by long-polling.
    pub const fn polling() -> Self {
        TransportState::Polling {
            get: false,
            post: false,
            probing: false,
        }
    }

    /// Whether the session uses long-polling, also while a WebSocket probes.
    pub const fn is_polling(self) -> bool {
        matches!(self, TransportState::Polling { .. })
    }

    /// Whether a WebSocket is probing.
    pub const fn is_probing(self) -> bool {
        matches!(self, TransportState::Polling { probing: true, .. })
    }

    /// Whether a GET is open, so that a packet could leave at once.
    pub const fn has_get(self) -> bool {
        matches!(self, TransportState::Polling { get: true, .. })
    }

    /// Registers a GET.
    pub fn open_get(&mut self) -> Result<(), TransportConflict> {
        match self {
            TransportState::Polling { get: true, .. } => Err(TransportConflict::Overlap),
            TransportState::Polling { get, .. } => {
                *get = true;
                Ok(())
            }
            TransportState::WebSocket => Err(TransportConflict::Upgraded),
        }
    }

    /// The GET has been answered.
    pub fn close_get(&mut self) {
        if let TransportState::Polling { get, .. } = self {
            *get = false;
        }
    }

    /// Registers a POST.
    pub fn open_post(&mut self) -> Result<(), TransportConflict> {
        match self {
            TransportState::Polling { post: true, .. } => Err(TransportConflict::Overlap),
            TransportState::Polling { post, .. } => {
                *post = true;
                Ok(())
            }
            TransportState::WebSocket => Err(TransportConflict::Upgraded),
        }
    }

    /// The POST has been answered.
    pub fn close_post(&mut self) {
        if let TransportState::Polling { post, .. } = self {
            *post = false;
        }
    }

    /// Registers a WebSocket that probes with this session's id.
    pub fn begin_probe(&mut self) -> Result<(), TransportConflict> {
        match self {
            TransportState::Polling { probing: true, .. } => Err(TransportConflict::Upgrading),
            TransportState::Polling { probing, .. } => {
                *probing = true;
                Ok(())
            }
            TransportState::WebSocket => Err(TransportConflict::Upgraded),
        }
    }

    /// The probe has failed. Polling continues.
    pub fn abandon_probe(&mut self) {
        if let TransportState::Polling { probing, .. } = self {
            *probing = false;
        }
    }

    /// The probing WebSocket has sent its upgrade packet and carries the session from now on.
    pub fn complete_upgrade(&mut self) {
        *self = TransportState::WebSocket;
    }
}

/// The server's heartbeat: a ping `interval` after open and after each pong, and `timeout` for the pong to
/// come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    at: Instant,
    awaiting_pong: bool,
}

/// The action that a [`Heartbeat`] requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatAction {
    /// Nothing before [`Heartbeat::next`].
    Wait,
    /// Send a ping now.
    Ping,
    /// No pong came in time: close with "ping timeout".
    TimedOut,
}

/// Ping interval and pong timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTiming {
    /// From open, or from a pong, to the next ping.
    pub interval: Duration,
    /// From a ping to the latest moment for its pong.
    pub timeout: Duration,
}

impl Heartbeat {
    /// The first ping is due one interval after the session opened. Clients fail on an earlier one.
    pub fn new(opened: Instant, heartbeat: HeartbeatTiming) -> Self {
        Heartbeat {
            at: opened + heartbeat.interval,
            awaiting_pong: false,
        }
    }

    /// When to call [`Heartbeat::poll`] next.
    pub const fn next(&self) -> Instant {
        self.at
    }

    /// Whether a ping has not been answered yet.
    pub const fn awaits_pong(&self) -> bool {
        self.awaiting_pong
    }

    /// The action due at `now`. The pong's deadline counts from the time when the ping was due, even if a
    /// late timer noticed it later, so that delays do not add up.
    pub fn poll(&mut self, now: Instant, heartbeat: HeartbeatTiming) -> HeartbeatAction {
        if now < self.at {
            return HeartbeatAction::Wait;
        }
        if self.awaiting_pong {
            return HeartbeatAction::TimedOut;
        }
        self.awaiting_pong = true;
        self.at += heartbeat.timeout;
        if self.at <= now {
            // The whole process was paused. The client still gets its full time to answer.
            self.at = now + heartbeat.timeout;
        }
        HeartbeatAction::Ping
    }

    /// Registers a pong. Returns whether a ping was waiting for it; otherwise nothing changes.
    pub fn pong(&mut self, now: Instant, heartbeat: HeartbeatTiming) -> bool {
        let asked_for = self.awaiting_pong;
        if asked_for {
            *self = Heartbeat::new(now, heartbeat);
        }
        asked_for
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // any instant will do as the origin
mod tests {
    use super::*;

    const TIMING: HeartbeatTiming = HeartbeatTiming {
        interval: Duration::from_millis(300),
        timeout: Duration::from_millis(200),
    };

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn pings_after_the_interval_and_times_out_without_a_pong() {
        let t0 = Instant::now();
        let mut beat = Heartbeat::new(t0, TIMING);
        assert_eq!(beat.poll(t0 + ms(299), TIMING), HeartbeatAction::Wait);
        assert_eq!(beat.poll(t0 + ms(305), TIMING), HeartbeatAction::Ping);
        assert_eq!(beat.poll(t0 + ms(499), TIMING), HeartbeatAction::Wait);
        assert_eq!(
            beat.poll(t0 + ms(500), TIMING),
            HeartbeatAction::TimedOut,
            "a late ping must not extend the deadline"
        );
    }

    #[test]
    fn a_pong_rearms_and_a_stray_pong_does_not() {
        let t0 = Instant::now();
        let mut beat = Heartbeat::new(t0, TIMING);
        beat.pong(t0 + ms(100), TIMING);
        assert_eq!(
            beat.next(),
            t0 + ms(300),
            "a pong before the first ping changes nothing"
        );
        assert_eq!(beat.poll(t0 + ms(300), TIMING), HeartbeatAction::Ping);
        beat.pong(t0 + ms(350), TIMING);
        assert_eq!(beat.next(), t0 + ms(650));
    }

    #[test]
    fn a_process_that_stood_still_still_pings_before_it_gives_up() {
        let t0 = Instant::now();
        let mut beat = Heartbeat::new(t0, TIMING);
        assert_eq!(beat.poll(t0 + ms(5_000), TIMING), HeartbeatAction::Ping);
        assert_eq!(beat.poll(t0 + ms(5_199), TIMING), HeartbeatAction::Wait);
        assert_eq!(beat.poll(t0 + ms(5_200), TIMING), HeartbeatAction::TimedOut);
    }

    #[test]
    fn requests_of_one_kind_do_not_overlap() {
        let mut transport = TransportState::polling();
        transport.open_get().unwrap();
        transport.open_post().unwrap();
        assert_eq!(transport.open_get(), Err(TransportConflict::Overlap));
        assert_eq!(transport.open_post(), Err(TransportConflict::Overlap));
        transport.close_get();
        transport.close_post();
        transport.open_get().unwrap();
        transport.open_post().unwrap();
    }

    #[test]
    fn one_probe_at_a_time_and_none_after_the_upgrade() {
        let mut transport = TransportState::polling();
        transport.begin_probe().unwrap();
        assert_eq!(transport.begin_probe(), Err(TransportConflict::Upgrading));
        transport.abandon_probe();
        transport.begin_probe().unwrap();
        transport.complete_upgrade();
        assert_eq!(transport.begin_probe(), Err(TransportConflict::Upgraded));
        assert_eq!(transport.open_get(), Err(TransportConflict::Upgraded));
        assert_eq!(transport.open_post(), Err(TransportConflict::Upgraded));
    }
}
