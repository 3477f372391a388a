//! An index of the room lists that have changed, as a value: a node reads those lists of others, and not all
//! of them all the time.
//!
//! Each node counts the changes of its lists, and puts the count and the rooms of the latest changes into the
//! registry. A node that reads the indexes of all others knows which lists to read. Where an index does not
//! say enough, it reads all lists: a node has come or gone, has put no index, or has changed more lists than
//! its index names.

use std::collections::{BTreeMap, HashSet, VecDeque};

use roomful_store::RoomId;
use serde::{Deserialize, Serialize};

/// The key of the indexes in the registry.
pub(super) const KEY: &str = "lists";
/// The most changes that an index lists: usually more than happen between two reads.
const NAMED: usize = 512;

/// The changes of one node's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChangeIndex {
    /// The number of changes since the node's start.
    count: u64,
    /// The rooms of the latest changes, the newest last.
    latest: VecDeque<RoomId>,
}

impl ChangeIndex {
    /// The list of this room has changed.
    pub(super) fn add(&mut self, room: RoomId) {
        self.count += 1;
        if self.latest.len() == NAMED {
            self.latest.pop_front();
        }
        self.latest.push_back(room);
    }

    /// The rooms of the changes after the first `known` ones; `None` if the index does not name all of them.
    fn after(&self, known: u64) -> Option<impl Iterator<Item = RoomId>> {
        let new = usize::try_from(self.count.checked_sub(known)?).ok()?;
        let skip = self.latest.len().checked_sub(new)?;
        Some(self.latest.iter().skip(skip).copied())
    }
}

/// The number of changes that were read from each member's index; `None` for a member without an index. The
/// whole map is `None` before the first read.
#[derive(Debug, Default)]
pub(super) struct FollowedIndexes(Option<BTreeMap<String, Option<u64>>>);

/// The lists to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    All,
    Rooms(HashSet<RoomId>),
}

impl FollowedIndexes {
    /// Takes the indexes of the other living members, and returns the lists that have changed since the last
    /// call.
    pub(super) fn follow(&mut self, members: &[String], indexes: &[(String, ChangeIndex)]) -> Changed {
        let indexes: BTreeMap<_, _> = indexes.iter().map(|(member, index)| (member, index)).collect();
        let count = |member| indexes.get(member).map(|index| index.count);
        let now: BTreeMap<_, _> = members
            .iter()
            .map(|member| (member.clone(), count(member)))
            .collect();
        let same = |before: &BTreeMap<_, _>| now.keys().eq(before.keys());
        let before = self.0.take().filter(same);
        self.0 = Some(now);
        let Some(before) = before else {
            return Changed::All;
        };
        let mut rooms = HashSet::new();
        for (member, known) in &before {
            let index = indexes.get(member).zip(*known);
            let Some(new) = index.and_then(|(index, known)| index.after(known)) else {
                return Changed::All;
            };
            rooms.extend(new);
        }
        Changed::Rooms(rooms)
    }

    /// The next call of [`follow`](Self::follow) returns all lists.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(rooms: &[RoomId]) -> Changed {
        Changed::Rooms(rooms.iter().copied().collect())
    }

    #[test]
    fn only_changed_lists_are_read() {
        let (mut followed, mut index) = (FollowedIndexes::default(), ChangeIndex::default());
        let others = ["a".to_owned(), "b".to_owned()];
        let indexes = |index: &ChangeIndex| {
            let others = others.iter().cloned();
            others
                .zip([index.clone(), ChangeIndex::default()])
                .collect::<Vec<_>>()
        };
        index.add(1);
        assert_eq!(
            followed.follow(&others, &indexes(&index)),
            Changed::All,
            "the first read"
        );
        assert_eq!(followed.follow(&others, &indexes(&index)), rooms(&[]));
        for room in [2, 3, 2] {
            index.add(room);
        }
        assert_eq!(followed.follow(&others, &indexes(&index)), rooms(&[2, 3]));
        assert_eq!(followed.follow(&others, &indexes(&index)), rooms(&[]));
        followed.forget();
        assert_eq!(followed.follow(&others, &indexes(&index)), Changed::All);
    }

    #[test]
    fn all_lists_are_read_where_an_index_does_not_say_enough() {
        let (mut followed, mut index) = (FollowedIndexes::default(), ChangeIndex::default());
        let (one, both) = (["a".to_owned()], ["a".to_owned(), "b".to_owned()]);
        let indexes = |index: &ChangeIndex| [("a".to_owned(), index.clone())];
        followed.follow(&one, &indexes(&index));
        assert_eq!(
            followed.follow(&both, &indexes(&index)),
            Changed::All,
            "one without index"
        );
        assert_eq!(
            followed.follow(&both, &indexes(&index)),
            Changed::All,
            "still without"
        );
        assert_eq!(
            followed.follow(&one, &indexes(&index)),
            Changed::All,
            "one has gone"
        );
        assert_eq!(followed.follow(&one, &indexes(&index)), rooms(&[]));
        assert_eq!(followed.follow(&one, &[]), Changed::All, "the index is lost");
        assert_eq!(followed.follow(&[], &[]), Changed::All, "the member has gone");
        assert_eq!(followed.follow(&[], &[]), rooms(&[]));
        followed.forget();
        assert_eq!(followed.follow(&[], &[]), Changed::All);
        followed.follow(&one, &indexes(&index));
        (0..=NAMED).for_each(|_| index.add(7));
        assert_eq!(
            followed.follow(&one, &indexes(&index)),
            Changed::All,
            "more than it names"
        );
        let restarted = indexes(&ChangeIndex::default());
        assert_eq!(
            followed.follow(&one, &restarted),
            Changed::All,
            "the count starts again"
        );
    }
}
