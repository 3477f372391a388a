//! Durable sends only, beside a bare SQLite loop with the same rows and batch sizes.

use std::process::Command;

use crate::error::BenchError;
use crate::workload::traffic::{Load, Traffic, cost};
use crate::workload::{Entrant, Figures, Scene, Workload};

const SENDERS: usize = 64;

pub(super) const WORKLOAD: Workload = Workload {
    name: "sends",
    title: "Durable sends only, 64 senders",
    about: "64 clients, each alone in its room, 64 messages in flight. Beside Roomful, in the same run and \
        on the same disk: a bare loop on SQLite with Roomful's schema, rooms and rows, WAL, FULL, and as \
        many rows a commit as Roomful had.",
    entrants: &[
        Entrant::chat("roomful"),
        Entrant::chat("node"),
        Entrant::chat("bun"),
    ],
    shown: &[
        "acked_per_s",
        "ack_p99_ms",
        "batch",
        "bare_per_s",
        "of_bare",
        "server_busy",
        "loader_busy",
    ],
    clients: SENDERS,
    most_rounds: usize::MAX,
    long: false,
    measure,
};

fn measure(scene: &Scene<'_>) -> Result<Figures, BenchError> {
    let server = scene.serve()?;
    let connected = scene.connect(&server, SENDERS, SENDERS, 1)?;
    let mut traffic = Traffic::new(connected, true);
    // Only Roomful reports its batches.
    let own = scene.candidate.name == "roomful";
    let before = if own {
        Batches::of(&server.get("/metrics"))
    } else {
        Batches::default()
    };
    let mut figures = cost(&server, &mut traffic, Load::Closed(SENDERS), scene.pace)?;
    figures.remove("cpu_us_per_delivery");
    if own {
        let batch = Batches::of(&server.get("/metrics")).mean_since(before);
        drop(traffic);
        drop(server);
        let bare = bare(scene, batch)?;
        figures.insert("batch".into(), batch);
        figures.insert("bare_per_s".into(), bare);
        figures.insert("of_bare".into(), figures["acked_per_s"] / bare);
    }
    Ok(figures)
}

/// Sum and count of the store's commits, from the server's metrics.
#[derive(Clone, Copy, Default)]
struct Batches {
    writes: f64,
    commits: f64,
}

impl Batches {
    fn of(metrics: &str) -> Self {
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
        };
        Self {
            writes: value("roomful_store_batch_size_sum "),
            commits: value("roomful_store_batch_size_count "),
        }
    }

    fn mean_since(self, before: Self) -> f64 {
        let commits = self.commits - before.commits;
        if commits > 0.0 {
            (self.writes - before.writes) / commits
        } else {
            1.0
        }
    }
}

/// The bare loop, as a separate process on the server's core; rows per second.
fn bare(scene: &Scene<'_>, batch: f64) -> Result<f64, BenchError> {
    let folder = scene.checkout.fresh_folder()?;
    let failed = |why: String| BenchError::Bare(why);
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut words = scene.layout.server_wrapper().into_iter();
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg(program)
        .args(["bare-sqlite", "--rooms", &SENDERS.to_string()])
        .args(["--batch", &format!("{:.0}", batch.max(1.0))])
        .args(["--seconds", &format!("{}", scene.pace.measured.as_secs())])
        .arg("--folder")
        .arg(folder.path())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
