//! Sends one event to many sockets of this node and collects their answers.

use std::collections::HashSet;

use roomful_wire::packet::Payload;
use tokio::{sync::mpsc, time::Instant};

use super::{Namespace, Socket, ack::AckError};
use crate::{
    id::SocketId,
    outbox::{Class, Sent},
    prepared::Prepared,
};

/// Sends `event`, which asks for an ack with `id`, and reports each target's outcome as it arrives. Targets
/// that have not answered by the deadline are reported last.
pub(super) async fn collect_acks(
    namespace: &Namespace,
    targets: &[Socket],
    id: u64,
    event: &Prepared,
    deadline: Instant,
    mut report: impl FnMut(SocketId, Result<Payload, AckError>),
) {
    let (answers, mut received) = mpsc::channel(targets.len().max(1));
    let mut waiting: HashSet<SocketId> = HashSet::with_capacity(targets.len());
    for socket in targets {
        let most = socket.session().settings().max_pending_acks;
        if !socket.pending().expect(id, answers.clone(), most) {
            report(*socket.id(), Err(AckError::TooMany));
        } else if socket.send_prepared(event, Class::Durable) == Sent::Closed {
            report(*socket.id(), Err(AckError::Disconnected));
        } else {
            waiting.insert(*socket.id());
        }
    }
    drop(answers);
    let pending_ack = PendingBroadcast { targets, id };
    let mut late = AckError::Timeout;
    while !waiting.is_empty() {
        match tokio::time::timeout_at(deadline, received.recv()).await {
            Ok(Some((from, payload))) => {
                waiting.remove(&from);
                report(from, Ok(payload));
            }
            Ok(None) => {
                late = AckError::Disconnected;
                break;
            }
            Err(_) => break,
        }
    }
    drop(pending_ack);
    for id in waiting {
        let left = namespace.socket(&id).is_none();
        report(
            id,
            Err(if left {
                AckError::Disconnected
            } else {
                late.clone()
            }),
        );
    }
}

/// Forgets the expected answers of a broadcast, also if the waiting future is dropped.
struct PendingBroadcast<'a> {
    targets: &'a [Socket],
    id: u64,
}

impl Drop for PendingBroadcast<'_> {
    fn drop(&mut self) {
        for socket in self.targets {
            socket.pending().forget(self.id);
        }
    }
}
