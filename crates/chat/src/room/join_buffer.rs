//! What waits for one socket while it gets into rooms, as a value.
//!
//! A socket sees the entries of all its rooms in their one order ([`super::order`]). So while it joins one room, what
//! comes in its others waits too, behind the answer to the join; in the order in which it came.

use parking_lot::Mutex;

/// The frames that wait for one socket, from all its rooms. Rooms that it was in before are old to it, the others new.
pub(crate) struct JoinBuffer<F> {
    /// Under a lock that is held while it is emptied, so that nothing passes what waits.
    state: Mutex<State<F>>,
    most: usize,
}

enum State<F> {
    /// Frames, each with whether it is of a new room.
    Waiting(Vec<(bool, F)>),
    /// It is over, and everything passes.
    Open,
    /// The socket does not get into the new rooms: what is of the old ones passes.
    Shut,
}

impl<F: Clone> JoinBuffer<F> {
    /// At most `most` frames may wait.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            state: Mutex::new(State::Waiting(Vec::new())),
            most,
        }
    }

    /// An entry. If there is no place for it, the way into the new rooms ends here.
    pub(crate) fn keep(&self, new: bool, frame: &F, mut send: impl FnMut(&F)) {
        let mut state = self.state.lock();
        if let State::Waiting(waiting) = &*state
            && waiting.len() >= self.most
        {
            pass_old(waiting, &mut send);
            *state = State::Shut;
        }
        state.take(new, frame, send);
    }

    /// Something that is no entry: it is dropped if there is no place.
    pub(crate) fn keep_if_room(&self, new: bool, frame: &F, send: impl FnMut(&F)) {
        let mut state = self.state.lock();
        let full = matches!(&*state, State::Waiting(waiting) if waiting.len() >= self.most);
        if !full {
            state.take(new, frame, send);
        }
    }

    /// The socket is in: what waited goes out behind `answer`. False, and no answer, if too much came meanwhile.
    pub(crate) fn open(&self, answer: impl FnOnce(), mut send: impl FnMut(&F)) -> bool {
        let mut state = self.state.lock();
        if let State::Waiting(waiting) = &*state {
            answer();
            for (_, frame) in waiting {
                send(frame);
            }
            *state = State::Open;
        }
        matches!(*state, State::Open)
    }

    /// The socket does not get in.
    pub(crate) fn shut(&self, mut send: impl FnMut(&F)) {
        let mut state = self.state.lock();
        if let State::Waiting(waiting) = &*state {
            pass_old(waiting, &mut send);
            *state = State::Shut;
        }
    }
}

impl<F: Clone> State<F> {
    fn take(&mut self, new: bool, frame: &F, mut send: impl FnMut(&F)) {
        match self {
            Self::Waiting(waiting) => waiting.push((new, frame.clone())),
            Self::Open => send(frame),
            Self::Shut if !new => send(frame),
            Self::Shut => {}
        }
    }
}

fn pass_old<F>(waiting: &[(bool, F)], send: &mut impl FnMut(&F)) {
    for (_, frame) in waiting.iter().filter(|(new, _)| !new) {
        send(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn the_answer_goes_first_then_what_waited_then_the_rest() {
        let got = RefCell::new(Vec::new());
        let send = |frame: &u8| got.borrow_mut().push(*frame);
        let hold = JoinBuffer::new(9);
        hold.keep(true, &1, |_| unreachable!("not in yet"));
        hold.keep_if_room(false, &2, |_| unreachable!("not in yet"));
        assert!(hold.open(|| got.borrow_mut().push(0), send));
        hold.keep(true, &3, send);
        assert_eq!(*got.borrow(), [0, 1, 2, 3]);
    }

    #[test]
    fn without_place_only_the_new_rooms_are_lost() {
        let got = RefCell::new(Vec::new());
        let send = |frame: &u8| got.borrow_mut().push(*frame);
        let hold = JoinBuffer::new(2);
        hold.keep(false, &1, send);
        hold.keep(true, &2, send);
        hold.keep_if_room(false, &9, send);
        hold.keep(true, &3, send);
        hold.keep(false, &4, send);
        assert!(!hold.open(|| unreachable!("no answer to a join that failed"), send));
        assert_eq!(*got.borrow(), [1, 4]);
    }

    #[test]
    fn who_does_not_get_in_has_what_is_theirs() {
        let got = RefCell::new(Vec::new());
        let send = |frame: &u8| got.borrow_mut().push(*frame);
        let hold = JoinBuffer::new(9);
        hold.keep(true, &1, send);
        hold.keep(false, &2, send);
        hold.shut(send);
        hold.keep(true, &3, send);
        hold.keep(false, &4, send);
        assert_eq!(*got.borrow(), [2, 4]);
    }
}
