//! What other nodes ask of this one.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Adapter, Choice, Listed, NodeTag,
    message::{Act, Details, Message, Outcome, Said},
    node_topic,
};
use crate::{
    id::SocketId,
    prepared::Prepared,
    socketio::{ack::AckError, broadcast::Broadcast, gather::gather, namespace::Namespace, socket::Socket},
};

/// Sockets that are told to another node at once. More are cut, and said to be.
const MAX_LISTED: usize = 50_000;
/// The same with their details.
const MAX_DETAILED: usize = 5_000;
/// No node waits longer for an answer.
const MAX_PATIENCE: Duration = Duration::from_mins(10);

impl Adapter {
    pub(super) fn hear(self: &Arc<Self>, bytes: &Bytes) {
        self.metrics.heard.increment(1);
        let Some((message, tail)) = Message::decode(bytes) else {
            self.metrics.bad.increment(1);
            tracing::warn!(bytes = bytes.len(), "what came over the bus is no message");
            return;
        };
        let Message {
            from,
            namespace,
            said,
        } = message;
        match said {
            Said::Selected { call, sockets, cut } => {
                let taken = self.waiting.selected(call, from, sockets, cut);
                return self.metrics.overrun.increment(u64::from(!taken));
            }
            Said::Answered {
                call,
                socket,
                outcome,
            } => {
                if let (Some(id), Some(outcome)) = (SocketId::parse(&socket), outcome.read(&tail)) {
                    let taken = self.waiting.answered(call, from, id, outcome);
                    self.metrics.overrun.increment(u64::from(!taken));
                }
                return;
            }
            _ => {}
        }
        let found = self.namespaces.upgrade().and_then(|all| all.find(&namespace));
        let Some(namespace) = found else {
            // Nobody is here; but whoever waits should know.
            if let Said::Select { call, .. } = said {
                self.answer_selected(from, &namespace, call, Vec::new(), false);
            }
            return;
        };
        self.serve(from, &namespace, said, tail);
    }

    fn serve(self: &Arc<Self>, from: NodeTag, namespace: &Namespace, said: Said, tail: Bytes) {
        match said {
            Said::Emit { choice, class, once } => {
                if once.is_none_or(|number| self.is_first(from, number)) {
                    let event = Prepared::from_frame(tail);
                    chosen(namespace, &choice).send_here(&event, class.into());
                }
            }
            Said::Do { choice, act, once } => {
                if once.is_none_or(|number| self.is_first(from, number)) {
                    let chosen = chosen(namespace, &choice);
                    match act {
                        Act::Join(room) => chosen.join(&room),
                        Act::Leave(room) => chosen.leave(&room),
                        Act::Disconnect(close_transport) => chosen.disconnect(close_transport),
                    }
                }
            }
            Said::Select {
                call,
                choice,
                details,
            } => {
                let sockets = chosen(namespace, &choice).sockets();
                let most = if details { MAX_DETAILED } else { MAX_LISTED };
                let listed = sockets.iter().take(most).map(|socket| listed(socket, details));
                self.answer_selected(
                    from,
                    namespace.name(),
                    call,
                    listed.collect(),
                    sockets.len() > most,
                );
            }
            Said::Ask {
                call,
                sockets,
                id,
                patience_ms,
            } => {
                if self.is_first(from, call) {
                    let patience = Duration::from_millis(patience_ms).min(MAX_PATIENCE);
                    self.ask_here(from, namespace, call, &sockets, id, patience, tail);
                }
            }
            Said::Selected { .. } | Said::Answered { .. } => {}
        }
    }

    fn answer_selected(&self, to: NodeTag, namespace: &str, call: u64, sockets: Vec<Listed>, cut: bool) {
        let said = Said::Selected { call, sockets, cut };
        self.publish([node_topic(to)], namespace, said, &[]);
    }

    /// Sends the event to sockets of this node, and passes on what they answer.
    #[allow(clippy::too_many_arguments)] // it is one message, taken apart
    fn ask_here(
        self: &Arc<Self>,
        from: NodeTag,
        namespace: &Namespace,
        call: u64,
        sockets: &[String],
        id: u64,
        patience: Duration,
        event: Bytes,
    ) {
        let Ok(place) = Arc::clone(&self.serving).try_acquire_owned() else {
            self.metrics.refused.increment(1);
            tracing::warn!("too many questions of other nodes are under way");
            return;
        };
        let found = |id: &String| namespace.socket(&SocketId::parse(id)?);
        let targets: Vec<Socket> = sockets.iter().filter_map(found).collect();
        let (adapter, namespace) = (Arc::clone(self), namespace.clone());
        let tell = move |adapter: &Adapter, namespace: &Namespace, socket: &str, outcome: &Result<_, _>| {
            let (outcome, tail) = Outcome::of(outcome);
            let socket = socket.to_owned();
            let said = Said::Answered {
                call,
                socket,
                outcome,
            };
            adapter.publish([node_topic(from)], namespace.name(), said, &tail);
        };
        // They were here when they were chosen.
        let here: HashSet<&str> = targets.iter().map(|socket| socket.id().as_str()).collect();
        for gone in sockets.iter().filter(|id| !here.contains(id.as_str())) {
            tell(&adapter, &namespace, gone, &Err(AckError::Disconnected));
        }
        drop(here);
        tokio::spawn(async move {
            let event = Prepared::from_frame(event);
            let deadline = Instant::now() + patience;
            gather(&namespace, &targets, id, &event, deadline, |socket, outcome| {
                tell(&adapter, &namespace, socket.as_str(), &outcome);
            })
            .await;
            drop(place);
        });
    }
}

fn chosen(namespace: &Namespace, choice: &Choice) -> Broadcast {
    Broadcast::of_choice(namespace.clone(), choice)
}

fn listed(socket: &Socket, details: bool) -> Listed {
    Listed {
        id: socket.id().as_str().to_owned(),
        details: details.then(|| Details::of(socket)),
    }
}

impl Details {
    pub(super) fn of(socket: &Socket) -> Self {
        let handshake = socket.handshake();
        let headers = handshake.headers.iter();
        Details {
            rooms: socket.rooms().iter().map(ToString::to_string).collect(),
            address: handshake.address,
            headers: headers
                .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
                .collect(),
            query: handshake.query.to_string(),
        }
    }
}
