//! How many clients can come in a second: TCP, WebSocket, token, welcome; then they go.

use std::time::Duration;

use crate::candidate::SECRET;
use crate::clock;
use crate::error::BenchError;
use crate::loader::crowd::user_name;
use crate::loader::histogram::Latencies;
use crate::loader::swarm::{Heard, Swarm};
use crate::progress;
use crate::workload::traffic::to_f64;
use crate::workload::{Entrant, Figures, Scene, Workload};

/// Clients that come at the same time.
const AT_ONCE: usize = 64;
const TURN: Duration = Duration::from_millis(20);

pub(super) const WORKLOAD: Workload = Workload {
    name: "connects",
    title: "Connects with JWT",
    about: "64 clients at a time connect, are welcomed after their token was verified, and leave for the next.",
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

struct Door {
    swarm: Swarm,
    came: Vec<u64>,
    waiting: usize,
    welcomed: u64,
    latencies: Latencies,
}

fn measure(scene: &Scene<'_>) -> Result<Figures, BenchError> {
    let server = scene.serve()?;
    let mut door = Door {
        swarm: Swarm::new(server.addr(), scene.candidate.dialect)?,
        came: Vec::new(),
        waiting: 0,
        welcomed: 0,
        latencies: Latencies::new(),
    };
    door.open(scene.pace.warm_up)?;
    (door.welcomed, door.latencies) = (0, Latencies::new());
    let before = server.usage()?;
    let own_before = own_cpu()?;
    let seconds = door.open(scene.pace.measured)?;
    let cpu = server.usage()?.cpu.saturating_sub(before.cpu).as_secs_f64();
    let own = own_cpu()?.saturating_sub(own_before).as_secs_f64();
    Ok(Figures::from([
        ("connects_per_s".to_owned(), to_f64(door.welcomed) / seconds),
        ("connects_per_core_s".to_owned(), to_f64(door.welcomed) / cpu),
        ("connect_p99_ms".to_owned(), door.latencies.millis(0.99)),
        ("server_busy".to_owned(), cpu / seconds),
        ("loader_busy".to_owned(), own / seconds),
    ]))
}

fn own_cpu() -> Result<Duration, BenchError> {
    let usage = roomful_testkit::usage::Usage::of(std::process::id()).map_err(BenchError::Usage)?;
    Ok(usage.cpu)
}

impl Door {
    fn open(&mut self, span: Duration) -> Result<f64, BenchError> {
        let start = clock::now();
        let end = start + clock::nanos(span);
        let (mut welcomed, mut lost) = (Vec::new(), None);
        while clock::now() < end {
            while self.waiting < AT_ONCE {
                let user = user_name(self.came.len());
                let token = roomful_testkit::token::for_user(SECRET, &user);
                self.came.push(clock::now());
                self.swarm.connect(Some(&token))?;
                self.waiting += 1;
            }
            self.swarm.turn(TURN, &mut |client, heard| match heard {
                Heard::Up => welcomed.push(client),
                Heard::Gone(reason) => lost = Some(BenchError::Lost(client, reason)),
                _ => {}
            })?;
            if let Some(lost) = lost.take() {
                return Err(lost);
            }
            for client in welcomed.drain(..) {
                self.latencies.record(clock::now() - self.came[client]);
                self.swarm.disconnect(client);
                self.waiting -= 1;
                self.welcomed += 1;
            }
            progress::passing(&format!("  {} clients were welcomed", self.welcomed));
        }
        progress::clear();
        Ok(clock::seconds(clock::now() - start))
    }
}
