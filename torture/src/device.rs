//! One device: a client that comes back by itself, catches up by seq, and sends again what had no answer.
//!
//! One task owns it and its connection. What it sends stands in `talk` and `change`, what comes to it in `hear`.

mod change;
mod hear;
mod line;
mod talk;

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
use crate::place::Place;
use crate::stage::{Stage, Status, User};

/// Operations without an answer, at most.
const WINDOW: usize = 16;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// After this silence a device asks something ...
const SILENCE: Duration = Duration::from_millis(1_500);
/// ... and after this one more it takes the connection for dead.
const DEAD: Duration = Duration::from_secs(3);
/// How long a device rests after a refusal that may pass, or a connection that failed.
const REST: Duration = Duration::from_millis(40);

/// A message that a device has made up. Its client id tells it from all others of its user.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    room: Name,
    client_id: Name,
    text: Name,
    /// Its place, once it is acknowledged.
    seq: u64,
}

/// An edit, a deletion or a reaction that a device has made up.
#[derive(Clone, Debug)]
struct Change {
    room: Name,
    client_id: Name,
    /// The message.
    target: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Edit(Name),
    Delete,
    Reaction { emoji: &'static str, removed: bool },
}

/// What a device is told to do, beside talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Stop reading.
    Deaf,
    /// Read on.
    Hear,
    /// Swap the token for one that ends within a second or two.
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

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It is new, or was without an answer: it is sent until it is acknowledged.
    Own,
    /// It was acknowledged, or is being sent by another device: once more must not matter.
    Again,
    /// Another text under a client id that is taken.
    Contest,
}

/// Whether a device goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    Lost,
    Stop,
}

#[derive(Debug)]
pub(crate) struct Device {
    stage: Arc<Stage>,
    user: Arc<User>,
    status: Arc<Status>,
    /// Where it may connect to; any will do.
    routes: Vec<SocketAddr>,
    orders: mpsc::Receiver<Order>,
    rng: StdRng,
    places: Vec<Place>,
    pending: HashMap<u64, Pending>,
    next_id: u64,
    /// Without an answer, to be sent again.
    waiting: VecDeque<Message>,
    /// Changes without an answer, to be made again.
    redo: VecDeque<Change>,
    /// Messages and changes made up so far.
    made: u64,
    rest_until: Instant,
    deaf: bool,
    /// What it may take up its session with: the private id, and the offset of the last event that had one.
    pid: Option<String>,
    offset: Option<String>,
    /// The notifications that came.
    notified: HashSet<Name>,
    /// Whether this connection goes on with the session of the one before.
    recovered: bool,
}

impl Device {
    pub(crate) fn new(
        stage: Arc<Stage>,
        user: Arc<User>,
        status: Arc<Status>,
        routes: Vec<SocketAddr>,
        orders: mpsc::Receiver<Order>,
        seed: u64,
    ) -> Self {
        let places = status.seen.iter().map(|(room, _)| Place::new(room.clone()));
        Self {
            places: places.collect(),
            stage,
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
            deaf: false,
            pid: None,
            offset: None,
            notified: HashSet::new(),
            recovered: false,
        }
    }

    /// Lives until nobody can give it orders any more.
    pub(crate) async fn live(mut self) {
        loop {
            let auth = self.auth();
            let connecting = timeout(CONNECT, self.connect(&auth)).await;
            let flow = match connecting {
                Ok(Ok((mut line, welcome))) => {
                    self.welcomed(&welcome);
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
            self.lose();
            if flow == Flow::Stop {
                return;
            }
        }
    }

    /// To any of the nodes, and now and then to all of them.
    async fn connect(&mut self, auth: &Value) -> Result<(Line, Value), Error> {
        if self.stage.polls && self.chance(3) {
            let line = Line::by_polling(&self.routes, self.rng.random(), auth).await?;
            self.stage.polled();
            return Ok(line);
        }
        match self.routes.choose(&mut self.rng).copied() {
            Some(route) => Line::over_websocket(route, auth).await,
            None => Err(Error::Server("there is no node to connect to".into())),
        }
    }

    /// What it connects with. Now and then it has forgotten its session, as a client does that was started anew.
    fn auth(&mut self) -> Value {
        let mut auth = json!({
            "token": token::for_user(self.stage.secret, &self.user.name),
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

    /// As the stock client does: a session is recovered if its private id is the one that it had.
    fn welcomed(&mut self, welcome: &Value) {
        self.stage.recorder.record(Event::Connected {
            device: self.status.name.clone(),
            user: self.user.name.clone(),
        });
        let pid = welcome["pid"].as_str();
        self.recovered = pid.is_some() && pid == self.pid.as_deref();
        self.stage.came_back(self.pid.is_some(), self.recovered);
        if !self.recovered {
            (self.pid, self.offset) = (pid.map(str::to_owned), None);
        }
        for place in &mut self.places {
            if place.back(self.recovered) {
                self.stage.recorder.record(Event::Ended {
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
        let mut heard = Instant::now();
        let mut asked = false;
        loop {
            self.show();
            let free = !self.deaf
                && self.pending.len() < WINDOW
                && self.places.iter().all(Place::subscribed)
                && self.rest_until <= Instant::now();
            let patience = if asked { DEAD } else { SILENCE };
            let permits = &self.stage.permits;
            let permit = async { permits.acquire().await.map(SemaphorePermit::forget) };
            tokio::select! {
                order = self.orders.recv() => match order {
                    None => return Flow::Stop,
                    Some(order) => self.obey(line, order).await,
                },
                incoming = line.next(), if !self.deaf => match incoming {
                    Incoming::Ended(_) => return Flow::Lost,
                    Incoming::Packet(packet) => {
                        (heard, asked) = (Instant::now(), false);
                        self.hear(line, &packet).await;
                    }
                },
                () = sleep_until(heard + patience), if !self.deaf => {
                    if asked {
                        return Flow::Lost;
                    }
                    (heard, asked) = (Instant::now(), true);
                    self.mark(line).await;
                },
                () = sleep_until(self.rest_until), if !self.deaf && !self.waiting.is_empty() && self.pending.len() < WINDOW => {
                    if let Some(message) = self.waiting.pop_front() {
                        self.send(line, message, Why::Own).await;
                    }
                },
                Ok(()) = permit, if free && self.waiting.is_empty() => self.talk(line).await,
            }
        }
    }

    async fn obey(&mut self, line: &mut Line, order: Order) {
        match order {
            Order::Deaf => self.deaf = true,
            Order::Hear => self.deaf = false,
            Order::Expire => self.expire(line).await,
        }
    }

    /// Lets others see where it stands.
    fn show(&self) {
        for ((_, seen), place) in self.status.seen.iter().zip(&self.places) {
            seen.set(place.subscribed().then(|| place.seen()));
        }
        let adds = |pending: &&Pending| matches!(pending, Pending::Send { .. } | Pending::Change(_));
        let busy = self.pending.values().filter(adds).count() + self.waiting.len();
        self.status.busy.store(busy, Ordering::SeqCst);
        self.stage.moved();
    }

    /// The connection is gone: what had no answer may have happened or not.
    fn lose(&mut self) {
        self.deaf = false;
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
        self.places.iter_mut().for_each(Place::lost);
        self.show();
    }

    /// Holds one time in `times`, on average.
    fn chance(&mut self, times: u32) -> bool {
        self.rng.random_ratio(1, times)
    }
}
