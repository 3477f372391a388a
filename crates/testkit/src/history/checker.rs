//! The checker: takes a history in parts and reports violated invariants.

use super::ledger::Ledger;
use super::marks::Marks;
use super::notices::Notices;
use super::rooms::Rooms;
use super::views::Views;
use super::{Audit, Event, Name, Outcome, Seen, Violation};

/// Violations kept per invariant. The first ones tell the story, and one cause mostly violates often.
const KEPT: usize = 20;

/// Checks a history. It assumes that the server keeps everything: retention is off, and each message has a
/// client id.
#[derive(Debug, Default)]
pub struct Checker {
    ledger: Ledger,
    rooms: Rooms,
    views: Views,
    marks: Marks,
    notices: Notices,
    violations: Vec<Violation>,
}

impl Checker {
    /// Checks the next part of the history.
    pub fn take(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.event(event);
        }
    }

    /// Compares a room's log with the history so far. No operation may be in flight while the log is
    /// read, and the checker must have taken all events until then.
    pub fn audit(&mut self, audit: &Audit) {
        let report = &mut report_to(&mut self.violations);
        let head = self.rooms.audit(audit, report);
        for entry in &audit.entries {
            self.ledger.logged(&audit.room, entry, report);
        }
        self.ledger.settle(&audit.room, head, report);
        self.views.settle(audit, head, report);
    }

    /// Checks that every device has its notifications. None may be in flight.
    pub fn settle_notifications(&mut self) {
        self.notices.settle(&mut report_to(&mut self.violations));
    }

    /// The violations so far, at most twenty per invariant.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    fn event(&mut self, event: Event) {
        let report = &mut report_to(&mut self.violations);
        match event {
            Event::Sent(sent) => {
                if let Outcome::Ok(stored) = &sent.outcome {
                    let by = Name::from(format!("the ack of {}'s {}", sent.user, sent.client_id));
                    let seen = Seen {
                        seq: stored.seq,
                        content: Some(sent.content),
                    };
                    self.rooms.show(&sent.room, seen, &by, report);
                }
                self.ledger.sent(sent, report);
            }
            Event::Changed(changed) => {
                if let Outcome::Ok(Some(stored)) = &changed.outcome {
                    let by = Name::from(format!("the ack of {}'s {}", changed.user, changed.client_id));
                    let seen = Seen {
                        seq: stored.seq,
                        content: Some(changed.content),
                    };
                    self.rooms.show(&changed.room, seen, &by, report);
                }
                self.ledger.changed(changed, report);
            }
            Event::Joined(joined) => {
                self.rooms.epoch(&joined.room, &joined.epoch, report);
                for seen in &joined.entries {
                    self.rooms.show(&joined.room, *seen, &joined.device, report);
                }
                self.views.joined(&joined, report);
            }
            Event::Page(page) => {
                for seen in &page.entries {
                    self.rooms.show(&page.room, *seen, &page.device, report);
                }
                self.views.page(&page, report);
            }
            Event::Delivered { device, room, seen } => {
                self.rooms.show(&room, seen, &device, report);
                self.views.delivered(&device, &room, seen, report);
            }
            Event::Ended { device, room } => self.views.ended(&device, &room),
            Event::Marked(mark) => self.marks.own(&mark, report),
            Event::MarkReported(mark) => self.marks.reported(&mark, report),
            Event::Posted { id, users } => self.notices.posted(&id, &users),
            Event::Connected { device, user } => {
                self.marks.connected(&device);
                self.notices.connected(&device, &user);
            }
            Event::Notified { device, id } => self.notices.got(&device, &id, report),
        }
    }
}

fn report_to(violations: &mut Vec<Violation>) -> impl FnMut(Violation) {
    |violation| {
        let law = std::mem::discriminant(&violation);
        let same = violations
            .iter()
            .filter(|other| std::mem::discriminant(*other) == law);
        if same.count() < KEPT {
            violations.push(violation);
        }
    }
}
