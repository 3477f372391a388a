//! What is known of the arrival of what was sent, as a value.
//!
//! A pong shows that its ping has arrived, and a stream keeps its order: so all has arrived that was written before the
//! ping. Pings jump the queue, so only one that found the outbox empty tells anything.
//!
//! A goodbye of the client, or its answer to ours, shows that it lives; but what was on its way to it when it said so,
//! it may never have looked at. So it tells of what was written a trip there and back before. How long that is, is taken
//! from the client's first packet, which answers our first.

use std::time::Duration;

/// A trip that took less counts as none: it may be the client's own work or a busy machine, and would have what was seen
/// given again to clients that are near and quick.
const NEAR: Duration = Duration::from_millis(100);

/// Goes with what is queued: how many clear pings went before it, and when, in milliseconds since the session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentMark {
    beat: u32,
    at: u32,
}

/// The pings that found nothing waiting before them, how far they were answered, and the client's goodbye.
#[derive(Debug, Default)]
pub(super) struct Beats {
    sent: u32,
    answered: u32,
    /// There and back, in milliseconds, once the client has sent something.
    trip: Option<u32>,
    /// What was queued up to then has arrived, as the client's goodbye tells.
    parted: Option<u32>,
    /// The ping on its way is clear.
    clear: bool,
}

impl Beats {
    /// Something came from the client, so long after the session began. Only the first time tells anything.
    pub(super) fn heard(&mut self, age: Duration) {
        if self.trip.is_none() {
            let far = age >= NEAR;
            self.trip = Some(if far { millis(age) } else { 0 });
        }
    }

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

    /// The client says goodbye when nothing is waiting.
    pub(super) fn farewell(&mut self, age: Duration) {
        let trip = self.trip.unwrap_or_else(|| millis(age));
        self.parted = Some(millis(age).saturating_sub(trip));
    }

    /// Goes with what is queued now.
    pub(super) fn mark(&self, age: Duration) -> SentMark {
        let (beat, at) = (self.sent, millis(age));
        SentMark { beat, at }
    }

    /// Has what got this mark arrived? `false`: nobody knows yet.
    pub(super) fn has_reached(&self, mark: SentMark) -> bool {
        let answered = self.answered.wrapping_sub(mark.beat).cast_signed() > 0;
        answered || self.parted.is_some_and(|parted| mark.at <= parted)
    }
}

/// 49 days; after that no goodbye tells of anything.
fn millis(age: Duration) -> u32 {
    u32::try_from(age.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_pong_tells_of_what_was_sent_before_its_ping() {
        let mut beats = Beats::default();
        let before = beats.mark(ms(1));
        beats.ping(true);
        let amid = beats.mark(ms(2));
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
    fn a_goodbye_tells_of_what_was_sent_a_trip_before() {
        let mut beats = Beats::default();
        beats.heard(ms(300));
        beats.heard(ms(5_000));
        let (old, crossing) = (beats.mark(ms(9_700)), beats.mark(ms(9_701)));
        assert!(!beats.has_reached(old));
        beats.farewell(ms(10_000));
        assert!(beats.has_reached(old));
        assert!(
            !beats.has_reached(crossing),
            "the goodbye may have passed it on the way"
        );
    }

    #[test]
    fn near_by_a_goodbye_tells_of_all() {
        let mut beats = Beats::default();
        beats.heard(ms(3));
        let last = beats.mark(ms(50));
        beats.farewell(ms(50));
        assert!(beats.has_reached(last));
        assert!(
            !beats.has_reached(beats.mark(ms(51))),
            "what came when it was back"
        );
    }

    #[test]
    fn who_never_said_a_word_tells_nothing() {
        let mut beats = Beats::default();
        let mark = beats.mark(ms(1));
        beats.farewell(ms(50));
        assert!(!beats.has_reached(mark));
    }
}
