//! Connects per second: TCP, WebSocket, token, welcome; then the clients disconnect.

use std::time::Duration;

use crate::candidate::SECRET;
use crate::clock;
use crate::error::BenchError;
use crate::loader::client_pool::{ClientEvent, ClientPool};
use crate::loader::connected_clients::user_name;
use crate::loader::histogram::Latencies;
use crate::progress;
use crate::workload::traffic::to_f64;
use crate::workload::{Entrant, Figures, Scene, Workload};

/// Clients that connect at the same time.
const AT_ONCE: usize = 64;
const TURN: Duration = Duration::from_millis(20);

pub(super) const WORKLOAD: Workload = Workload {
    name: "connects",
    title: "Connects with JWT",
    about: "64 clients at a time connect, get their welcome after a token check, and disconnect.",
    entrants: &[
        Entrant::chat("roomful"),
        Entrant::chat("node"),
        Entrant::chat("bun"),
        Entrant::chat("centrifugo"),
    ],
    shown: &[
        "connects_per_core_s",
        "connects_per_s",
        "connect_p99_ms",
        "server_busy",
        "loader_busy",
    ],
    clients: 1000,
    most_rounds: usize::MAX,
    long: false,
    measure,
};

struct Entrance {
    client_pool: ClientPool,
    came: Vec<u64>,
    waiting: usize,
    welcomed: u64,
    latencies: Latencies,
}

fn measure(scene: &Scene<'_>) -> Result<Figures, BenchError> {
    let server = scene.serve()?;
    let mut entrance = Entrance {
        client_pool: ClientPool::new(server.addr(), scene.candidate.dialect)?,
        came: Vec::new(),
        waiting: 0,
        welcomed: 0,
        latencies: Latencies::new(),
    };
    entrance.open(scene.pace.warm_up)?;
    (entrance.welcomed, entrance.latencies) = (0, Latencies::new());
    let before = server.usage()?;
    let own_before = own_cpu()?;
    let seconds = entrance.open(scene.pace.measured)?;
    let cpu = server.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64();
    let own = own_cpu()?.saturating_sub(own_before).as_secs_f64();
    Ok(Figures::from([
        ("connects_per_s".to_owned(), to_f64(entrance.welcomed) / seconds),
        ("connects_per_core_s".to_owned(), to_f64(entrance.welcomed) / cpu),
        ("connect_p99_ms".to_owned(), entrance.latencies.millis(0.99)),
        ("server_busy".to_owned(), cpu / seconds),
        ("loader_busy".to_owned(), own / seconds),
    ]))
}

fn own_cpu() -> Result<Duration, BenchError> {
    let usage = roomful_testkit::usage::Usage::of(std::process::id()).map_err(BenchError::Usage)?;
    Ok(usage.cpu)
}

impl Entrance {
    fn open(&mut self, span: Duration) -> Result<f64, BenchError> {
        let start = clock::now();
        let end = start + clock::nanos(span);
        let (mut welcomed, mut lost) = (Vec::new(), None);
        while clock::now() < end {
            while self.waiting < AT_ONCE {
                let user = user_name(self.came.len());
                let token = roomful_testkit::token::for_user(SECRET, &user);
                self.came.push(clock::now());
                self.client_pool.connect(Some(&token))?;
                self.waiting += 1;
            }
            self.client_pool.turn(TURN, &mut |client, event| match event {
                ClientEvent::Up => welcomed.push(client),
                ClientEvent::Gone(reason) => lost = Some(BenchError::Lost(client, reason)),
                _ => {}
            })?;
            if let Some(lost) = lost.take() {
                return Err(lost);
            }
            for client in welcomed.drain(..) {
                self.latencies.record(clock::now() - self.came[client]);
                self.client_pool.disconnect(client);
                self.waiting -= 1;
                self.welcomed += 1;
            }
            progress::passing(&format!("  {} clients were welcomed", self.welcomed));
        }
        progress::clear();
        Ok(clock::seconds(clock::now() - start))
    }
}
