//! Requests from other nodes.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Adapter,
    message::{BusMessage, MessageBody, Outcome, SocketInfo, join_payload},
    node_topic,
};
use crate::{
    id::SocketId,
    node_tag::NodeTag,
    prepared::Prepared,
    socketio::{
        Namespace, Socket,
        ack::AckError,
        broadcast::Broadcast,
        collect_acks::collect_acks,
        remote_socket::SocketDetails,
        selection::{Action, Selection},
        server_event::ServerEvent,
    },
};

/// Maximum number of sockets in one list. A longer list is cut and marked.
const MAX_LISTED: usize = 50_000;
/// The same with details.
const MAX_DETAILED: usize = 5_000;
/// Upper bound of another node's time-out.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

impl Adapter {
    pub(super) fn handle_message(self: &Arc<Self>, bytes: &Bytes) {
        self.metrics.received.increment(1);
        let Some((message, tail)) = BusMessage::decode(bytes) else {
            self.metrics.bad.increment(1);
            tracing::warn!(bytes = bytes.len(), "ignored a malformed message from the bus");
            return;
        };
        let BusMessage {
            from,
            namespace,
            body,
        } = message;
        match body {
            MessageBody::Selected { call, sockets, cut } => {
                let taken = self.waiting.selected(call, from, sockets, cut);
                return self.metrics.overrun.increment(u64::from(!taken));
            }
            MessageBody::Answered {
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
            // Answer with an empty list, so that the caller does not wait.
            if let MessageBody::Select { call, .. } = body {
                self.answer_selected(from, &namespace, call, Vec::new(), false);
            }
            return;
        };
        self.serve(from, &namespace, body, tail);
    }

    fn serve(self: &Arc<Self>, from: NodeTag, namespace: &Namespace, body: MessageBody, tail: Bytes) {
        match body {
            MessageBody::Emit {
                selection,
                class,
                once,
            } => {
                if once.is_none_or(|number| self.is_first(from, number)) {
                    let event = Prepared::from_frame(tail);
                    selected(namespace, &selection).send_here(&event, class.into());
                }
            }
            MessageBody::Do { selection, act, once } => {
                if once.is_none_or(|number| self.is_first(from, number)) {
                    let selected = selected(namespace, &selection);
                    match act {
                        Action::Join(room) => selected.join(&room),
                        Action::Leave(room) => selected.leave(&room),
                        Action::Disconnect(close_transport) => selected.disconnect(close_transport),
                    }
                }
            }
            MessageBody::Select {
                call,
                selection,
                details,
            } => {
                let sockets = selected(namespace, &selection).sockets();
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
            MessageBody::Ask {
                call,
                sockets,
                id,
                timeout_ms,
            } => {
                if self.is_first(from, call) {
                    let timeout = Duration::from_millis(timeout_ms).min(MAX_TIMEOUT);
                    self.ask_here(from, namespace, call, &sockets, id, timeout, tail);
                }
            }
            MessageBody::ServerEvent { name, args } => {
                let Some(payload) = join_payload(args, &tail) else {
                    return self.metrics.bad.increment(1);
                };
                let name = name.into();
                namespace
                    .handlers()
                    .server_event(&ServerEvent { from, name, payload });
            }
            MessageBody::Selected { .. } | MessageBody::Answered { .. } => {}
        }
    }

    fn answer_selected(&self, to: NodeTag, namespace: &str, call: u64, sockets: Vec<SocketInfo>, cut: bool) {
        let body = MessageBody::Selected { call, sockets, cut };
        self.publish([node_topic(to)], namespace, body, &[]);
    }

    /// Sends the event to sockets of this node and returns their answers.
    #[allow(clippy::too_many_arguments)] // it is one message, taken apart
    fn ask_here(
        self: &Arc<Self>,
        from: NodeTag,
        namespace: &Namespace,
        call: u64,
        sockets: &[String],
        id: u64,
        timeout: Duration,
        event: Bytes,
    ) {
        let Ok(permit) = Arc::clone(&self.serving).try_acquire_owned() else {
            self.metrics.refused.increment(1);
            tracing::warn!("refused a request of another node for acks: too many are open");
            return;
        };
        let found = |id: &String| namespace.socket(&SocketId::parse(id)?);
        let targets: Vec<Socket> = sockets.iter().filter_map(found).collect();
        let (adapter, namespace) = (Arc::clone(self), namespace.clone());
        let report = move |adapter: &Adapter, namespace: &Namespace, socket: &str, outcome: &Result<_, _>| {
            let (outcome, tail) = Outcome::of(outcome);
            let socket = socket.to_owned();
            let body = MessageBody::Answered {
                call,
                socket,
                outcome,
            };
            adapter.publish([node_topic(from)], namespace.name(), body, &tail);
        };
        // They have left since they were selected.
        let here: HashSet<&str> = targets.iter().map(|socket| socket.id().as_str()).collect();
        for gone in sockets.iter().filter(|id| !here.contains(id.as_str())) {
            report(&adapter, &namespace, gone, &Err(AckError::Disconnected));
        }
        drop(here);
        tokio::spawn(async move {
            let event = Prepared::from_frame(event);
            let deadline = Instant::now() + timeout;
            collect_acks(&namespace, &targets, id, &event, deadline, |socket, outcome| {
                report(&adapter, &namespace, socket.as_str(), &outcome);
            })
            .await;
            drop(permit);
        });
    }
}

fn selected(namespace: &Namespace, selection: &Selection) -> Broadcast {
    Broadcast::of_selection(namespace.clone(), selection)
}

fn listed(socket: &Socket, details: bool) -> SocketInfo {
    SocketInfo {
        id: socket.id().as_str().to_owned(),
        details: details.then(|| SocketDetails::of(socket)),
    }
}
