//! A queue that serves its lanes turn by turn, as a value: one busy lane delays another by one item each.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Items in lanes. Within a lane, the first in is the first out.
#[derive(Debug)]
pub(crate) struct FairQueue<K, T> {
    lanes: HashMap<K, VecDeque<T>>,
    /// The lanes that have items, the next one first.
    turns: VecDeque<K>,
    len: usize,
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> Self {
        Self {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, T> FairQueue<K, T> {
    pub(crate) fn push(&mut self, lane: K, item: T) {
        let items = self.lanes.entry(lane).or_default();
        if items.is_empty() {
            self.turns.push_back(lane);
        }
        items.push_back(item);
        self.len += 1;
    }

    /// The next item. Its lane goes to the end.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let lane = self.turns.pop_front()?;
        let items = self.lanes.get_mut(&lane)?;
        let item = items.pop_front();
        if items.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        self.len -= usize::from(item.is_some());
        item
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many items a lane has.
    pub(crate) fn len_of(&self, lane: K) -> usize {
        self.lanes.get(&lane).map_or(0, VecDeque::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(queue: &mut FairQueue<char, u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn lanes_take_turns_and_keep_their_own_order() {
        let mut queue = FairQueue::default();
        for (lane, item) in [('a', 1), ('a', 2), ('a', 3), ('b', 10), ('c', 20), ('b', 11)] {
            queue.push(lane, item);
        }
        assert_eq!((queue.len(), queue.len_of('a'), queue.len_of('z')), (6, 3, 0));
        assert_eq!(drained(&mut queue), [1, 10, 20, 2, 11, 3]);
        assert_eq!((queue.len(), queue.lanes.len(), queue.turns.len()), (0, 0, 0));
    }

    #[test]
    fn a_newcomer_waits_for_one_item_of_each_lane() {
        let mut queue = FairQueue::default();
        (0..100).for_each(|item| queue.push('a', item));
        assert_eq!(queue.pop(), Some(0));
        queue.push('b', 1_000);
        assert_eq!((queue.pop(), queue.pop()), (Some(1), Some(1_000)));
    }
}
