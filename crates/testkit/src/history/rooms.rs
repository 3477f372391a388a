//! The known content of each room's log. All acks, deliveries and pages must agree on it.

use std::collections::HashMap;

use super::{Audit, Content, Name, Seen, Violation, What};

#[derive(Debug, Default)]
pub(super) struct Rooms(HashMap<Name, Room>);

#[derive(Debug, Default)]
struct Room {
    epoch: Option<Name>,
    /// By seq, from 1.
    shown: Vec<Option<Content>>,
    /// The highest sequence number seen, and its source.
    highest: Option<(u64, Name)>,
}

impl Rooms {
    /// A source names the epoch of a log.
    pub(super) fn epoch(&mut self, room: &Name, epoch: &Name, report: &mut impl FnMut(Violation)) {
        let known = self
            .0
            .entry(room.clone())
            .or_default()
            .epoch
            .replace(epoch.clone());
        if let Some(before) = known.filter(|before| before != epoch) {
            report(Violation::EpochChanged {
                room: room.clone(),
                before,
                after: epoch.clone(),
            });
        }
    }

    /// A source shows the entry at a sequence number.
    pub(super) fn show(&mut self, room: &Name, seen: Seen, by: &Name, report: &mut impl FnMut(Violation)) {
        let state = self.0.entry(room.clone()).or_default();
        if state.highest.as_ref().is_none_or(|(seq, _)| *seq < seen.seq) {
            state.highest = Some((seen.seq, by.clone()));
        }
        let (Some(content), Some(at)) = (seen.content, place(seen.seq)) else {
            return;
        };
        if state.shown.len() <= at {
            state.shown.resize(at + 1, None);
        }
        if let Some(slot) = state.shown.get_mut(at)
            && slot.replace(content).is_some_and(|before| before != content)
        {
            report(Violation::Differs {
                room: room.clone(),
                seq: seen.seq,
                by: by.clone(),
            });
        }
    }

    /// Takes the log as read back. Returns its head.
    pub(super) fn audit(&mut self, audit: &Audit, report: &mut impl FnMut(Violation)) -> u64 {
        let by = Name::from("the log");
        self.epoch(&audit.room, &audit.epoch, report);
        let mut head = audit.after;
        for entry in &audit.entries {
            if entry.seq != head + 1 {
                report(Violation::Hole {
                    room: audit.room.clone(),
                    expected: head + 1,
                    got: entry.seq,
                });
            }
            head = entry.seq;
            let (What::Message { content, .. } | What::Change(content)) = entry.what;
            let seen = Seen {
                seq: entry.seq,
                content,
            };
            self.show(&audit.room, seen, &by, report);
        }
        let highest = self.0.get(&audit.room).and_then(|state| state.highest.clone());
        if let Some((seq, by)) = highest.filter(|(seq, _)| *seq > head) {
            report(Violation::Unlogged {
                room: audit.room.clone(),
                seq,
                by,
                head,
            });
        }
        head
    }
}

fn place(seq: u64) -> Option<usize> {
    usize::try_from(seq.checked_sub(1)?).ok()
}
