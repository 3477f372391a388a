//! Read and delivered marks: they only grow, in answers to their owner and in events on one connection.

use std::collections::HashMap;

use super::{Mark, MarkEvent, MarkKind, Name, Violation};

#[derive(Debug, Default)]
pub(super) struct Marks {
    /// For each mark, its growth as pairs of time and lower bound. Both ascend.
    own: HashMap<(Name, Name, MarkKind), Vec<(u64, u64)>>,
    news: HashMap<(Name, Name, Name, MarkKind), u64>,
}

impl Marks {
    /// An answer with the owner's mark. It must not be below an answer that came before the question.
    pub(super) fn own(&mut self, mark: &Mark, report: &mut impl FnMut(Violation)) {
        let key = (mark.room.clone(), mark.user.clone(), mark.kind);
        let growth = self.own.entry(key).or_default();
        let earlier = growth.partition_point(|(ended, _)| *ended < mark.begun);
        let before = earlier.checked_sub(1).and_then(|at| growth.get(at));
        if let Some((_, before)) = before.filter(|(_, before)| *before > mark.seq) {
            report(Violation::MarkWentBack {
                room: mark.room.clone(),
                user: mark.user.clone(),
                kind: mark.kind,
                before: *before,
                after: mark.seq,
            });
        }
        // Events are in order of arrival, so this is almost always the end of the list.
        let at = growth.partition_point(|(ended, _)| *ended < mark.ended);
        let below = at.checked_sub(1).and_then(|at| growth.get(at));
        if below.is_none_or(|(_, seq)| *seq < mark.seq) {
            growth.insert(at, (mark.ended, mark.seq));
            let later = growth.iter().skip(at + 1);
            let overtaken = later.take_while(|(_, seq)| *seq <= mark.seq).count();
            growth.drain(at + 1..=at + overtaken);
        }
    }

    /// A device has a new connection, perhaps to another node, which may lag behind the one before.
    pub(super) fn connected(&mut self, device: &Name) {
        self.news.retain(|(of, ..), _| of != device);
    }

    /// An event about another user's mark.
    pub(super) fn reported(&mut self, mark: &MarkEvent, report: &mut impl FnMut(Violation)) {
        let MarkEvent {
            device,
            room,
            user,
            kind,
            seq,
        } = mark;
        let key = (device.clone(), room.clone(), user.clone(), *kind);
        if let Some(before) = self.news.insert(key, *seq).filter(|before| before >= seq) {
            report(Violation::NewsWentBack {
                room: room.clone(),
                device: device.clone(),
                user: user.clone(),
                kind: *kind,
                before,
                after: *seq,
            });
        }
    }
}
