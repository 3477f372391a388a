//! Messages that wait to be sent to one master, within bounds.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a message is, for its sender.
pub(crate) type Message = (String, Bytes);

/// The queue. One task empties it.
pub(crate) struct Outbox {
    max_messages: usize,
    max_bytes: usize,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Redis can't be reached: what would come late is better not sent at all.
    Down,
    Closed,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Down,
    Closed,
}

impl Outbox {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            max_messages,
            max_bytes,
            waiting: Mutex::new(Waiting {
                messages: VecDeque::new(),
                bytes: 0,
                state: State::Open,
            }),
            changed: Notify::new(),
        })
    }

    pub(crate) fn push(&self, message: Message) -> Result<(), Refused> {
        let mut waiting = self.waiting.lock();
        match waiting.state {
            State::Open => {}
            State::Down => return Err(Refused::Down),
            State::Closed => return Err(Refused::Closed),
        }
        let bytes = waiting.bytes + size(&message);
        if waiting.messages.len() >= self.max_messages || bytes > self.max_bytes {
            return Err(Refused::Full);
        }
        waiting.bytes = bytes;
        waiting.messages.push_back(message);
        let was_empty = waiting.messages.len() == 1;
        drop(waiting);
        if was_empty {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// The next ones, these many and bytes at most, but one at least. None when it was closed and is empty.
    pub(crate) async fn take(&self, max_messages: usize, max_bytes: usize) -> Option<Vec<Message>> {
        loop {
            let changed = self.changed.notified();
            {
                let mut waiting = self.waiting.lock();
                let batch = waiting.take(max_messages, max_bytes);
                if !batch.is_empty() {
                    return Some(batch);
                }
                if waiting.state == State::Closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Takes none until [`Outbox::up`]; answers with how many were thrown away.
    pub(crate) fn down(&self) -> u64 {
        let mut waiting = self.waiting.lock();
        if waiting.state == State::Open {
            waiting.state = State::Down;
        }
        waiting.bytes = 0;
        std::mem::take(&mut waiting.messages).len() as u64
    }

    pub(crate) fn up(&self) {
        let mut waiting = self.waiting.lock();
        if waiting.state == State::Down {
            waiting.state = State::Open;
        }
    }

    /// Takes no more.
    pub(crate) fn close(&self) {
        self.waiting.lock().state = State::Closed;
        self.changed.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.waiting.lock().state == State::Closed
    }
}

impl Waiting {
    fn take(&mut self, max_messages: usize, max_bytes: usize) -> Vec<Message> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(message) = self.messages.front() {
            let more = bytes + size(message);
            if batch.len() == max_messages || (more > max_bytes && !batch.is_empty()) {
                break;
            }
            bytes = more;
            batch.extend(self.messages.pop_front());
        }
        self.bytes -= bytes;
        batch
    }
}

fn size((channel, message): &Message) -> usize {
    channel.len() + message.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Message {
        ("a".into(), Bytes::from(vec![0; length - 1]))
    }

    #[tokio::test]
    async fn both_bounds_hold() {
        let outbox = Outbox::new(3, 10);
        outbox.push(message(4)).unwrap();
        outbox.push(message(4)).unwrap();
        assert_eq!(outbox.push(message(3)), Err(Refused::Full));
        outbox.push(message(1)).unwrap();
        assert_eq!(outbox.push(message(1)), Err(Refused::Full));
        assert_eq!(outbox.take(9, 8).await.unwrap().len(), 2);
        assert_eq!(outbox.take(9, 8).await.unwrap().len(), 1);
        outbox.push(message(10)).unwrap();
        assert_eq!(
            outbox.take(9, 8).await.unwrap().len(),
            1,
            "a large one goes alone"
        );
    }

    #[tokio::test]
    async fn it_takes_none_while_down_and_gives_the_rest_when_closed() {
        let outbox = Outbox::new(3, 10);
        outbox.push(message(1)).unwrap();
        assert_eq!(outbox.down(), 1);
        assert_eq!(outbox.push(message(1)), Err(Refused::Down));
        outbox.up();
        outbox.push(message(1)).unwrap();
        outbox.close();
        outbox.up();
        assert_eq!(outbox.push(message(1)), Err(Refused::Closed));
        assert_eq!(outbox.take(9, 9).await.unwrap().len(), 1);
        assert!(outbox.take(9, 9).await.is_none());
    }
}
