//! Proof of delivery: which queued frames the client has certainly received. A pure value.
//!
//! A stream keeps its order, so a pong proves that all frames written before its ping have arrived.
//! Heartbeat pings jump the queue; only a ping that found the outbox empty proves anything. A session that
//! ends temporarily sends a final ping behind all other frames, and the pong to it proves them all.
//!
//! A close of the client proves less: frames that were still on their way to it may be lost. It proves the
//! frames that were written at least one round trip earlier. The round trip is measured by the client's
//! first packet, which answers the server's first packet.

use std::time::Duration;

/// A shorter round trip counts as zero. Otherwise the client's own work or a busy machine would make fast
/// clients receive frames twice.
const MIN_ROUND_TRIP: Duration = Duration::from_millis(100);

/// Marks a point in the sequence of queued frames: the provable pings before it, and its time in
/// milliseconds since the session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryMark {
    pings: u32,
    at: u32,
}

/// The pings that can prove delivery, their pongs, and the client's close.
#[derive(Debug, Default)]
pub(super) struct DeliveryTracker {
    /// Pings sent behind all frames queued before them.
    sent: u32,
    /// The value of `sent` at the latest pong.
    answered: u32,
    /// Round trip in milliseconds, once the client has sent its first packet.
    round_trip: Option<u32>,
    /// The client's close proves the frames queued up to this time.
    confirmed_until: Option<u32>,
    /// Whether the latest ping can prove delivery.
    provable: bool,
    /// Pongs due until the final ping is answered. `None` before the final ping.
    pongs_due: Option<u8>,
}

impl DeliveryTracker {
    /// Notes a packet of the client and the session's age. Only the first call has an effect.
    pub(super) fn note_first_packet(&mut self, age: Duration) {
        if self.round_trip.is_none() {
            let far = age >= MIN_ROUND_TRIP;
            self.round_trip = Some(if far { millis(age) } else { 0 });
        }
    }

    /// Notes a heartbeat ping. `provable`: the outbox was empty.
    pub(super) fn ping(&mut self, provable: bool) {
        self.provable = provable;
        self.sent = self.sent.wrapping_add(u32::from(provable));
    }

    /// Notes the pong to the latest heartbeat ping.
    pub(super) fn pong(&mut self) {
        if self.provable {
            self.answered = self.sent;
        }
    }

    /// Notes the final ping, queued behind all other frames. `outstanding`: an earlier ping is not answered
    /// yet.
    pub(super) fn final_ping(&mut self, outstanding: bool) {
        self.sent = self.sent.wrapping_add(1);
        self.pongs_due = Some(1 + u8::from(outstanding));
    }

    /// Notes a pong of a session that is ending.
    pub(super) fn final_pong(&mut self) {
        let Some(due) = &mut self.pongs_due else { return };
        *due = due.saturating_sub(1);
        if *due == 0 {
            self.answered = self.sent;
        }
    }

    /// Whether the final ping is not answered yet.
    pub(super) fn awaits_final_pong(&self) -> bool {
        self.pongs_due.is_some_and(|due| due > 0)
    }

    /// Notes that the client closed the connection while the outbox was empty.
    pub(super) fn note_client_close(&mut self, age: Duration) {
        let round_trip = self.round_trip.unwrap_or_else(|| millis(age));
        self.confirmed_until = Some(millis(age).saturating_sub(round_trip));
    }

    /// A mark for the frames queued so far.
    pub(super) fn mark(&self, age: Duration) -> DeliveryMark {
        DeliveryMark {
            pings: self.sent,
            at: millis(age),
        }
    }

    /// Whether the frames before the mark have certainly arrived. `false` if that is not known.
    pub(super) fn is_delivered(&self, mark: DeliveryMark) -> bool {
        let answered = self.answered.wrapping_sub(mark.pings).cast_signed() > 0;
        answered || self.confirmed_until.is_some_and(|until| mark.at <= until)
    }
}

/// Saturates after 49 days. A close proves nothing after that.
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
    fn a_pong_proves_the_frames_before_its_ping() {
        let mut tracker = DeliveryTracker::default();
        let before = tracker.mark(ms(1));
        tracker.ping(true);
        let after = tracker.mark(ms(2));
        assert!(!tracker.is_delivered(before));
        tracker.pong();
        assert!(tracker.is_delivered(before));
        assert!(!tracker.is_delivered(after), "sent after the ping");
        tracker.ping(false);
        tracker.pong();
        assert!(!tracker.is_delivered(after), "that ping jumped the queue");
        tracker.ping(true);
        tracker.pong();
        assert!(tracker.is_delivered(after));
    }

    #[test]
    fn the_pong_to_the_final_ping_proves_all_frames() {
        let mut tracker = DeliveryTracker::default();
        let mark = tracker.mark(ms(1));
        tracker.final_ping(false);
        assert!(tracker.awaits_final_pong() && !tracker.is_delivered(mark));
        tracker.final_pong();
        assert!(!tracker.awaits_final_pong() && tracker.is_delivered(mark));
    }

    #[test]
    fn the_pong_to_an_earlier_ping_does_not_answer_the_final_ping() {
        let mut tracker = DeliveryTracker::default();
        tracker.ping(false);
        let mark = tracker.mark(ms(1));
        tracker.final_ping(true);
        tracker.final_pong();
        assert!(tracker.awaits_final_pong() && !tracker.is_delivered(mark));
        tracker.final_pong();
        assert!(!tracker.awaits_final_pong() && tracker.is_delivered(mark));
    }

    #[test]
    fn a_close_proves_the_frames_sent_a_round_trip_earlier() {
        let mut tracker = DeliveryTracker::default();
        tracker.note_first_packet(ms(300));
        tracker.note_first_packet(ms(5_000));
        let (old, crossing) = (tracker.mark(ms(9_700)), tracker.mark(ms(9_701)));
        assert!(!tracker.is_delivered(old));
        tracker.note_client_close(ms(10_000));
        assert!(tracker.is_delivered(old));
        assert!(
            !tracker.is_delivered(crossing),
            "it may have crossed the close on its way"
        );
    }

    #[test]
    fn a_close_of_a_near_client_proves_all_frames() {
        let mut tracker = DeliveryTracker::default();
        tracker.note_first_packet(ms(3));
        let last = tracker.mark(ms(50));
        tracker.note_client_close(ms(50));
        assert!(tracker.is_delivered(last));
        assert!(
            !tracker.is_delivered(tracker.mark(ms(51))),
            "sent after the close"
        );
    }

    #[test]
    fn a_close_without_an_earlier_packet_proves_nothing() {
        let mut tracker = DeliveryTracker::default();
        let mark = tracker.mark(ms(1));
        tracker.note_client_close(ms(50));
        assert!(!tracker.is_delivered(mark));
    }
}
