//! Frames that wait for one socket while it joins rooms, as a value.
//!
//! A socket gets the entries of all its rooms in log order. So while it joins one room, the entries of its
//! other rooms wait, too: they follow the answer to the join, in the order in which they came.

use parking_lot::Mutex;

/// The frames that wait for one socket, from all its rooms: those that it joins and those that it was in
/// before.
pub(crate) struct JoinBuffer<F> {
    /// Locked while the buffer is emptied, so that no frame overtakes those that waited.
    state: Mutex<State<F>>,
    capacity: usize,
}

enum State<F> {
    /// Frames, each with whether it belongs to a joined room.
    Waiting(Vec<(bool, F)>),
    /// The join succeeded: all frames pass.
    Released,
    /// The join failed: frames of the rooms that the socket was in before pass.
    Discarded,
}

impl<F: Clone> JoinBuffer<F> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State::Waiting(Vec::new())),
            capacity,
        }
    }

    /// Adds an entry's frame; `joined` tells whether it belongs to a joined room. If the buffer is full, the
    /// join fails.
    pub(crate) fn push(&self, joined: bool, frame: &F, mut send: impl FnMut(&F)) {
        let mut state = self.state.lock();
        if let State::Waiting(waiting) = &*state
            && waiting.len() >= self.capacity
        {
            send_others(waiting, &mut send);
            *state = State::Discarded;
        }
        state.take(joined, frame, send);
    }

    /// Adds the frame of an event without an entry, or drops it if the buffer is full.
    pub(crate) fn push_if_space(&self, joined: bool, frame: &F, send: impl FnMut(&F)) {
        let mut state = self.state.lock();
        let is_full = matches!(&*state, State::Waiting(waiting) if waiting.len() >= self.capacity);
        if !is_full {
            state.take(joined, frame, send);
        }
    }

    /// Ends the join: sends `answer`, then the frames that waited. False if the join has failed, and nothing
    /// is sent.
    pub(crate) fn release(&self, answer: impl FnOnce(), mut send: impl FnMut(&F)) -> bool {
        let mut state = self.state.lock();
        if let State::Waiting(waiting) = &*state {
            answer();
            for (_, frame) in waiting {
                send(frame);
            }
            *state = State::Released;
        }
        matches!(*state, State::Released)
    }

    /// Ends the join without success: drops the frames of the joined rooms and sends the others.
    pub(crate) fn discard(&self, mut send: impl FnMut(&F)) {
        let mut state = self.state.lock();
        if let State::Waiting(waiting) = &*state {
            send_others(waiting, &mut send);
            *state = State::Discarded;
        }
    }
}

impl<F: Clone> State<F> {
    fn take(&mut self, joined: bool, frame: &F, mut send: impl FnMut(&F)) {
        match self {
            Self::Waiting(waiting) => waiting.push((joined, frame.clone())),
            Self::Released => send(frame),
            Self::Discarded if !joined => send(frame),
            Self::Discarded => {}
        }
    }
}

fn send_others<F>(waiting: &[(bool, F)], send: &mut impl FnMut(&F)) {
    for (_, frame) in waiting.iter().filter(|(joined, _)| !joined) {
        send(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn the_answer_comes_first_then_the_waiting_frames_then_later_ones() {
        let got = RefCell::new(Vec::new());
        let send = |frame: &u8| got.borrow_mut().push(*frame);
        let buffer = JoinBuffer::new(9);
        buffer.push(true, &1, |_| unreachable!("the join is not over"));
        buffer.push_if_space(false, &2, |_| unreachable!("the join is not over"));
        assert!(buffer.release(|| got.borrow_mut().push(0), send));
        buffer.push(true, &3, send);
        assert_eq!(*got.borrow(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_full_buffer_costs_only_the_joined_rooms() {
        let got = RefCell::new(Vec::new());
        let send = |frame: &u8| got.borrow_mut().push(*frame);
        let buffer = JoinBuffer::new(2);
        buffer.push(false, &1, send);
        buffer.push(true, &2, send);
        buffer.push_if_space(false, &9, send);
        buffer.push(true, &3, send);
        buffer.push(false, &4, send);
        assert!(!buffer.release(|| unreachable!("no answer to a join that failed"), send));
        assert_eq!(*got.borrow(), [1, 4]);
    }

    #[test]
    fn a_discarded_join_keeps_the_frames_of_the_other_rooms() {
        let got = RefCell::new(Vec::new());
        let send = |frame: &u8| got.borrow_mut().push(*frame);
        let buffer = JoinBuffer::new(9);
        buffer.push(true, &1, send);
        buffer.push(false, &2, send);
        buffer.discard(send);
        buffer.push(true, &3, send);
        buffer.push(false, &4, send);
        assert_eq!(*got.borrow(), [2, 4]);
    }
}
