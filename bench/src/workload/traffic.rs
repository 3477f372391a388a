//! Message traffic among the clients: closed loop with a fixed number in flight, or open loop on a schedule.

use std::collections::HashMap;
use std::time::Duration;

use roomful_testkit::usage::Usage;

use crate::candidate::Mode;
use crate::clock;
use crate::error::BenchError;
use crate::loader::client_pool::ClientEvent;
use crate::loader::connected_clients::{ConnectedClients, Plan};
use crate::loader::histogram::Latencies;
use crate::loader::stamp::Stamp;
use crate::progress;
use crate::spent::{Serving, Spent};
use crate::workload::{Figures, Pace, Scene};

/// Characters of a message's text: about 190 bytes on the wire with room and event.
pub(super) const TEXT: usize = 120;
/// Ids of sends start above those of joins.
const FIRST_ID: u32 = 100_000;
const TURN: Duration = Duration::from_millis(20);
/// The longest silence while something is due.
const PATIENCE: Duration = Duration::from_secs(20);
/// After this silence, missing messages count as lost.
const SILENCE: Duration = Duration::from_millis(500);

/// The pace of messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// A fixed number in flight; the next one leaves when one has reached all members.
    Closed(usize),
    /// A fixed rate, whether the server keeps up or not. Latency counts from a message's due time.
    Open(f64),
}

/// The deliveries within a span.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) seconds: f64,
    pub(super) deliveries: u64,
    pub(super) complete: u64,
    pub(super) acked: u64,
    /// From a message's due time to each delivery.
    pub(super) delivery: Latencies,
    /// From a message's due time to its ack.
    pub(super) ack: Latencies,
}

impl Tally {
    fn new() -> Self {
        Self {
            seconds: 0.0,
            deliveries: 0,
            complete: 0,
            acked: 0,
            delivery: Latencies::new(),
            ack: Latencies::new(),
        }
    }
}

struct Message {
    due: u64,
    /// Outstanding deliveries, and the ack if requested.
    left: u32,
}

/// Connected clients that send.
pub(super) struct Traffic {
    pub(super) connected: ConnectedClients,
    state: State,
}

struct State {
    plan: Plan,
    ack: bool,
    messages: Vec<Message>,
    in_flight: usize,
    /// Characters of a text.
    text: usize,
    /// Members that do not read, whose deliveries are not awaited, with their last seq.
    paused: HashMap<usize, u64>,
    /// The number of those that were disconnected.
    gone: usize,
    last_news: u64,
    failure: Option<BenchError>,
    tally: Tally,
}

impl Traffic {
    /// With `ack`, senders request one, and a message is done only once it has arrived.
    pub(super) fn new(connected: ConnectedClients, ack: bool) -> Self {
        let state = State {
            plan: connected.plan,
            ack,
            messages: Vec::new(),
            in_flight: 0,
            text: TEXT,
            paused: HashMap::new(),
            gone: 0,
            last_news: clock::now(),
            failure: None,
            tally: Tally::new(),
        };
        Self { connected, state }
    }

    /// The same with another text length.
    pub(super) fn with_text(mut self, characters: usize) -> Self {
        self.state.text = characters;
        self
    }

    /// Stops the reading of these clients; their deliveries are not awaited, and they may be disconnected.
    pub(super) fn pause_readers(
        &mut self,
        clients: impl IntoIterator<Item = usize>,
    ) -> Result<(), BenchError> {
        for client in clients {
            self.connected.client_pool.set_reading(client, false)?;
            self.state.paused.insert(client, 0);
        }
        Ok(())
    }

    /// Lets the stopped clients read their kernel's buffers, until the end of the connection or for `span`.
    /// Returns the last seq of each.
    pub(super) fn drain_paused(&mut self, span: Duration) -> Result<HashMap<usize, u64>, BenchError> {
        let paused: Vec<_> = self.state.paused.keys().copied().collect();
        for client in paused {
            self.connected.client_pool.set_reading(client, true)?;
        }
        let end = clock::now() + clock::nanos(span);
        while clock::now() < end {
            self.turn(TURN)?;
        }
        Ok(self.state.paused.clone())
    }

    /// The number of stopped clients that the server has disconnected, as far as they have noticed.
    pub(super) fn gone(&self) -> usize {
        self.state.gone
    }

    /// Generates load for a while; returns the deliveries.
    pub(super) fn run(&mut self, load: Load, span: Duration, what: &str) -> Result<Tally, BenchError> {
        let start = clock::now();
        let end = start + clock::nanos(span);
        self.state.tally = Tally::new();
        self.state.last_news = start;
        let mut sent = 0;
        loop {
            let now = clock::now();
            if now >= end {
                break;
            }
            let wait = self.send_due(load, start, now, &mut sent);
            self.turn(wait.min(Duration::from_nanos(end - now)))?;
            progress::passing(&format!(
                "  {what}: {:.1} of {:.1} s, {} deliveries",
                clock::seconds(now - start),
                span.as_secs_f64(),
                self.state.tally.deliveries
            ));
        }
        progress::clear();
        self.state.tally.seconds = clock::seconds(clock::now() - start);
        Ok(std::mem::replace(&mut self.state.tally, Tally::new()))
    }

    /// Waits until all outstanding deliveries have arrived; returns them.
    pub(super) fn settle(&mut self) -> Result<Tally, BenchError> {
        self.state.last_news = clock::now();
        while self.state.in_flight > 0 {
            self.turn(TURN)?;
        }
        Ok(std::mem::replace(&mut self.state.tally, Tally::new()))
    }

    /// Sends to every room until all its members have received a message. Members on another node do not
    /// until that node has subscribed to the room, and no server reports when it has.
    pub(super) fn meet(&mut self) -> Result<(), BenchError> {
        let start = clock::now();
        loop {
            self.state.last_news = clock::now();
            (0..self.state.plan.rooms).for_each(|_| self.send(clock::now()));
            while self.state.in_flight > 0 && clock::now() - self.state.last_news < clock::nanos(SILENCE) {
                self.turn(TURN)?;
            }
            if self.state.in_flight == 0 {
                return Ok(());
            }
            if clock::now() - start > clock::nanos(PATIENCE) {
                let seconds = PATIENCE.as_secs();
                let why = format!("some members heard nothing of another node for {seconds} s");
                return Err(BenchError::Stalled(why));
            }
            self.state.forget();
        }
    }

    /// Sends the due messages; returns the time until the next one.
    fn send_due(&mut self, load: Load, start: u64, now: u64, sent: &mut u64) -> Duration {
        match load {
            Load::Closed(window) => {
                while self.state.in_flight < window {
                    self.send(now);
                }
                TURN
            }
            Load::Open(per_second) => loop {
                let due = start + due_after(*sent, per_second);
                if due > now {
                    return TURN.min(Duration::from_nanos(due - now));
                }
                self.send(due);
                *sent += 1;
            },
        }
    }

    fn send(&mut self, due: u64) {
        let State {
            plan,
            ack,
            messages,
            paused,
            text,
            ..
        } = &mut self.state;
        let number = messages.len();
        let room = number % plan.rooms;
        // Members take turns, so that not one socket is always hot.
        let turn = (number / plan.rooms) % plan.members;
        let mut members = (turn..turn + plan.members).map(|member| plan.client(room, member % plan.members));
        let sender = plan
            .sender(number)
            .or_else(|| members.find(|client| !paused.contains_key(client)))
            .unwrap_or_default();
        let readers = (0..plan.members).filter(|&member| !paused.contains_key(&plan.client(room, member)));
        let readers = if paused.is_empty() {
            plan.members
        } else {
            readers.count()
        };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        messages.push(Message {
            due,
            left: u32::try_from(readers).unwrap_or(u32::MAX) + u32::from(*ack),
        });
        let text = Stamp { due, number }.text(*text);
        let dialect = self.connected.client_pool.dialect();
        let payload = dialect.send(FIRST_ID + number, *ack, &plan.room_name(room), &text);
        self.connected.client_pool.send(sender, &payload);
        self.state.in_flight += 1;
    }

    fn turn(&mut self, wait: Duration) -> Result<(), BenchError> {
        let Self { connected, state } = self;
        connected
            .client_pool
            .turn(wait, &mut |client, event| state.handle(client, event))?;
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        if state.in_flight > 0 && clock::now().saturating_sub(state.last_news) > clock::nanos(PATIENCE) {
            let (under_way, seconds) = (state.in_flight, PATIENCE.as_secs());
            return Err(BenchError::Stalled(format!(
                "{under_way} messages were under way and nothing came for {seconds} s"
            )));
        }
        Ok(())
    }
}

impl State {
    fn handle(&mut self, client: usize, event: ClientEvent<'_>) {
        match event {
            ClientEvent::Delivery(payload) => {
                if let Some(seen) = self.paused.get_mut(&client) {
                    *seen = seq(payload).unwrap_or(*seen).max(*seen);
                } else if let Some(stamp) = Stamp::find(payload) {
                    let now = clock::now();
                    self.tally.deliveries += 1;
                    self.tally.delivery.record(now.saturating_sub(stamp.due));
                    self.came(stamp.number, now);
                }
            }
            ClientEvent::Answer { id, ok } if id >= FIRST_ID => {
                if !ok {
                    self.failure = Some(BenchError::Refused(client));
                } else if self.ack {
                    let (now, number) = (clock::now(), id - FIRST_ID);
                    self.tally.acked += 1;
                    if let Some(message) = self.messages.get(number as usize) {
                        self.tally.ack.record(now.saturating_sub(message.due));
                    }
                    self.came(number, now);
                }
            }
            ClientEvent::Gone(_) if self.paused.contains_key(&client) => self.gone += 1,
            ClientEvent::Gone(reason) => self.failure = Some(BenchError::Lost(client, reason)),
            _ => {}
        }
    }

    /// Gives up waiting for outstanding deliveries.
    fn forget(&mut self) {
        self.messages.iter_mut().for_each(|message| message.left = 0);
        self.in_flight = 0;
    }

    fn came(&mut self, number: u32, now: u64) {
        self.last_news = now;
        if let Some(message) = self.messages.get_mut(number as usize)
            && message.left > 0
        {
            message.left -= 1;
            if message.left == 0 {
                self.in_flight -= 1;
                self.tally.complete += 1;
            }
        }
    }
}

/// A message's number in its room.
fn seq(payload: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"seq\":";
    let start = memchr::memmem::find(payload, KEY)? + KEY.len();
    let digits = payload[start..].split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a run sends far fewer messages than 52 bits count"
)]
fn due_after(sent: u64, per_second: f64) -> u64 {
    clock::nanos(Duration::from_secs_f64(sent as f64 / per_second.max(0.001)))
}

/// The cost of a delivery in `rooms` rooms of `members`, with that many messages in flight. Chat waits for
/// acks too.
pub(super) fn in_rooms(
    scene: &Scene<'_>,
    rooms: usize,
    members: usize,
    in_flight: usize,
) -> Result<Figures, BenchError> {
    let server = scene.serve()?;
    let connected = scene.connect(&server, rooms * members, rooms, members)?;
    let mut traffic = Traffic::new(connected, scene.entrant.mode == Mode::Chat);
    cost(&server, &mut traffic, Load::Closed(in_flight), scene.pace)
}

/// The deliveries within a measured span, and their cost.
pub(super) struct Span {
    pub(super) tally: Tally,
    pub(super) spent: Spent,
    /// The loader's own processor time.
    own: Duration,
}

impl Span {
    /// Rates, latencies, and the utilisation of both sides.
    pub(super) fn figures(&self) -> Figures {
        let mut figures = figures(&self.tally);
        let busy = |cpu: Duration| cpu.as_secs_f64() / self.tally.seconds;
        figures.insert("server_busy".into(), busy(self.spent.servers()));
        figures.insert("loader_busy".into(), busy(self.own));
        figures
    }
}

/// Microseconds of processor time per item.
pub(super) fn micros_each(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / to_f64(count)
}

/// Warms up, measures, and computes the cost of a delivery.
pub(super) fn cost(
    serving: &dyn Serving,
    traffic: &mut Traffic,
    load: Load,
    pace: Pace,
) -> Result<Figures, BenchError> {
    let span = measured(serving, traffic, load, pace)?;
    let mut figures = span.figures();
    let cost = micros_each(span.spent.servers(), span.tally.deliveries);
    figures.insert("cpu_us_per_delivery".into(), cost);
    Ok(figures)
}

/// Warms up and measures.
pub(super) fn measured(
    serving: &dyn Serving,
    traffic: &mut Traffic,
    load: Load,
    pace: Pace,
) -> Result<Span, BenchError> {
    traffic.run(load, pace.warm_up, "warming up")?;
    let own = || Usage::of(std::process::id()).map_err(BenchError::Usage);
    let (before, own_before) = (serving.spent()?, own()?);
    let tally = traffic.run(load, pace.measured, "measuring")?;
    let (after, own_after) = (serving.spent()?, own()?);
    if tally.deliveries == 0 {
        return Err(BenchError::Stalled(
            "not one message came within the measured time".into(),
        ));
    }
    Ok(Span {
        tally,
        spent: after.since(&before),
        own: own_after.cpu.saturating_sub(own_before.cpu),
    })
}

/// Rates and latencies of a span.
pub(super) fn figures(tally: &Tally) -> Figures {
    let mut figures = Figures::from([
        (
            "deliveries_per_s".to_owned(),
            to_f64(tally.deliveries) / tally.seconds,
        ),
        (
            "messages_per_s".to_owned(),
            to_f64(tally.complete) / tally.seconds,
        ),
        ("delivery_p50_ms".to_owned(), tally.delivery.millis(0.5)),
        ("delivery_p99_ms".to_owned(), tally.delivery.millis(0.99)),
        ("delivery_p999_ms".to_owned(), tally.delivery.millis(0.999)),
    ]);
    if tally.acked > 0 {
        figures.insert("acked_per_s".into(), to_f64(tally.acked) / tally.seconds);
        figures.insert("ack_p50_ms".into(), tally.ack.millis(0.5));
        figures.insert("ack_p99_ms".into(), tally.ack.millis(0.99));
    }
    figures
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a report: 52 bits are more than they mean"
)]
pub(super) fn to_f64(count: u64) -> f64 {
    count as f64
}
