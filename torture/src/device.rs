//! A device: a client that reconnects by itself, catches up by seq, and resends requests without an answer.
//!
//! One task owns the device and its connection. `send` and `change` send, `receive` handles what arrives.

mod change;
mod line;
mod receive;
mod send;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::history::{Event, MarkKind, Name, Outcome};
use roomful_testkit::session::Incoming;
use roomful_testkit::{Error, token};
use serde_json::{Value, json};
use tokio::sync::{SemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::line::Line;
use crate::room_progress::RoomProgress;
use crate::run_state::{RunState, Status, User};

/// The most operations that wait for an answer.
const WINDOW: usize = 16;
/// Connect timeout.
const CONNECT: Duration = Duration::from_secs(3);
/// After this silence, a device sends a request ...
const SILENCE: Duration = Duration::from_millis(1_500);
/// ... and after this much more, it takes the connection for dead.
const DEAD: Duration = Duration::from_secs(3);
/// Pause after a transient refusal or a failed connection.
const REST: Duration = Duration::from_millis(40);

/// A message of a device. Its client id is unique among its user's messages.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    room: Name,
    client_id: Name,
    text: Name,
    /// The seq, once acknowledged.
    seq: u64,
}

/// An edit, a deletion or a reaction of a device.
#[derive(Clone, Debug)]
struct Change {
    room: Name,
    client_id: Name,
    /// The seq of the message.
    target: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Edit(Name),
    Delete,
    Reaction { emoji: &'static str, removed: bool },
}

/// An order to a device, beside chatting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Stop reading.
    StopReading,
    /// Continue to read.
    ResumeReading,
    /// Replace the token by one that expires within a second or two.
    Expire,
}

/// An operation that waits for its answer.
#[derive(Debug)]
enum Pending {
    Join {
        place: usize,
        begun: u64,
        since: Option<u64>,
    },
    Page {
        place: usize,
    },
    Send {
        message: Message,
        why: Why,
    },
    Change(Change),
    Mark {
        place: usize,
        kind: MarkKind,
        begun: u64,
    },
    Refresh,
}

/// The reason for a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The message is new or unanswered: the device sends it until it is acknowledged.
    Own,
    /// The message is acknowledged, or another device is sending it: one more send must not matter.
    Again,
    /// Another text under a client id that is already used.
    Contest,
}

/// Whether a device continues.
#[derive(PartialEq, Eq)]
enum Flow {
    Lost,
    Stop,
}

#[derive(Debug)]
pub(crate) struct Device {
    run_state: Arc<RunState>,
    user: Arc<User>,
    status: Arc<Status>,
    /// Addresses of the nodes; any will do.
    routes: Vec<SocketAddr>,
    orders: mpsc::Receiver<Order>,
    rng: StdRng,
    places: Vec<RoomProgress>,
    pending: HashMap<u64, Pending>,
    next_id: u64,
    /// Unanswered messages, to send again.
    waiting: VecDeque<Message>,
    /// Unanswered changes, to send again.
    redo: VecDeque<Change>,
    /// Number of messages and changes made so far.
    made: u64,
    rest_until: Instant,
    paused: bool,
    /// The credentials for recovery: private id, and offset of the last event that had one.
    pid: Option<String>,
    offset: Option<String>,
    /// The received notifications.
    notified: HashSet<Name>,
    /// True if this connection recovered the previous session.
    recovered: bool,
}

impl Device {
    pub(crate) fn new(
        run_state: Arc<RunState>,
        user: Arc<User>,
        status: Arc<Status>,
        routes: Vec<SocketAddr>,
        orders: mpsc::Receiver<Order>,
        seed: u64,
    ) -> Self {
        let places = status
            .seen
            .iter()
            .map(|(room, _)| RoomProgress::new(room.clone()));
        Self {
            places: places.collect(),
            run_state,
            user,
            status,
            routes,
            orders,
            rng: StdRng::seed_from_u64(seed),
            pending: HashMap::new(),
            next_id: 0,
            waiting: VecDeque::new(),
            redo: VecDeque::new(),
            made: 0,
            rest_until: Instant::now(),
            paused: false,
            pid: None,
            offset: None,
            notified: HashSet::new(),
            recovered: false,
        }
    }

    /// Runs until the sender of orders is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let auth = self.auth();
            let connecting = timeout(CONNECT, self.connect(&auth)).await;
            let flow = match connecting {
                Ok(Ok((mut line, welcome))) => {
                    self.connected(&welcome);
                    let flow = self.visit(&mut line).await;
                    line.abort();
                    flow
                }
                _ if self.orders.is_closed() => Flow::Stop,
                _ => {
                    sleep(REST).await;
                    Flow::Lost
                }
            };
            self.disconnected();
            if flow == Flow::Stop {
                return;
            }
        }
    }

    /// Connects to any of the nodes, and now and then polls all of them.
    async fn connect(&mut self, auth: &Value) -> Result<(Line, Value), Error> {
        if self.run_state.polls && self.chance(3) {
            let line = Line::by_polling(&self.routes, self.rng.random(), auth).await?;
            self.run_state.polled();
            return Ok(line);
        }
        match self.routes.choose(&mut self.rng).copied() {
            Some(route) => Line::over_websocket(route, auth).await,
            None => Err(Error::Server("there is no node to connect to".into())),
        }
    }

    /// The CONNECT payload. Now and then the device forgets its session, like a restarted client.
    fn auth(&mut self) -> Value {
        let mut auth = json!({
            "token": token::for_user(self.run_state.secret, &self.user.name),
            "device": &*self.status.name,
        });
        if self.chance(4) {
            self.pid = None;
        }
        if let (Some(pid), Some(offset)) = (&self.pid, &self.offset) {
            auth["pid"] = Value::from(&**pid);
            auth["offset"] = Value::from(&**offset);
        }
        auth
    }

    /// Like the stock client: a session is recovered if its private id is unchanged.
    fn connected(&mut self, welcome: &Value) {
        self.run_state.recorder.record(Event::Connected {
            device: self.status.name.clone(),
            user: self.user.name.clone(),
        });
        let pid = welcome["pid"].as_str();
        self.recovered = pid.is_some() && pid == self.pid.as_deref();
        self.run_state.count_reconnect(self.pid.is_some(), self.recovered);
        if !self.recovered {
            (self.pid, self.offset) = (pid.map(str::to_owned), None);
        }
        for place in &mut self.places {
            if place.back(self.recovered) {
                self.run_state.recorder.record(Event::Ended {
                    device: self.status.name.clone(),
                    room: place.room.clone(),
                });
            }
        }
    }

    async fn visit(&mut self, line: &mut Line) -> Flow {
        for place in 0..self.places.len() {
            if !self.places[place].subscribed() {
                self.join(line, place).await;
            }
        }
        let mut last_packet = Instant::now();
        let mut asked = false;
        loop {
            self.show();
            let free = !self.paused
                && self.pending.len() < WINDOW
                && self.places.iter().all(RoomProgress::subscribed)
                && self.rest_until <= Instant::now();
            let patience = if asked { DEAD } else { SILENCE };
            let resends = !self.paused && !self.waiting.is_empty() && self.pending.len() < WINDOW;
            let permits = &self.run_state.permits;
            let permit = async { permits.acquire().await.map(SemaphorePermit::forget) };
            tokio::select! {
                order = self.orders.recv() => match order {
                    None => return Flow::Stop,
                    Some(order) => self.run_order(line, order).await,
                },
                incoming = line.next(), if !self.paused => match incoming {
                    Incoming::Ended(_) => return Flow::Lost,
                    Incoming::Packet(packet) => {
                        (last_packet, asked) = (Instant::now(), false);
                        self.handle_packet(line, &packet).await;
                    }
                },
                () = sleep_until(last_packet + patience), if !self.paused => {
                    if asked {
                        return Flow::Lost;
                    }
                    (last_packet, asked) = (Instant::now(), true);
                    self.mark(line).await;
                },
                () = sleep_until(self.rest_until), if resends => {
                    if let Some(message) = self.waiting.pop_front() {
                        self.send(line, message, Why::Own).await;
                    }
                },
                Ok(()) = permit, if free && self.waiting.is_empty() => self.send_next(line).await,
            }
        }
    }

    async fn run_order(&mut self, line: &mut Line, order: Order) {
        match order {
            Order::StopReading => self.paused = true,
            Order::ResumeReading => self.paused = false,
            Order::Expire => self.expire(line).await,
        }
    }

    /// Publishes the device's status.
    fn show(&self) {
        for ((_, seen), place) in self.status.seen.iter().zip(&self.places) {
            seen.set(place.subscribed().then(|| place.seen()));
        }
        let adds = |pending: &&Pending| matches!(pending, Pending::Send { .. } | Pending::Change(_));
        let busy = self.pending.values().filter(adds).count() + self.waiting.len();
        self.status.busy.store(busy, Ordering::SeqCst);
        self.run_state.moved();
    }

    /// The connection is lost: unanswered operations may or may not have happened.
    fn disconnected(&mut self) {
        self.paused = false;
        for (_, pending) in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Send { message, why } => self.unanswered(message, why),
                Pending::Change(change) => {
                    self.tried(&change, Outcome::Unknown);
                    self.redo.push_back(change);
                }
                _ => {}
            }
        }
        self.places.iter_mut().for_each(RoomProgress::lost);
        self.show();
    }

    /// True once in `times` calls, on average.
    fn chance(&mut self, times: u32) -> bool {
        self.rng.random_ratio(1, times)
    }
}
