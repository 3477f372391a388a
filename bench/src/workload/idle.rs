//! The cost of a client that is connected, authenticated, in a room, and silent.

use std::time::Duration;

use roomful_testkit::usage::Usage;

use crate::clock;
use crate::error::BenchError;
use crate::loader::client_pool::ClientEvent;
use crate::loader::connected_clients::ConnectedClients;
use crate::progress;
use crate::server::Server;
use crate::workload::{Entrant, Figures, Scene, Workload};

const CLIENTS: usize = 10_000;
const CLIENTS_QUICK: usize = 2000;
const MEMBERS: usize = 10;

pub(super) const WORKLOAD: Workload = Workload {
    name: "idle",
    title: "Idle: 10,000 authenticated clients, each in a room",
    about: "Rooms of ten. Resident memory over that of the server alone, once it has come to rest; then \
        processor time, over one heartbeat interval.",
    entrants: &[
        Entrant::chat("roomful"),
        Entrant::chat("node"),
        Entrant::chat("bun"),
        Entrant::chat("centrifugo"),
    ],
    shown: &["rss_kib_per_client", "cpu_us_per_client_s"],
    clients: CLIENTS,
    most_rounds: 3,
    long: false,
    measure,
};

#[expect(
    clippy::cast_precision_loss,
    reason = "figures of a report: 52 bits are more than they mean"
)]
fn measure(scene: &Scene<'_>) -> Result<Figures, BenchError> {
    let clients = if scene.pace.quick { CLIENTS_QUICK } else { CLIENTS };
    let server = scene.serve()?;
    let before = settled(&server, None)?;
    let mut connected = scene.connect(&server, clients, clients / MEMBERS, MEMBERS)?;
    let after = settled(&server, Some(&mut connected))?;
    let memory = after.rss.saturating_sub(before.rss) as f64 / 1024.0;
    let mut figures = Figures::from([("rss_kib_per_client".to_owned(), memory / clients as f64)]);
    if let Some(span) = scene.pace.idle {
        let start = server.usage()?;
        idle_for(&mut connected, span)?;
        let cpu = server.usage()?.cpu.saturating_sub(start.cpu).as_secs_f64();
        let client_seconds = clients as f64 * span.as_secs_f64();
        figures.insert("cpu_us_per_client_s".into(), cpu * 1e6 / client_seconds);
    }
    Ok(figures)
}

/// Reads the memory each second until three consecutive readings are within a percent.
fn settled(server: &Server, mut connected: Option<&mut ConnectedClients>) -> Result<Usage, BenchError> {
    const STEP: Duration = Duration::from_secs(1);
    const STEPS: usize = 90;
    let mut readings = Vec::new();
    for step in 0..STEPS {
        progress::passing(&format!("  waiting for the server's memory to settle: {step} s"));
        match connected.as_deref_mut() {
            Some(connected) => idle_for(connected, STEP)?,
            None => std::thread::sleep(STEP),
        }
        let usage = server.usage()?;
        readings.push(usage.rss / 1024);
        if let [.., a, b, c] = readings[..] {
            let (low, high) = (a.min(b).min(c), a.max(b).max(c));
            if high - low <= low / 100 {
                progress::clear();
                return Ok(usage);
            }
        }
    }
    Err(BenchError::Restless {
        seconds: STEP.as_secs() * STEPS as u64,
        readings: readings.split_off(readings.len().saturating_sub(5)),
    })
}

/// Keeps the clients connected for a while; all must still be connected at the end.
fn idle_for(connected: &mut ConnectedClients, span: Duration) -> Result<(), BenchError> {
    let end = clock::now() + clock::nanos(span);
    let mut lost = None;
    while clock::now() < end {
        let left = Duration::from_nanos(end.saturating_sub(clock::now()));
        connected.client_pool.turn(left, &mut |client, event| {
            if let ClientEvent::Gone(reason) = event {
                lost = Some(BenchError::Lost(client, reason));
            }
        })?;
        if let Some(lost) = lost.take() {
            return Err(lost);
        }
    }
    Ok(())
}
