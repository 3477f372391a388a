//! The subscribers of a room and the order in which they get entries, as a value: no socket, no store, no
//! lock.
//!
//! A subscriber gets the entries of the room in seq order without a gap, from the one after the head that
//! [`Subscribers::begin`] returned. Entries that come during the join wait in a [`JoinBuffer`] and follow its
//! answer.

use std::{hash::Hash, sync::Arc};

use indexmap::{IndexMap, map::Entry};

use super::join_buffer::JoinBuffer;

/// The subscribers of one room. `K` identifies one, `S` is where its frames go, `F` is a frame.
pub(crate) struct Subscribers<K, S, F> {
    /// The last delivered seq: every subscriber has it, or it waits for them.
    head: u64,
    members: IndexMap<K, Member<S, F>>,
}

struct Member<S, F> {
    subscriber: S,
    /// Boxed, since it is nearly always `None`.
    wait: Option<Box<Wait<F>>>,
}

/// A join under way: frames for the member wait.
struct Wait<F> {
    buffer: Arc<JoinBuffer<F>>,
    /// Whether the member joins this room, or another one.
    joining: bool,
}

impl<F> Wait<F> {
    fn boxed(buffer: &Arc<JoinBuffer<F>>, joining: bool) -> Box<Self> {
        let buffer = Arc::clone(buffer);
        Box::new(Self { buffer, joining })
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = &S> {
        self.members.values().map(|member| &member.subscriber)
    }

    // ---- joining

    /// A join begins. Returns the head: later entries wait in `buffer`.
    pub(crate) fn begin(&mut self, key: K, subscriber: S, buffer: &Arc<JoinBuffer<F>>) -> u64 {
        match self.members.entry(key) {
            Entry::Occupied(mut entry) => {
                let member = entry.get_mut();
                let joining = member.wait.as_ref().is_some_and(|wait| wait.joining);
                member.wait = Some(Wait::boxed(buffer, joining));
            }
            Entry::Vacant(entry) => {
                let wait = Some(Wait::boxed(buffer, true));
                entry.insert(Member { subscriber, wait });
            }
        }
        self.head
    }

    /// The member joins another room: entries of this one wait, too.
    pub(crate) fn buffer(&mut self, key: &K, buffer: &Arc<JoinBuffer<F>>) {
        if let Some(member) = self.members.get_mut(key) {
            member.wait = Some(Wait::boxed(buffer, false));
        }
    }

    /// The buffer was released. Returns whether the member is still there.
    pub(crate) fn settle(&mut self, key: &K) -> bool {
        let member = self.members.get_mut(key);
        member.map(|member| member.wait = None).is_some()
    }

    /// The buffer was discarded: a member that was joining this room is removed. Returns whether it is still
    /// a member.
    pub(crate) fn reject(&mut self, key: &K) -> bool {
        let Some(member) = self.members.get_mut(key) else {
            return false;
        };
        let joining = member.wait.take().is_some_and(|wait| wait.joining);
        if joining {
            self.members.swap_remove(key);
        }
        !joining
    }

    // ---- leaving

    pub(crate) fn remove(&mut self, key: &K) -> Option<S> {
        self.members.swap_remove(key).map(|member| member.subscriber)
    }

    /// Removes the members for which `which` holds, and returns them.
    pub(crate) fn remove_where(&mut self, mut which: impl FnMut(&S) -> bool) -> Vec<S> {
        let taken = self.members.extract_if(.., |_, member| which(&member.subscriber));
        taken.map(|(_, member)| member.subscriber).collect()
    }

    // ---- delivering

    /// Sends the entry `seq` to all members, unless it was delivered before. False if entries between the
    /// head and this one are lost. Then nobody gets it, since they would not notice the gap.
    #[must_use]
    pub(crate) fn deliver(&mut self, seq: u64, frame: &F, mut send: impl FnMut(&S, &F)) -> bool {
        if seq <= self.head {
            return true;
        }
        let dense = seq == self.head + 1;
        self.head = seq;
        // Without members nobody misses anything, like while a room is being opened.
        if !dense && !self.members.is_empty() {
            return false;
        }
        for Member { subscriber, wait } in self.members.values() {
            match wait {
                None => send(subscriber, frame),
                Some(wait) => wait
                    .buffer
                    .push(wait.joining, frame, |frame| send(subscriber, frame)),
            }
        }
        true
    }

    /// Entries up to `seq` are not to be delivered.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        self.head = self.head.max(seq);
    }

    /// Sends an event without a log entry to the members for which `which` holds. It waits during their joins
    /// like entries do, and is dropped if the buffer is full.
    pub(crate) fn emit(&self, frame: &F, mut which: impl FnMut(&S) -> bool, mut send: impl FnMut(&S, &F)) {
        for Member { subscriber, wait } in self.members.values().filter(|member| which(&member.subscriber)) {
            match wait {
                None => send(subscriber, frame),
                Some(wait) => wait
                    .buffer
                    .push_if_space(wait.joining, frame, |frame| send(subscriber, frame)),
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
    fn old_entries_are_dropped_and_a_gap_is_reported() {
        let got = RefCell::new(Vec::new());
        let buffer = Arc::new(JoinBuffer::new(9));
        let mut room = Subscribers::<u8, (), u64>::new(3);
        assert_eq!(room.begin(1, (), &buffer), 3);
        buffer.release(|| (), |_| ());
        let mut deliver = |seq| room.deliver(seq, &seq, |(), seq| got.borrow_mut().push(*seq));
        assert!(deliver(3));
        assert!(deliver(4));
        assert!(!deliver(6));
        assert!(deliver(5), "the members of now came after the gap");
        assert!(deliver(7));
        assert_eq!((&*got.borrow(), room.head()), (&vec![4, 7], 7));
    }

    #[test]
    fn a_failed_join_restores_the_state_before() {
        let mut room = Subscribers::<u8, (), u64>::new(0);
        let buffer = Arc::new(JoinBuffer::new(9));
        room.begin(1, (), &buffer);
        buffer.discard(|_| ());
        assert!(!room.reject(&1));
        assert_eq!(room.len(), 0);
        let buffer = Arc::new(JoinBuffer::new(9));
        room.begin(1, (), &buffer);
        buffer.release(|| (), |_| ());
        assert!(room.settle(&1));
        let again = Arc::new(JoinBuffer::new(9));
        room.begin(1, (), &again);
        assert!(room.deliver(1, &1, |(), _| unreachable!("it joins again")));
        let got = RefCell::new(Vec::new());
        again.discard(|seq| got.borrow_mut().push(*seq));
        assert!(room.reject(&1));
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
            3 => ((0u8..3), prop::collection::vec(0..ROOMS, 1..3))
                .prop_map(|(who, rooms)| Step::Begin(who, rooms)),
            2 => (0u8..3).prop_map(Step::Finish),
            1 => (0u8..3).prop_map(Step::Abandon),
            1 => ((0u8..3), 0..ROOMS).prop_map(|(who, room)| Step::Remove(who, room)),
        ]
    }

    /// What one socket has got.
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
            // A member that was removed meanwhile still gets the frames that waited.
            if let Some(next) = next {
                assert_eq!(frame.seq, *next, "{frame:?}");
                *next += 1;
            }
        }
    }

    struct PendingJoin {
        buffer: Arc<JoinBuffer<Frame>>,
        heads: Vec<(usize, u64)>,
    }

    proptest! {
        /// However joins, deliveries and leaves mix: each socket gets the entries of its rooms in log order,
        /// and those of each room without a gap from the answer to its join on.
        #[test]
        fn each_socket_gets_every_entry_once_and_in_log_order(
            steps in prop::collection::vec(step(), 1..150),
        ) {
            let mut rooms: Vec<Room> = (0..ROOMS).map(|_| Room::new(7)).collect();
            let seen: RefCell<HashMap<u8, Seen>> = RefCell::default();
            let mut joining: HashMap<u8, PendingJoin> = HashMap::new();
            let mut pos = 0;
            for step in steps {
                match step {
                    Step::Deliver(room) => {
                        pos += 1;
                        let seq = rooms[room].head() + 1;
                        let send = |who: &u8, frame: &Frame| {
                            seen.borrow_mut().entry(*who).or_default().take(*frame);
                        };
                        let dense = rooms[room].deliver(seq, &Frame { room, seq, pos }, send);
                        prop_assert!(dense);
                    }
                    Step::Begin(who, into) => {
                        if joining.contains_key(&who) {
                            continue;
                        }
                        let buffer = Arc::new(JoinBuffer::new(4));
                        for room in &mut rooms {
                            room.buffer(&who, &buffer);
                        }
                        let begin = |room: &usize| (*room, rooms[*room].begin(who, who, &buffer));
                        let heads = into.iter().map(begin).collect();
                        joining.insert(who, PendingJoin { buffer, heads });
                    }
                    Step::Finish(who) => {
                        let Some(PendingJoin { buffer, heads }) = joining.remove(&who) else { continue };
                        let answer = || {
                            let mut seen = seen.borrow_mut();
                            let next = &mut seen.entry(who).or_default().next;
                            next.extend(heads.iter().map(|(room, head)| (*room, head + 1)));
                        };
                        let send = |frame: &Frame| seen.borrow_mut().entry(who).or_default().take(*frame);
                        let released = buffer.release(answer, send);
                        for (at, room) in rooms.iter_mut().enumerate() {
                            if !(if released { room.settle(&who) } else { room.reject(&who) }) {
                                seen.borrow_mut().entry(who).or_default().next.remove(&at);
                            }
                        }
                    }
                    Step::Abandon(who) => {
                        let Some(PendingJoin { buffer, .. }) = joining.remove(&who) else { continue };
                        buffer.discard(|frame| seen.borrow_mut().entry(who).or_default().take(*frame));
                        for room in &mut rooms {
                            room.reject(&who);
                        }
                    }
                    Step::Remove(who, room) => {
                        rooms[room].remove(&who);
                        seen.borrow_mut().entry(who).or_default().next.remove(&room);
                    }
                }
            }
            // A member that does not wait has got everything up to the head.
            for (who, seen) in seen.borrow().iter() {
                for (room, next) in seen.next.iter().filter(|_| !joining.contains_key(who)) {
                    prop_assert_eq!(*next, rooms[*room].head() + 1);
                }
            }
        }
    }
}
