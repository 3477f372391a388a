//! What the heartbeat tells of what was sent before it, as a value.
//!
//! A pong shows that its ping has arrived, and a stream keeps its order: so all has arrived that was written before the
//! ping. Pings jump the queue, so only one that found the outbox empty tells anything.

/// The pings that found nothing waiting before them, and how far they were answered.
#[derive(Debug, Default)]
pub(super) struct Beats {
    sent: u32,
    answered: u32,
    /// The ping on its way is one of them.
    clear: bool,
}

impl Beats {
    /// A ping goes out; `clear`: nothing waits before it.
    pub(super) fn ping(&mut self, clear: bool) {
        self.clear = clear;
        self.sent = self.sent.wrapping_add(u32::from(clear));
    }

    /// The pong to the latest ping.
    pub(super) fn pong(&mut self) {
        if self.clear {
            self.answered = self.sent;
        }
    }

    /// The client said goodbye when nothing was waiting: as good as a ping that was answered at once.
    pub(super) fn farewell(&mut self) {
        self.sent = self.sent.wrapping_add(1);
        self.answered = self.sent;
    }

    /// Goes with what is queued now.
    pub(super) const fn mark(&self) -> u32 {
        self.sent
    }

    /// Has what got this mark arrived? `false`: nobody knows yet.
    pub(super) const fn has_reached(&self, mark: u32) -> bool {
        self.answered.wrapping_sub(mark).cast_signed() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_tells_of_what_was_sent_before_its_ping() {
        let mut beats = Beats::default();
        let before = beats.mark();
        beats.ping(true);
        let amid = beats.mark();
        assert!(!beats.has_reached(before));
        beats.pong();
        assert!(beats.has_reached(before));
        assert!(!beats.has_reached(amid), "sent after the ping");
        beats.ping(false);
        beats.pong();
        assert!(!beats.has_reached(amid), "that ping overtook what waited");
        beats.ping(true);
        beats.pong();
        assert!(beats.has_reached(amid));
    }

    #[test]
    fn a_goodbye_tells_of_everything() {
        let mut beats = Beats::default();
        beats.ping(true);
        let before = beats.mark();
        beats.farewell();
        assert!(beats.has_reached(before));
        let after = beats.mark();
        beats.pong();
        assert!(!beats.has_reached(after), "what came when it was back");
    }
}
