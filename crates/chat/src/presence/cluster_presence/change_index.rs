//! Which lists of rooms have changed, as a value: so that lists are read that have, and not all of them all the time.
//!
//! Each node counts the changes of its lists, and puts into the roster how many there were, and which lists the latest ones
//! were of. Whoever reads that of all nodes knows what to read. Where it does not say enough, all lists are read: a node
//! has come or gone, has put nothing of the kind, or has changed more than it tells of.

use std::collections::{BTreeMap, HashSet, VecDeque};

use roomful_store::RoomId;
use serde::{Deserialize, Serialize};

/// Under which key nodes put their [`Changes`].
pub(super) const KEY: &str = "lists";
/// Changes that are told of: more than come between two looks, as a rule.
const TOLD: usize = 512;

/// What has changed of a node's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changes {
    /// How many there were, since the node began.
    count: u64,
    /// The rooms of the latest ones, the newest last.
    latest: VecDeque<RoomId>,
}

impl Changes {
    /// The list of this room has changed.
    pub(super) fn add(&mut self, room: RoomId) {
        self.count += 1;
        if self.latest.len() == TOLD {
            self.latest.pop_front();
        }
        self.latest.push_back(room);
    }

    /// The rooms of the changes after so many; `None` if not all of them are told of.
    fn after(&self, known: u64) -> Option<impl Iterator<Item = RoomId>> {
        let new = usize::try_from(self.count.checked_sub(known)?).ok()?;
        let skip = self.latest.len().checked_sub(new)?;
        Some(self.latest.iter().skip(skip).copied())
    }
}

/// The other nodes that lived at the last look, and how far what each told was followed; `None` if it told nothing. Or
/// nothing, where it is not known.
#[derive(Debug, Default)]
pub(super) struct Followed(Option<BTreeMap<String, Option<u64>>>);

/// Which lists are to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    These(HashSet<RoomId>),
}

impl Followed {
    /// A look at what the other living nodes tell.
    pub(super) fn look(&mut self, others: &[String], told: &[(String, Changes)]) -> Which {
        let told: BTreeMap<_, _> = told.iter().map(|(node, changes)| (node, changes)).collect();
        let count = |node| told.get(node).map(|changes| changes.count);
        let now: BTreeMap<_, _> = others.iter().map(|node| (node.clone(), count(node))).collect();
        let same = |before: &BTreeMap<_, _>| now.keys().eq(before.keys());
        let before = self.0.take().filter(same);
        self.0 = Some(now);
        let Some(before) = before else {
            return Which::All;
        };
        let mut rooms = HashSet::new();
        for (node, known) in &before {
            let changes = told.get(node).zip(*known);
            let Some(new) = changes.and_then(|(changes, known)| changes.after(known)) else {
                return Which::All;
            };
            rooms.extend(new);
        }
        Which::These(rooms)
    }

    /// The next look is at all lists.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these(rooms: &[RoomId]) -> Which {
        Which::These(rooms.iter().copied().collect())
    }

    #[test]
    fn only_lists_that_have_changed_are_read() {
        let (mut followed, mut changes) = (Followed::default(), Changes::default());
        let others = ["a".to_owned(), "b".to_owned()];
        let told = |changes: &Changes| {
            let others = others.iter().cloned();
            others
                .zip([changes.clone(), Changes::default()])
                .collect::<Vec<_>>()
        };
        changes.add(1);
        assert_eq!(
            followed.look(&others, &told(&changes)),
            Which::All,
            "nothing is known yet"
        );
        assert_eq!(followed.look(&others, &told(&changes)), these(&[]));
        for room in [2, 3, 2] {
            changes.add(room);
        }
        assert_eq!(followed.look(&others, &told(&changes)), these(&[2, 3]));
        assert_eq!(followed.look(&others, &told(&changes)), these(&[]));
        followed.forget();
        assert_eq!(followed.look(&others, &told(&changes)), Which::All);
    }

    #[test]
    fn where_not_enough_is_told_all_are_read() {
        let (mut followed, mut changes) = (Followed::default(), Changes::default());
        let (one, both) = (["a".to_owned()], ["a".to_owned(), "b".to_owned()]);
        let told = |changes: &Changes| [("a".to_owned(), changes.clone())];
        followed.look(&one, &told(&changes));
        assert_eq!(
            followed.look(&both, &told(&changes)),
            Which::All,
            "one that tells nothing"
        );
        assert_eq!(
            followed.look(&both, &told(&changes)),
            Which::All,
            "and still does not"
        );
        assert_eq!(followed.look(&one, &told(&changes)), Which::All, "one has gone");
        assert_eq!(followed.look(&one, &told(&changes)), these(&[]));
        assert_eq!(followed.look(&one, &[]), Which::All, "forgotten");
        assert_eq!(followed.look(&[], &[]), Which::All, "gone");
        assert_eq!(followed.look(&[], &[]), these(&[]));
        followed.forget();
        assert_eq!(followed.look(&[], &[]), Which::All);
        followed.look(&one, &told(&changes));
        (0..=TOLD).for_each(|_| changes.add(7));
        assert_eq!(
            followed.look(&one, &told(&changes)),
            Which::All,
            "more than is told of"
        );
        assert_eq!(
            followed.look(&one, &told(&Changes::default())),
            Which::All,
            "begun anew"
        );
    }
}
