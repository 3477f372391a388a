//! The publish queue: messages for one master, bounded by count and bytes.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Channel and payload.
pub(crate) type Message = (String, Bytes);

/// A queue with one consumer.
pub(crate) struct PublishQueue {
    max_messages: usize,
    max_bytes: usize,
    queued: Mutex<Queued>,
    changed: Notify,
}

struct Queued {
    messages: VecDeque<Message>,
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Redis is unreachable. The queue refuses messages, since late hints are worth nothing.
    Down,
    Closed,
}

/// Why the queue refused a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Down,
    Closed,
}

impl PublishQueue {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            max_messages,
            max_bytes,
            queued: Mutex::new(Queued {
                messages: VecDeque::new(),
                bytes: 0,
                state: State::Open,
            }),
            changed: Notify::new(),
        })
    }

    pub(crate) fn push(&self, message: Message) -> Result<(), Refused> {
        let mut queued = self.queued.lock();
        match queued.state {
            State::Open => {}
            State::Down => return Err(Refused::Down),
            State::Closed => return Err(Refused::Closed),
        }
        let bytes = queued.bytes + size(&message);
        if queued.messages.len() >= self.max_messages || bytes > self.max_bytes {
            return Err(Refused::Full);
        }
        queued.bytes = bytes;
        queued.messages.push_back(message);
        let was_empty = queued.messages.len() == 1;
        drop(queued);
        if was_empty {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Waits for messages and takes up to this many messages and bytes, but at least one. `None` once the
    /// queue is closed and empty.
    pub(crate) async fn take(&self, max_messages: usize, max_bytes: usize) -> Option<Vec<Message>> {
        loop {
            let changed = self.changed.notified();
            {
                let mut queued = self.queued.lock();
                let batch = queued.take(max_messages, max_bytes);
                if !batch.is_empty() {
                    return Some(batch);
                }
                if queued.state == State::Closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Drops all messages and refuses new ones until [`PublishQueue::up`]. Returns the number of dropped
    /// messages.
    pub(crate) fn down(&self) -> u64 {
        let mut queued = self.queued.lock();
        if queued.state == State::Open {
            queued.state = State::Down;
        }
        queued.bytes = 0;
        std::mem::take(&mut queued.messages).len() as u64
    }

    pub(crate) fn up(&self) {
        let mut queued = self.queued.lock();
        if queued.state == State::Down {
            queued.state = State::Open;
        }
    }

    /// Refuses new messages. The consumer can still take the queued ones.
    pub(crate) fn close(&self) {
        self.queued.lock().state = State::Closed;
        self.changed.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queued.lock().state == State::Closed
    }
}

impl Queued {
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
    async fn the_queue_keeps_both_limits() {
        let queue = PublishQueue::new(3, 10);
        queue.push(message(4)).unwrap();
        queue.push(message(4)).unwrap();
        assert_eq!(queue.push(message(3)), Err(Refused::Full));
        queue.push(message(1)).unwrap();
        assert_eq!(queue.push(message(1)), Err(Refused::Full));
        assert_eq!(queue.take(9, 8).await.unwrap().len(), 2);
        assert_eq!(queue.take(9, 8).await.unwrap().len(), 1);
        queue.push(message(10)).unwrap();
        assert_eq!(
            queue.take(9, 8).await.unwrap().len(),
            1,
            "a message above the limit is taken alone"
        );
    }

    #[tokio::test]
    async fn it_refuses_messages_while_down_and_hands_out_the_rest_when_closed() {
        let queue = PublishQueue::new(3, 10);
        queue.push(message(1)).unwrap();
        assert_eq!(queue.down(), 1);
        assert_eq!(queue.push(message(1)), Err(Refused::Down));
        queue.up();
        queue.push(message(1)).unwrap();
        queue.close();
        queue.up();
        assert_eq!(queue.push(message(1)), Err(Refused::Closed));
        assert_eq!(queue.take(9, 9).await.unwrap().len(), 1);
        assert!(queue.take(9, 9).await.is_none());
    }
}
