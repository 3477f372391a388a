//! Joins per second, each with the room's last 50 messages.

use std::time::Duration;

use roomful_testkit::usage::Usage;

use crate::clock;
use crate::error::BenchError;
use crate::loader::client_pool::ClientEvent;
use crate::loader::connected_clients::{ConnectedClients, room_name};
use crate::loader::histogram::Latencies;
use crate::loader::stamp::Stamp;
use crate::progress;
use crate::workload::traffic::{TEXT, to_f64};
use crate::workload::{Entrant, Figures, Scene, Workload};

const CLIENTS: usize = 1000;
const ROOMS: usize = 100;
const MEMBERS: usize = CLIENTS / ROOMS;
/// Messages in each room before the joins.
const HISTORY: usize = 50;
/// Joins in progress at a time.
const AT_ONCE: usize = 32;
/// Ids of sends and joins start above those of the first joins.
const FIRST_ID: u32 = 100_000;
const TURN: Duration = Duration::from_millis(20);

pub(super) const WORKLOAD: Workload = Workload {
    name: "joins",
    title: "Joins with 50 messages of history",
    about: "100 rooms of ten members with 50 stored messages each. Members join again, as after a \
        reconnect, 32 at a time. Centrifugo, with its history in memory, returns the last 50 instead.",
    entrants: &[
        Entrant::chat("roomful"),
        Entrant::chat("node"),
        Entrant::chat("bun"),
        Entrant::chat("centrifugo"),
    ],
    shown: &[
        "joins_per_s",
        "join_p99_ms",
        "cpu_us_per_join",
        "server_busy",
        "loader_busy",
    ],
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: false,
    measure,
};

struct Joins {
    connected: ConnectedClients,
    /// Commands so far; the next id is [`FIRST_ID`] plus this number.
    asked: Vec<u64>,
    waiting: usize,
    latencies: Latencies,
}

fn measure(scene: &Scene<'_>) -> Result<Figures, BenchError> {
    let server = scene.serve()?;
    let mut joins = Joins {
        connected: scene.connect(&server, CLIENTS, ROOMS, MEMBERS)?,
        asked: Vec::new(),
        waiting: 0,
        latencies: Latencies::new(),
    };
    joins.fill()?;
    joins.join(scene.pace.warm_up)?;
    joins.latencies = Latencies::new();
    let own = || Usage::of(std::process::id()).map_err(BenchError::Usage);
    let (before, own_before) = (server.usage()?, own()?);
    let seconds = joins.join(scene.pace.measured)?;
    let cpu = server.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64();
    let own_cpu = own()?.cpu.saturating_sub(own_before.cpu).as_secs_f64();
    let done = to_f64(joins.latencies.count());
    Ok(Figures::from([
        ("joins_per_s".to_owned(), done / seconds),
        ("join_p99_ms".to_owned(), joins.latencies.millis(0.99)),
        ("cpu_us_per_join".to_owned(), cpu * 1e6 / done),
        ("server_busy".to_owned(), cpu / seconds),
        ("loader_busy".to_owned(), own_cpu / seconds),
    ]))
}

impl Joins {
    /// Fills the rooms, one message per room and turn, so that each member keeps up.
    fn fill(&mut self) -> Result<(), BenchError> {
        for _ in 0..HISTORY {
            for room in 0..ROOMS {
                let sender = self.connected.plan.client(room, 0);
                let id = self.next_id();
                let stamp = Stamp {
                    due: clock::now(),
                    number: id,
                };
                let text = stamp.text(TEXT);
                let payload = self
                    .connected
                    .client_pool
                    .dialect()
                    .send(id, true, &room_name(room), &text);
                self.connected.client_pool.send(sender, &payload);
            }
            while self.waiting > 0 {
                self.turn()?;
            }
            progress::count("stored messages", self.asked.len(), HISTORY * ROOMS);
        }
        Ok(())
    }

    fn join(&mut self, span: Duration) -> Result<f64, BenchError> {
        let start = clock::now();
        let end = start + clock::nanos(span);
        while clock::now() < end {
            while self.waiting < AT_ONCE {
                let client = self.asked.len() % CLIENTS;
                let id = self.next_id();
                let payload = self
                    .connected
                    .client_pool
                    .dialect()
                    .join_again(id, &room_name(client / MEMBERS));
                self.connected.client_pool.send(client, &payload);
            }
            self.turn()?;
            progress::passing(&format!("  {} joins", self.latencies.count()));
        }
        progress::clear();
        Ok(clock::seconds(clock::now() - start))
    }

    fn next_id(&mut self) -> u32 {
        let id = FIRST_ID + u32::try_from(self.asked.len()).unwrap_or(u32::MAX - FIRST_ID);
        self.asked.push(clock::now());
        self.waiting += 1;
        id
    }

    fn turn(&mut self) -> Result<(), BenchError> {
        let Self {
            connected,
            asked,
            waiting,
            latencies,
        } = self;
        let mut failure = None;
        connected
            .client_pool
            .turn(TURN, &mut |client, event| match event {
                ClientEvent::Answer { id, ok: true } => {
                    *waiting -= 1;
                    let asked = asked.get((id - FIRST_ID) as usize).copied().unwrap_or_default();
                    latencies.record(clock::now().saturating_sub(asked));
                }
                ClientEvent::Answer { ok: false, .. } => failure = Some(BenchError::Refused(client)),
                ClientEvent::Gone(reason) => failure = Some(BenchError::Lost(client, reason)),
                _ => {}
            })?;
        let oldest = asked.len().saturating_sub(*waiting);
        let stalled = *waiting > 0
            && asked
                .get(oldest)
                .is_some_and(|asked| clock::now() - asked > 20_000_000_000);
        match failure {
            Some(failure) => Err(failure),
            None if stalled => Err(BenchError::Stalled("a command was not answered for 20 s".into())),
            None => Ok(()),
        }
    }
}
