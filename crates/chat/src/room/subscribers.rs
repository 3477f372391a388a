//! Who is subscribed to a room and what each is to be given, as a value: no socket, no store, no lock.
//!
//! The law: a subscriber gets the room's entries in seq order without holes, from the seq after the head that
//! [`Subscribers::begin`] named. What is delivered while it still reads history waits in a [`Hold`], and follows the
//! answer to the join.

use std::{hash::Hash, sync::Arc};

use indexmap::{IndexMap, map::Entry};

use super::join_buffer::JoinBuffer;

/// The subscribers of one room. `K` names one, `S` is where its frames go, `F` is a frame.
pub(crate) struct Subscribers<K, S, F> {
    /// The newest seq that was delivered; every subscriber has it, or it waits for them.
    head: u64,
    members: IndexMap<K, Member<S, F>>,
}

struct Member<S, F> {
    subscriber: S,
    /// `None` nearly always: a pointer is all that most members spend on it.
    wait: Option<Box<Wait<F>>>,
}

/// What is for the member waits there.
struct Wait<F> {
    hold: Arc<JoinBuffer<F>>,
    /// Whether it is on its way into this room, or into another one.
    new: bool,
}

impl<F> Wait<F> {
    fn boxed(hold: &Arc<JoinBuffer<F>>, new: bool) -> Box<Self> {
        let hold = Arc::clone(hold);
        Box::new(Self { hold, new })
    }
}

impl<K: Eq + Hash, S, F: Clone> Subscribers<K, S, F> {
    pub(crate) fn new(head: u64) -> Self {
        Self {
            head,
            members: IndexMap::new(),
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn subscribers(&self) -> impl Iterator<Item = &S> {
        self.members.values().map(|member| &member.subscriber)
    }

    // ---- coming in

    /// A join begins. Entries up to the head that is returned are for its history; later ones wait in `hold`.
    pub(crate) fn begin(&mut self, key: K, subscriber: S, hold: &Arc<JoinBuffer<F>>) -> u64 {
        match self.members.entry(key) {
            Entry::Occupied(mut entry) => {
                let member = entry.get_mut();
                let new = member.wait.as_ref().is_some_and(|wait| wait.new);
                member.wait = Some(Wait::boxed(hold, new));
            }
            Entry::Vacant(entry) => {
                let wait = Some(Wait::boxed(hold, true));
                entry.insert(Member { subscriber, wait });
            }
        }
        self.head
    }

    /// Who is in here is on its way into another room: what comes here waits there too.
    pub(crate) fn hold(&mut self, key: &K, hold: &Arc<JoinBuffer<F>>) {
        if let Some(member) = self.members.get_mut(key) {
            member.wait = Some(Wait::boxed(hold, false));
        }
    }

    /// The hold is open. Answers whether the member is still there.
    pub(crate) fn settle(&mut self, key: &K) -> bool {
        let member = self.members.get_mut(key);
        member.map(|member| member.wait = None).is_some()
    }

    /// The hold is shut: who was on its way in here is not a member. Answers whether it is one all the same.
    pub(crate) fn turn_away(&mut self, key: &K) -> bool {
        let Some(member) = self.members.get_mut(key) else {
            return false;
        };
        let new = member.wait.take().is_some_and(|wait| wait.new);
        if new {
            self.members.swap_remove(key);
        }
        !new
    }

    // ---- going

    pub(crate) fn remove(&mut self, key: &K) -> Option<S> {
        self.members.swap_remove(key).map(|member| member.subscriber)
    }

    /// Takes out every member for whom `which` holds.
    pub(crate) fn remove_where(&mut self, mut which: impl FnMut(&S) -> bool) -> Vec<S> {
        let taken = self.members.extract_if(.., |_, member| which(&member.subscriber));
        taken.map(|(_, member)| member.subscriber).collect()
    }

    // ---- delivering

    /// The entry `seq` goes to everybody, unless it was delivered before. False if there are entries between the last
    /// one and this: they can't be read, or are no longer kept. Then nobody gets it, for they would not see the hole.
    #[must_use]
    pub(crate) fn deliver(&mut self, seq: u64, frame: &F, mut send: impl FnMut(&S, &F)) -> bool {
        if seq <= self.head {
            return true;
        }
        let dense = seq == self.head + 1;
        self.head = seq;
        // To whom nobody belongs, nothing is missing: so it is while a room is being opened.
        if !dense && !self.members.is_empty() {
            return false;
        }
        for Member { subscriber, wait } in self.members.values() {
            match wait {
                None => send(subscriber, frame),
                Some(wait) => wait.hold.keep(wait.new, frame, |frame| send(subscriber, frame)),
            }
        }
        true
    }

    /// Entries up to `seq` are not delivered.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        self.head = self.head.max(seq);
    }

    /// Something that is no entry goes to those for whom `which` holds. While they join it waits like the entries,
    /// and is dropped if there is no place.
    pub(crate) fn tell(&self, frame: &F, mut which: impl FnMut(&S) -> bool, mut send: impl FnMut(&S, &F)) {
        for Member { subscriber, wait } in self.members.values().filter(|member| which(&member.subscriber)) {
            match wait {
                None => send(subscriber, frame),
                Some(wait) => wait
                    .hold
                    .keep_if_room(wait.new, frame, |frame| send(subscriber, frame)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{cell::RefCell, collections::HashMap};

    type Room = Subscribers<u8, u8, Frame>;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Frame {
        room: usize,
        seq: u64,
        pos: u64,
    }

    #[test]
    fn old_entries_are_dropped_and_a_hole_is_never_passed_over() {
        let got = RefCell::new(Vec::new());
        let hold = Arc::new(JoinBuffer::new(9));
        let mut room = Subscribers::<u8, (), u64>::new(3);
        assert_eq!(room.begin(1, (), &hold), 3);
        hold.open(|| (), |_| ());
        let mut deliver = |seq| room.deliver(seq, &seq, |(), seq| got.borrow_mut().push(*seq));
        assert!(deliver(3));
        assert!(deliver(4));
        assert!(!deliver(6));
        assert!(deliver(5), "whoever is there now came after the hole");
        assert!(deliver(7));
        assert_eq!((&*got.borrow(), room.head()), (&vec![4, 7], 7));
    }

    #[test]
    fn a_join_that_fails_leaves_things_as_they_were() {
        let mut room = Subscribers::<u8, (), u64>::new(0);
        let hold = Arc::new(JoinBuffer::new(9));
        room.begin(1, (), &hold);
        hold.shut(|_| ());
        assert!(!room.turn_away(&1));
        assert_eq!(room.len(), 0);
        let hold = Arc::new(JoinBuffer::new(9));
        room.begin(1, (), &hold);
        hold.open(|| (), |_| ());
        assert!(room.settle(&1));
        let again = Arc::new(JoinBuffer::new(9));
        room.begin(1, (), &again);
        assert!(room.deliver(1, &1, |(), _| unreachable!("it joins once more")));
        let got = RefCell::new(Vec::new());
        again.shut(|seq| got.borrow_mut().push(*seq));
        assert!(room.turn_away(&1));
        assert_eq!(*got.borrow(), [1]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Deliver(usize),
        Begin(u8, Vec<usize>),
        Finish(u8),
        Abandon(u8),
        Remove(u8, usize),
    }

    const ROOMS: usize = 3;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..ROOMS).prop_map(Step::Deliver),
            3 => ((0u8..3), prop::collection::vec(0..ROOMS, 1..3)).prop_map(|(who, rooms)| Step::Begin(who, rooms)),
            2 => (0u8..3).prop_map(Step::Finish),
            1 => (0u8..3).prop_map(Step::Abandon),
            1 => ((0u8..3), 0..ROOMS).prop_map(|(who, room)| Step::Remove(who, room)),
        ]
    }

    /// What one socket knows.
    #[derive(Default)]
    struct Seen {
        pos: u64,
        /// The next seq of each room that it is in.
        next: HashMap<usize, u64>,
    }

    impl Seen {
        fn take(&mut self, frame: Frame) {
            assert!(frame.pos > self.pos, "{frame:?} after {}", self.pos);
            self.pos = frame.pos;
            let next = self.next.get_mut(&frame.room);
            // Who was taken out of a room meanwhile is still given what waited.
            if let Some(next) = next {
                assert_eq!(frame.seq, *next, "{frame:?}");
                *next += 1;
            }
        }
    }

    struct PendingJoin {
        hold: Arc<JoinBuffer<Frame>>,
        heads: Vec<(usize, u64)>,
    }

    proptest! {
        /// However joins, deliveries and leaves mix: each socket sees the entries of its rooms in their one order, and
        /// each room's D+1, D+2, … from its answer on.
        #[test]
        fn nobody_sees_a_hole_or_a_repeat_or_another_order(steps in prop::collection::vec(step(), 1..150)) {
            let mut rooms: Vec<Room> = (0..ROOMS).map(|_| Room::new(7)).collect();
            let seen: RefCell<HashMap<u8, Seen>> = RefCell::default();
            let mut joining: HashMap<u8, PendingJoin> = HashMap::new();
            let mut pos = 0;
            for step in steps {
                match step {
                    Step::Deliver(room) => {
                        pos += 1;
                        let seq = rooms[room].head() + 1;
                        let send = |who: &u8, frame: &Frame| seen.borrow_mut().entry(*who).or_default().take(*frame);
                        let dense = rooms[room].deliver(seq, &Frame { room, seq, pos }, send);
                        prop_assert!(dense);
                    }
                    Step::Begin(who, into) => {
                        if joining.contains_key(&who) {
                            continue;
                        }
                        let hold = Arc::new(JoinBuffer::new(4));
                        for room in &mut rooms {
                            room.hold(&who, &hold);
                        }
                        let heads = into.iter().map(|room| (*room, rooms[*room].begin(who, who, &hold))).collect();
                        joining.insert(who, PendingJoin { hold, heads });
                    }
                    Step::Finish(who) => {
                        let Some(PendingJoin { hold, heads }) = joining.remove(&who) else { continue };
                        let answer = || {
                            let mut seen = seen.borrow_mut();
                            let next = &mut seen.entry(who).or_default().next;
                            next.extend(heads.iter().map(|(room, head)| (*room, head + 1)));
                        };
                        let send = |frame: &Frame| seen.borrow_mut().entry(who).or_default().take(*frame);
                        let opened = hold.open(answer, send);
                        for (at, room) in rooms.iter_mut().enumerate() {
                            if !(if opened { room.settle(&who) } else { room.turn_away(&who) }) {
                                seen.borrow_mut().entry(who).or_default().next.remove(&at);
                            }
                        }
                    }
                    Step::Abandon(who) => {
                        let Some(PendingJoin { hold, .. }) = joining.remove(&who) else { continue };
                        hold.shut(|frame| seen.borrow_mut().entry(who).or_default().take(*frame));
                        for room in &mut rooms {
                            room.turn_away(&who);
                        }
                    }
                    Step::Remove(who, room) => {
                        rooms[room].remove(&who);
                        seen.borrow_mut().entry(who).or_default().next.remove(&room);
                    }
                }
            }
            // Whoever is in and does not wait has seen everything up to the head.
            for (who, seen) in seen.borrow().iter() {
                for (room, next) in seen.next.iter().filter(|_| !joining.contains_key(who)) {
                    prop_assert_eq!(*next, rooms[*room].head() + 1);
                }
            }
        }
    }
}
