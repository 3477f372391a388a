//! Who is subscribed to a room and what each has been given, as a value: no socket, no store, no lock.
//!
//! The law: a subscriber gets the room's entries in seq order without holes, from the seq after the head that
//! [`Subscribers::begin_join`] named. What is delivered while it still reads history waits in its buffer and follows
//! the answer to the join.

use std::hash::Hash;

use indexmap::IndexMap;

/// The subscribers of one room. `K` names one, `S` is where its frames go, `F` is a frame.
pub(crate) struct Subscribers<K, S, F> {
    /// The newest seq that was delivered; every subscriber has it, in its buffer at least.
    head: u64,
    /// The most frames that may wait for one join.
    buffer: usize,
    members: IndexMap<K, Member<S, F>>,
}

struct Member<S, F> {
    seat: S,
    /// `None` once live: most members are, and a pointer is all that they spend on it.
    joining: Option<Box<Joining<F>>>,
}

struct Joining<F> {
    waiting: Vec<F>,
    overflowed: bool,
    /// It was live before it joined once more.
    was_live: bool,
}

/// What [`Subscribers::deliver`] did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Everybody has it.
    Done,
    /// It was delivered before.
    Old,
    /// Entries after this seq are missing: deliver them first.
    Gap { after: u64 },
}

/// How a join ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The answer and what waited behind it were sent; the member is live.
    Live,
    /// More came meanwhile than may wait. The member was removed.
    Overflow,
    /// The member was removed meanwhile.
    Gone,
}

impl<K: Eq + Hash, S, F: Clone> Subscribers<K, S, F> {
    pub(crate) fn new(head: u64, buffer: usize) -> Self {
        Self {
            head,
            buffer,
            members: IndexMap::new(),
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn seats(&self) -> impl Iterator<Item = &S> {
        self.members.values().map(|member| &member.seat)
    }

    /// A join begins. Entries up to the head that is returned are for its history; later ones wait in its buffer.
    pub(crate) fn begin_join(&mut self, key: K, seat: S) -> u64 {
        let was_live = self
            .members
            .get(&key)
            .is_some_and(|member| member.joining.is_none());
        let joining = Joining {
            waiting: Vec::new(),
            overflowed: false,
            was_live,
        };
        self.members.insert(
            key,
            Member {
                seat,
                joining: Some(Box::new(joining)),
            },
        );
        self.head
    }

    /// The join succeeds: `answer` goes first, then what waited.
    pub(crate) fn finish_join(
        &mut self,
        key: &K,
        answer: impl FnOnce(),
        mut send: impl FnMut(&S, F),
    ) -> Finish {
        let Some(member) = self.members.get_mut(key) else {
            return Finish::Gone;
        };
        let joining = member.joining.take();
        if joining.as_ref().is_some_and(|joining| joining.overflowed) {
            self.members.swap_remove(key);
            return Finish::Overflow;
        }
        answer();
        for frame in joining.into_iter().flat_map(|joining| joining.waiting) {
            send(&member.seat, frame);
        }
        Finish::Live
    }

    /// The join fails. Who was live before stays so and gets what waited; anybody else is removed.
    /// Answers whether the member is still there.
    pub(crate) fn abandon_join(&mut self, key: &K, mut send: impl FnMut(&S, F)) -> bool {
        let Some(member) = self.members.get_mut(key) else {
            return false;
        };
        match member.joining.take() {
            Some(joining) if joining.was_live && !joining.overflowed => {
                for frame in joining.waiting {
                    send(&member.seat, frame);
                }
                true
            }
            None => true,
            Some(_) => {
                self.members.swap_remove(key);
                false
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<S> {
        self.members.swap_remove(key).map(|member| member.seat)
    }

    /// Takes out every member for whom `which` holds.
    pub(crate) fn remove_where(&mut self, mut which: impl FnMut(&S) -> bool) -> Vec<S> {
        let taken = self.members.extract_if(.., |_, member| which(&member.seat));
        taken.map(|(_, member)| member.seat).collect()
    }

    /// The entry `seq` goes to everybody, if it is the next one.
    pub(crate) fn deliver(&mut self, seq: u64, frame: &F, mut send: impl FnMut(&S, &F)) -> Delivery {
        if seq <= self.head {
            return Delivery::Old;
        }
        if seq != self.head + 1 {
            return Delivery::Gap { after: self.head };
        }
        self.head = seq;
        for member in self.members.values_mut() {
            match &mut member.joining {
                None => send(&member.seat, frame),
                Some(joining) if joining.waiting.len() < self.buffer => joining.waiting.push(frame.clone()),
                Some(joining) => joining.overflowed = true,
            }
        }
        Delivery::Done
    }

    /// Entries up to `seq` are gone from the log: what follows is the next one.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        self.head = self.head.max(seq);
    }

    /// Something that is no entry goes to those for whom `which` holds. While they join it waits like the entries,
    /// and is dropped if there is no place.
    pub(crate) fn tell(
        &mut self,
        frame: &F,
        mut which: impl FnMut(&S) -> bool,
        mut send: impl FnMut(&S, &F),
    ) {
        for member in self.members.values_mut().filter(|member| which(&member.seat)) {
            match &mut member.joining {
                None => send(&member.seat, frame),
                Some(joining) if joining.waiting.len() < self.buffer => joining.waiting.push(frame.clone()),
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{cell::RefCell, collections::HashMap};

    #[test]
    fn the_answer_goes_first_then_what_waited_then_the_rest() {
        let got = RefCell::new(Vec::new());
        let mut room = Subscribers::<u8, (), u64>::new(3, 10);
        assert_eq!(room.begin_join(1, ()), 3);
        assert_eq!(
            room.deliver(4, &4, |(), _| unreachable!("not live yet")),
            Delivery::Done
        );
        let answer = || got.borrow_mut().push(0);
        assert_eq!(
            room.finish_join(&1, answer, |(), seq| got.borrow_mut().push(seq)),
            Finish::Live
        );
        assert_eq!(
            room.deliver(5, &5, |(), seq| got.borrow_mut().push(*seq)),
            Delivery::Done
        );
        assert_eq!(*got.borrow(), [0, 4, 5]);
    }

    #[test]
    fn old_entries_are_dropped_and_gaps_are_named() {
        let mut room = Subscribers::<u8, (), u64>::new(3, 10);
        assert_eq!(room.deliver(3, &3, |(), _| ()), Delivery::Old);
        assert_eq!(room.deliver(6, &6, |(), _| ()), Delivery::Gap { after: 3 });
        assert_eq!(room.head(), 3);
        room.skip_to(5);
        assert_eq!(room.deliver(6, &6, |(), _| ()), Delivery::Done);
    }

    #[test]
    fn a_join_that_fails_leaves_things_as_they_were() {
        let mut room = Subscribers::<u8, (), u64>::new(0, 10);
        room.begin_join(1, ());
        assert!(!room.abandon_join(&1, |(), _| ()));
        assert!(room.is_empty());
        room.begin_join(1, ());
        room.finish_join(&1, || (), |(), _| ());
        room.begin_join(1, ());
        room.deliver(1, &1, |(), _| unreachable!("it joins once more"));
        let mut got = Vec::new();
        assert!(room.abandon_join(&1, |(), seq| got.push(seq)));
        assert_eq!(got, [1]);
    }

    #[test]
    fn a_full_buffer_ends_the_join_instead_of_leaving_a_hole() {
        let mut room = Subscribers::<u8, (), u64>::new(0, 2);
        room.begin_join(1, ());
        for seq in 1..=3 {
            room.deliver(seq, &seq, |(), _| ());
        }
        let never = || unreachable!("no answer to a join that failed");
        assert_eq!(room.finish_join(&1, never, |(), _| ()), Finish::Overflow);
        assert!(room.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Deliver,
        Begin(u8),
        Finish(u8),
        Abandon(u8),
        Remove(u8),
        Tell,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Deliver),
            2 => (0u8..4).prop_map(Step::Begin),
            2 => (0u8..4).prop_map(Step::Finish),
            1 => (0u8..4).prop_map(Step::Abandon),
            1 => (0u8..4).prop_map(Step::Remove),
            1 => Just(Step::Tell),
        ]
    }

    proptest! {
        /// However joins, deliveries and leaves mix: from its answer on, each subscriber sees D+1, D+2, … .
        #[test]
        fn nobody_sees_a_hole_or_a_repeat(steps in prop::collection::vec(step(), 1..120)) {
            let mut room = Subscribers::<u8, u8, u64>::new(7, 3);
            let mut seq = 7;
            // What the next entry of each live subscriber must be; 0 as a frame is the thing that is told.
            let next: RefCell<HashMap<u8, u64>> = RefCell::new(HashMap::new());
            let mut joining: HashMap<u8, u64> = HashMap::new();
            let check = |seat: &u8, frame: u64| {
                let mut next = next.borrow_mut();
                let expected = next.get_mut(seat).expect("only who was answered is sent to");
                if frame != 0 {
                    assert_eq!(frame, *expected, "subscriber {seat}");
                    *expected += 1;
                }
            };
            for step in steps {
                match step {
                    Step::Deliver => {
                        seq += 1;
                        prop_assert_eq!(room.deliver(seq, &seq, |seat, frame| check(seat, *frame)), Delivery::Done);
                    }
                    Step::Tell => room.tell(&0, |_| true, |seat, frame| check(seat, *frame)),
                    Step::Begin(who) => {
                        if let std::collections::hash_map::Entry::Vacant(entry) = joining.entry(who) {
                            let head = room.begin_join(who, who);
                            prop_assert_eq!(head, seq);
                            entry.insert(head);
                        }
                    }
                    Step::Finish(who) => {
                        if let Some(head) = joining.remove(&who) {
                            let answer = || { next.borrow_mut().insert(who, head + 1); };
                            let finish = room.finish_join(&who, answer, |seat, frame| check(seat, frame));
                            if finish != Finish::Live { next.borrow_mut().remove(&who); }
                        }
                    }
                    Step::Abandon(who) => {
                        if joining.remove(&who).is_some() && !room.abandon_join(&who, |seat, frame| check(seat, frame)) {
                            next.borrow_mut().remove(&who);
                        }
                    }
                    Step::Remove(who) => {
                        room.remove(&who);
                        next.borrow_mut().remove(&who);
                    }
                }
            }
            // Whoever is live has seen everything up to the head.
            for (who, expected) in next.borrow().iter() {
                if !joining.contains_key(who) {
                    prop_assert_eq!(*expected, seq + 1);
                }
            }
        }
    }
}
