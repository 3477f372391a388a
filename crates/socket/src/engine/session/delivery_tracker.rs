//! What is known of the arrival of what was sent, as a value.
//!
//! A pong shows that its ping has arrived, and a stream keeps its order: so all has arrived that was written before the
//! ping. Pings jump the queue, so only one that found the outbox empty tells anything.
//!
//! A goodbye of the client, or its answer to ours, shows that it lives; but what was on its way to it when it said so,
//! it may never have looked at. So it tells of what was written a round_trip there and back before. How long that is, is taken
//! from the client's first packet, which answers our first.

use std::time::Duration;

/// A round_trip that took less counts as none: it may be the client's own work or a busy machine, and would have what was seen
/// given again to clients that are near and quick.
const MIN_ROUND_TRIP: Duration = Duration::from_millis(100);

/// Goes with what is queued: how many clear pings went before it, and when, in milliseconds since the session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryMark {
    pings: u32,
    at: u32,
}

/// The pings that found nothing waiting before them, how far they were answered, and the client's goodbye.
#[derive(Debug, Default)]
pub(super) struct DeliveryTracker {
    sent: u32,
    answered: u32,
    /// There and back, in milliseconds, once the client has sent something.
    round_trip: Option<u32>,
    /// What was queued up to then has arrived, as the client's goodbye tells.
    confirmed_until: Option<u32>,
    /// The ping on its way is clear.
    clear: bool,
}

impl DeliveryTracker {
    /// Something came from the client, so long after the session began. Only the first time tells anything.
    pub(super) fn note_first_packet(&mut self, age: Duration) {
        if self.round_trip.is_none() {
            let far = age >= MIN_ROUND_TRIP;
            self.round_trip = Some(if far { millis(age) } else { 0 });
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
    pub(super) fn note_client_close(&mut self, age: Duration) {
        let round_trip = self.round_trip.unwrap_or_else(|| millis(age));
        self.confirmed_until = Some(millis(age).saturating_sub(round_trip));
    }

    /// Goes with what is queued now.
    pub(super) fn mark(&self, age: Duration) -> DeliveryMark {
        let (pings, at) = (self.sent, millis(age));
        DeliveryMark { pings, at }
    }

    /// Has what got this mark arrived? `false`: nobody knows yet.
    pub(super) fn is_delivered(&self, mark: DeliveryMark) -> bool {
        let answered = self.answered.wrapping_sub(mark.pings).cast_signed() > 0;
        answered
            || self
                .confirmed_until
                .is_some_and(|confirmed_until| mark.at <= confirmed_until)
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
        let mut delivery_tracker = DeliveryTracker::default();
        let before = delivery_tracker.mark(ms(1));
        delivery_tracker.ping(true);
        let amid = delivery_tracker.mark(ms(2));
        assert!(!delivery_tracker.is_delivered(before));
        delivery_tracker.pong();
        assert!(delivery_tracker.is_delivered(before));
        assert!(!delivery_tracker.is_delivered(amid), "sent after the ping");
        delivery_tracker.ping(false);
        delivery_tracker.pong();
        assert!(
            !delivery_tracker.is_delivered(amid),
            "that ping overtook what waited"
        );
        delivery_tracker.ping(true);
        delivery_tracker.pong();
        assert!(delivery_tracker.is_delivered(amid));
    }

    #[test]
    fn a_goodbye_tells_of_what_was_sent_a_trip_before() {
        let mut delivery_tracker = DeliveryTracker::default();
        delivery_tracker.note_first_packet(ms(300));
        delivery_tracker.note_first_packet(ms(5_000));
        let (old, crossing) = (delivery_tracker.mark(ms(9_700)), delivery_tracker.mark(ms(9_701)));
        assert!(!delivery_tracker.is_delivered(old));
        delivery_tracker.note_client_close(ms(10_000));
        assert!(delivery_tracker.is_delivered(old));
        assert!(
            !delivery_tracker.is_delivered(crossing),
            "the goodbye may have passed it on the way"
        );
    }

    #[test]
    fn near_by_a_goodbye_tells_of_all() {
        let mut delivery_tracker = DeliveryTracker::default();
        delivery_tracker.note_first_packet(ms(3));
        let last = delivery_tracker.mark(ms(50));
        delivery_tracker.note_client_close(ms(50));
        assert!(delivery_tracker.is_delivered(last));
        assert!(
            !delivery_tracker.is_delivered(delivery_tracker.mark(ms(51))),
            "what came when it was back"
        );
    }

    #[test]
    fn who_never_said_a_word_tells_nothing() {
        let mut delivery_tracker = DeliveryTracker::default();
        let mark = delivery_tracker.mark(ms(1));
        delivery_tracker.note_client_close(ms(50));
        assert!(!delivery_tracker.is_delivered(mark));
    }
}
