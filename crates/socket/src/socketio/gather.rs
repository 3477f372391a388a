//! Sending one event to many sockets of this node and gathering their answers.

use std::collections::HashSet;

use roomful_wire::packet::Payload;
use tokio::{sync::mpsc, time::Instant};

use super::{ack::AckError, namespace::Namespace, socket::Socket};
use crate::{
    id::SocketId,
    outbox::{Class, Sent},
    prepared::Prepared,
};

/// Sends `event`, which asks for an answer to `id`, and tells what became of each target, as it comes; those who have not
/// answered at the deadline come last.
pub(super) async fn gather(
    namespace: &Namespace,
    targets: &[Socket],
    id: u64,
    event: &Prepared,
    deadline: Instant,
    mut tell: impl FnMut(SocketId, Result<Payload, AckError>),
) {
    let (answers, mut received) = mpsc::channel(targets.len().max(1));
    let mut waiting: HashSet<SocketId> = HashSet::with_capacity(targets.len());
    for socket in targets {
        let most = socket.session().settings().max_pending_acks;
        if !socket.pending().expect(id, answers.clone(), most) {
            tell(*socket.id(), Err(AckError::TooMany));
        } else if socket.send_prepared(event, Class::Durable) == Sent::Closed {
            tell(*socket.id(), Err(AckError::Disconnected));
        } else {
            waiting.insert(*socket.id());
        }
    }
    drop(answers);
    let owed = AllOwed { targets, id };
    let mut late = AckError::Timeout;
    while !waiting.is_empty() {
        match tokio::time::timeout_at(deadline, received.recv()).await {
            Ok(Some((from, payload))) => {
                waiting.remove(&from);
                tell(from, Ok(payload));
            }
            Ok(None) => {
                late = AckError::Disconnected;
                break;
            }
            Err(_) => break,
        }
    }
    drop(owed);
    for id in waiting {
        let left = namespace.socket(&id).is_none();
        tell(id, Err(if left { AckError::Disconnected } else { late }));
    }
}

/// Forgets the expected answers of a broadcast, also if the waiting future is dropped.
struct AllOwed<'a> {
    targets: &'a [Socket],
    id: u64,
}

impl Drop for AllOwed<'_> {
    fn drop(&mut self) {
        for socket in self.targets {
            socket.pending().forget(self.id);
        }
    }
}
