//! Delivery latency in a large room, at half of each server's saturating rate.

use crate::error::BenchError;
use crate::workload::traffic::{Load, Traffic, figures};
use crate::workload::{Entrant, Figures, Scene, Workload};

const MEMBERS: usize = 10_000;
/// Messages in flight while searching for the saturating rate.
const SATURATING: usize = 8;
/// A rate, in messages per second, that all but the slowest can sustain.
const SAME_RATE: f64 = 2.0;

pub(super) const WORKLOAD: Workload = Workload {
    name: "latency",
    title: "One room × 10,000: delivery at half the saturating rate",
    about: "First eight messages in flight, to find the server's saturating rate; then half that rate, on a \
        schedule; then two a second, the same for all. Latency counts from a message's due time to each of \
        its 10,000 deliveries. Where the loader was saturated, the server could have done more.",
    entrants: &[
        Entrant::bare("floor"),
        Entrant::bare("roomful-socket"),
        Entrant::bare("socketioxide"),
        Entrant::bare("node"),
        Entrant::bare("bun"),
        Entrant::bare("centrifugo"),
        Entrant::bare("python"),
    ],
    shown: &[
        "delivery_p99_ms",
        "p99_same_ms",
        "delivery_p50_ms",
        "delivery_p999_ms",
        "saturating_per_s",
        "messages_per_s",
    ],
    clients: MEMBERS,
    most_rounds: usize::MAX,
    long: true,
    measure,
};

fn measure(scene: &Scene<'_>) -> Result<Figures, BenchError> {
    let server = scene.serve()?;
    let connected = scene.connect(&server, MEMBERS, 1, MEMBERS)?;
    let mut traffic = Traffic::new(connected, false);
    traffic.run(Load::Closed(SATURATING), scene.pace.warm_up, "warming up")?;
    let most = traffic.run(Load::Closed(SATURATING), scene.pace.measured, "saturating")?;
    traffic.settle()?;
    // Count deliveries, not whole messages: a slow server may hardly complete one in the time.
    #[expect(clippy::cast_precision_loss, reason = "both are far below 52 bits")]
    let saturating = most.deliveries as f64 / MEMBERS as f64 / most.seconds;
    let half = Load::Open((saturating / 2.0).max(0.2));
    traffic.run(half, scene.pace.warm_up, "at half the rate")?;
    let tally = traffic.run(half, scene.pace.measured * 2, "measuring at half the rate")?;
    if most.deliveries == 0 || tally.deliveries == 0 {
        return Err(BenchError::Stalled(
            "not one message came within the measured time".into(),
        ));
    }
    traffic.settle()?;
    let same = traffic.run(
        Load::Open(SAME_RATE),
        scene.pace.measured * 2,
        "measuring at the same rate",
    )?;
    let mut figures = figures(&tally);
    if same.deliveries > 0 {
        figures.insert("p99_same_ms".into(), same.delivery.millis(0.99));
    }
    figures.insert("saturating_per_s".into(), saturating);
    Ok(figures)
}
