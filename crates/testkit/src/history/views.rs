//! The view of each device: from its join on, each entry of a room once and in order.

use std::collections::{HashMap, HashSet};

use super::{Audit, Joined, Name, Page, Seen, Violation, What};

/// The views of all devices.
#[derive(Debug, Default)]
pub(super) struct Views {
    /// By device and room.
    subscribed: HashMap<(Name, Name), View>,
    /// Entries that a page of the newest messages left out, by room. None of them may be a message.
    left_out: HashMap<Name, Vec<LeftOut>>,
    /// The edits, deletions and reactions in the log of each room.
    changes: HashMap<Name, HashSet<u64>>,
}

#[derive(Debug)]
struct LeftOut {
    device: Name,
    seq: u64,
    /// The entry that came instead.
    got: u64,
}

#[derive(Debug, Default)]
struct View {
    /// The sequence number of the next delivery; `None` while not subscribed.
    next: Option<u64>,
    /// Entries missing between the join's page and its head.
    missing: Option<Missing>,
}

#[derive(Debug)]
struct Missing {
    next: u64,
    head: u64,
}

impl Views {
    /// A device subscribes.
    pub(super) fn joined(&mut self, joined: &Joined, report: &mut impl FnMut(Violation)) {
        let Joined {
            device, room, head, ..
        } = joined;
        let view = self.subscribed.entry((device.clone(), room.clone())).or_default();
        view.next = Some(head + 1);
        view.missing = None;
        let last = joined.entries.last().map(|seen| seen.seq);
        let from = match joined.since {
            Some(since) if joined.reset => {
                return report(Violation::NeedlessReset {
                    room: room.clone(),
                    device: device.clone(),
                    since,
                    head: *head,
                });
            }
            Some(since) => since + 1,
            None => return self.newest(joined, report),
        };
        let next = run(device, room, from, &joined.entries, report);
        if joined.more {
            view.missing = Some(Missing { next, head: *head });
        } else if next != head + 1 {
            report(broken(
                device,
                room,
                next,
                last.map_or(head + 1, |last| last.max(head + 1)),
            ));
        }
    }

    /// A device without `since` gets the newest messages in their present state, without the changes that led
    /// to it.
    fn newest(&mut self, joined: &Joined, report: &mut impl FnMut(Violation)) {
        let Joined {
            device, room, head, ..
        } = joined;
        let first = joined.entries.first().map_or(head + 1, |seen| seen.seq);
        // Without earlier messages, the page starts at the first entry.
        let mut next = if joined.more { first } else { 1 };
        let mut ends = joined.entries.iter().map(|seen| seen.seq).collect::<Vec<_>>();
        ends.push(head + 1);
        for got in ends {
            if got < next {
                report(broken(device, room, next, got));
            }
            let left_out = (next..got).map(|seq| LeftOut {
                device: device.clone(),
                seq,
                got,
            });
            self.left_out.entry(room.clone()).or_default().extend(left_out);
            next = got + 1;
        }
    }

    /// Continues the page of a join. Pages may reach beyond its head, into entries that are also
    /// delivered live.
    pub(super) fn page(&mut self, page: &Page, report: &mut impl FnMut(Violation)) {
        let Page { device, room, .. } = page;
        let Some(view) = self.subscribed.get_mut(&(device.clone(), room.clone())) else {
            return;
        };
        let Some(missing) = &mut view.missing else { return };
        missing.next = run(device, room, missing.next, &page.entries, report);
        if missing.next > missing.head {
            view.missing = None;
        } else if !page.more {
            report(broken(device, room, missing.next, missing.head + 1));
            view.missing = None;
        }
    }

    /// A live delivery.
    pub(super) fn delivered(
        &mut self,
        device: &Name,
        room: &Name,
        seen: Seen,
        report: &mut impl FnMut(Violation),
    ) {
        let view = self.subscribed.get_mut(&(device.clone(), room.clone()));
        let Some(next) = view.and_then(|view| view.next.as_mut()) else {
            return report(Violation::Uninvited {
                room: room.clone(),
                device: device.clone(),
                seq: seen.seq,
            });
        };
        *next = run(device, room, *next, &[seen], report);
    }

    /// A subscription ends.
    pub(super) fn ended(&mut self, device: &Name, room: &Name) {
        self.subscribed.remove(&(device.clone(), room.clone()));
    }

    /// Checks the views against the room's log, which ends at `head`. No operation is in flight.
    pub(super) fn settle(&mut self, audit: &Audit, head: u64, report: &mut impl FnMut(Violation)) {
        let room = &audit.room;
        let changes = self.changes.entry(room.clone()).or_default();
        let logged = audit
            .entries
            .iter()
            .filter(|entry| matches!(entry.what, What::Change(_)));
        changes.extend(logged.map(|entry| entry.seq));
        let left_out = self.left_out.remove(room).unwrap_or_default();
        for LeftOut { device, seq, got } in left_out {
            if !changes.contains(&seq) {
                report(broken(&device, room, seq, got));
            }
        }
        for ((device, _), view) in self.subscribed.iter().filter(|((_, of), _)| of == room) {
            let missing = view.missing.as_ref().map(|missing| missing.next);
            let Some(next) = missing.or(view.next).filter(|next| *next <= head) else {
                continue;
            };
            report(Violation::Behind {
                room: room.clone(),
                device: device.clone(),
                seen: next - 1,
                head,
            });
        }
    }
}

/// Checks that `entries` continue at `next`. Returns the next expected sequence number.
fn run(device: &Name, room: &Name, next: u64, entries: &[Seen], report: &mut impl FnMut(Violation)) -> u64 {
    entries.iter().fold(next, |next, seen| {
        if seen.seq != next {
            report(broken(device, room, next, seen.seq));
        }
        seen.seq + 1
    })
}

fn broken(device: &Name, room: &Name, expected: u64, got: u64) -> Violation {
    Violation::Run {
        room: room.clone(),
        device: device.clone(),
        expected,
        got,
    }
}
