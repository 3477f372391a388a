//! A Socket.IO client for tests: a task keeps the session alive, and the test waits for events by name.
//!
//! Every wait has a time limit, and its error shows the events that arrived instead. The client keeps
//! events in order until a test asks for them, so that a test never races an early event.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::packet::{self, Kind};
use crate::session::{End, Incoming, Session, Target};
use crate::{Error, PATIENCE};

/// Events kept for a test that does not ask for them; beyond it the client gives up, loudly.
const MAX_KEPT: usize = 200_000;

/// An event from the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Value>,
    /// Its binary attachments, in the order of their placeholders.
    pub attachments: Vec<Bytes>,
    /// The id to acknowledge it with, if the server asked for that.
    pub ack: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    pending: HashMap<u64, oneshot::Sender<Value>>,
    next_id: u64,
    /// The last argument of the last event that ended in a string: to the stock client, that is its offset.
    offset: Option<String>,
    end: Option<End>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

enum Command {
    Send(String),
    Abort,
}

/// A connected client. Dropping it resets the connection, as a client does that dies.
#[derive(Debug)]
pub struct SioClient {
    namespace: String,
    welcome: Value,
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

impl SioClient {
    /// Connects over WebSocket and joins `namespace` with `auth` (null for none).
    ///
    /// # Errors
    /// [`Error::ConnectRefused`] with `{message, data}` when the server answers `CONNECT_ERROR`.
    pub async fn connect(target: impl Into<Target>, namespace: &str, auth: &Value) -> Result<Self, Error> {
        let (session, welcome) = Session::connect(target, namespace, auth).await?;
        let shared = Arc::new(Shared::default());
        let (commands, inbox) = mpsc::channel(1024);
        tokio::spawn(drive(session, inbox, Arc::clone(&shared)));
        Ok(Self {
            namespace: namespace.to_owned(),
            welcome,
            commands,
            shared,
        })
    }

    /// The data of the CONNECT answer: `{sid[, pid]}`.
    pub fn welcome(&self) -> &Value {
        &self.welcome
    }

    /// The public id of this socket.
    pub fn id(&self) -> &str {
        self.welcome["sid"].as_str().unwrap_or_default()
    }

    /// What the stock client adds to its `auth` when it comes back: `{pid, offset}`; null if it has not
    /// got both.
    pub fn claim(&self) -> Value {
        let offset = self.shared.state.lock().offset.clone();
        match (self.welcome["pid"].as_str(), offset) {
            (Some(pid), Some(offset)) => serde_json::json!({ "pid": pid, "offset": offset }),
            _ => Value::Null,
        }
    }

    /// Emits an event with one argument.
    pub async fn emit(&self, event: &str, argument: &Value) -> Result<(), Error> {
        self.send_text(packet::event_text(&self.namespace, None, event, argument))
            .await
    }

    /// Emits an event and waits for its ack; the first argument of the ack.
    pub async fn call(&self, event: &str, argument: &Value) -> Result<Value, Error> {
        self.call_with(event, std::slice::from_ref(argument), PATIENCE)
            .await
    }

    /// Emits an event with any arguments and waits up to `patience` for its ack; the first argument of
    /// the ack.
    pub async fn call_with(&self, event: &str, args: &[Value], patience: Duration) -> Result<Value, Error> {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut state = self.shared.state.lock();
            let id = state.next_id;
            state.next_id += 1;
            if state.end.is_none() {
                state.pending.insert(id, sender);
            }
            id
        };
        let what = format!("the ack of {event}");
        let mut list = vec![Value::from(event)];
        list.extend_from_slice(args);
        let text = packet::text(
            Kind::Event,
            &self.namespace,
            Some(id),
            &Value::from(list).to_string(),
        );
        self.send_text(text).await?;
        match timeout(patience, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.closed(what)),
            Err(_) => Err(Error::TimedOut {
                what,
                waited: patience,
                seen: self.seen(),
            }),
        }
    }

    /// Acknowledges an event of the server with one argument.
    pub async fn ack(&self, id: u64, argument: &Value) -> Result<(), Error> {
        let data = Value::from(vec![argument.clone()]).to_string();
        self.send_text(packet::text(Kind::Ack, &self.namespace, Some(id), &data))
            .await
    }

    /// Sends the text of an Engine.IO packet as it is, legal or not.
    pub async fn send_text(&self, text: String) -> Result<(), Error> {
        let sent = self.commands.send(Command::Send(text)).await;
        sent.map_err(|_| self.closed("a chance to send".into()))
    }

    /// The first argument of the next event called `name`, within [`PATIENCE`]. Events of other names are
    /// kept.
    pub async fn next_event(&self, name: &str) -> Result<Value, Error> {
        self.find_event(PATIENCE, name, |_| true).await
    }

    /// The first argument of the next event called `name` that `wanted` takes, within `patience`. All
    /// others are kept.
    pub async fn find_event(
        &self,
        patience: Duration,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, Error> {
        let wanted = |event: &Event| event.name == name && wanted(event.args.first().unwrap_or(&Value::Null));
        let mut event = self.take(patience, &format!("the event {name}"), wanted).await?;
        Ok(if event.args.is_empty() {
            Value::Null
        } else {
            event.args.swap_remove(0)
        })
    }

    /// The next event that `wanted` takes, whole, within `patience`. All others are kept.
    pub async fn take(
        &self,
        patience: Duration,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Event, Error> {
        let deadline = Instant::now() + patience;
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(event) = self.pop(&wanted) {
                return Ok(event);
            }
            if self.end().is_some() {
                return Err(self.closed(what.to_owned()));
            }
            if timeout_at(deadline, changed).await.is_err() {
                let what = what.to_owned();
                return Err(Error::TimedOut {
                    what,
                    waited: patience,
                    seen: self.seen(),
                });
            }
        }
    }

    /// Takes all events called `name` that have come so far; their first arguments.
    pub fn drain(&self, name: &str) -> Vec<Value> {
        let mut drained = Vec::new();
        while let Some(event) = self.pop(&|event: &Event| event.name == name) {
            drained.push(event.args.into_iter().next().unwrap_or_default());
        }
        drained
    }

    /// How the session ended, if it did.
    pub fn end(&self) -> Option<End> {
        self.shared.state.lock().end.clone()
    }

    /// Waits until the session ends; how it did.
    pub async fn wait_end(&self, patience: Duration) -> Result<End, Error> {
        let deadline = Instant::now() + patience;
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(end) = self.end() {
                return Ok(end);
            }
            if timeout_at(deadline, changed).await.is_err() {
                let what = "the end of the session".to_owned();
                return Err(Error::TimedOut {
                    what,
                    waited: patience,
                    seen: self.seen(),
                });
            }
        }
    }

    /// Leaves in order: a Socket.IO DISCONNECT, then an Engine.IO close. Returns when the server has hung up.
    pub async fn close(self) -> Result<(), Error> {
        self.send_text(packet::text(Kind::Disconnect, &self.namespace, None, ""))
            .await?;
        self.send_text("1".to_owned()).await?;
        self.wait_end(PATIENCE).await.map(drop)
    }

    /// Resets the TCP connection. Returns when that is done.
    pub async fn abort(self) {
        self.cut().await;
    }

    /// Resets the TCP connection. Events that have arrived can still be taken.
    pub async fn cut(&self) {
        // An error means that the session is over already.
        let _ = self.commands.send(Command::Abort).await;
        let _ = self.wait_end(PATIENCE).await;
    }

    fn pop(&self, wanted: &impl Fn(&Event) -> bool) -> Option<Event> {
        let mut state = self.shared.state.lock();
        let at = state.events.iter().position(wanted)?;
        state.events.remove(at)
    }

    fn closed(&self, what: String) -> Error {
        Error::Closed {
            reason: format!("{:?}; seen: {}", self.end(), self.seen()),
            what,
        }
    }

    /// The last few kept events, for the text of a failure.
    fn seen(&self) -> String {
        let state = self.shared.state.lock();
        let shown = state
            .events
            .iter()
            .rev()
            .take(8)
            .map(|event| format!("{} {:?}", event.name, event.args));
        format!(
            "{} events kept, newest first: [{}]",
            state.events.len(),
            shown.collect::<Vec<_>>().join(", ")
        )
    }
}

async fn drive(mut session: Session, mut inbox: mpsc::Receiver<Command>, shared: Arc<Shared>) {
    let end = loop {
        tokio::select! {
            command = inbox.recv() => match command {
                // A failed write shows up as the end of the stream on the reading side, with its reason.
                Some(Command::Send(text)) => drop(session.send(&text).await),
                Some(Command::Abort) | None => break End::Eof,
            },
            incoming = session.next() => match incoming {
                Incoming::Packet(packet) => {
                    if let Err(end) = shared.take_in(packet) {
                        break end;
                    }
                }
                Incoming::Ended(end) => break end,
            },
        }
    };
    let mut ws = session.into_ws();
    if matches!(end, End::CloseFrame(_)) {
        // RFC 6455, 5.5.1: a close frame is answered with one.
        let close = crate::frame::encode(crate::frame::Opcode::Close, &[]);
        let _ = ws.send_raw(&close).await;
        drop(ws);
    } else {
        ws.abort();
    }
    let mut state = shared.state.lock();
    state.end = Some(end);
    state.pending.clear();
    drop(state);
    shared.changed.notify_waiters();
}

impl Shared {
    fn take_in(&self, packet: packet::Packet) -> Result<(), End> {
        let Value::Array(mut args) = packet.data else {
            return Err(End::Failed(format!(
                "{:?} without a list of arguments",
                packet.kind
            )));
        };
        let mut state = self.state.lock();
        match packet.kind {
            Kind::Ack | Kind::BinaryAck => {
                let Some(sender) = packet.id.and_then(|id| state.pending.remove(&id)) else {
                    return Err(End::Failed(format!(
                        "an ack that nobody asked for: {:?}",
                        packet.id
                    )));
                };
                // The waiter may have given up, which is its own failure to report.
                let _ = sender.send(args.into_iter().next().unwrap_or_default());
            }
            Kind::Event | Kind::BinaryEvent if !args.is_empty() => {
                let name = args.remove(0).as_str().unwrap_or_default().to_owned();
                if let Some(Value::String(offset)) = args.last() {
                    state.offset = Some(offset.clone());
                }
                state.events.push_back(Event {
                    name,
                    args,
                    attachments: packet.attachments,
                    ack: packet.id,
                });
                if state.events.len() > MAX_KEPT {
                    return Err(End::Failed(format!("{MAX_KEPT} events that no test asked for")));
                }
            }
            kind => return Err(End::Failed(format!("{kind:?} on a connected namespace"))),
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }
}
