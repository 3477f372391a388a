//! The server's processor time per message and per delivery, over a grid of rates and room sizes: the figures
//! behind docs/capacity.md.
//!
//! Only the server's own processor time counts, so neither the loader nor other programs on the machine
//! change the result much. Rates stay below saturation, since batching makes a saturated server look cheap.

use std::time::Duration;

use crate::candidate::{self, Checkout, Mode};
use crate::cores::{Layout, check_open_files};
use crate::error::BenchError;
use crate::progress;
use crate::spent::Serving as _;
use crate::stats::Summary;
use crate::workload::traffic::{Load, Traffic, measured, to_f64};
use crate::workload::{Entrant, Pace, Scene};

/// Clients in every cell, so that all cells have the same heartbeats.
const CLIENTS: usize = 1000;
/// Members of each room.
const MEMBERS: [usize; 5] = [2, 10, 50, 200, 1000];
/// Messages per second, over all rooms.
const RATES: [u32; 4] = [20, 100, 400, 1000];
/// Cells with more deliveries per second are left out: one loader would not keep up.
const MAX_DELIVERIES: usize = 25_000;
const PACE: Pace = Pace {
    warm_up: Duration::from_secs(1),
    measured: Duration::from_secs(6),
    idle: None,
    quick: false,
};

/// One cell of the grid, measured once.
#[derive(Clone, Copy, Debug)]
struct Cell {
    members: usize,
    rate: u32,
    /// Microseconds of the server's processor time, without that of idle clients.
    micros_per_message: f64,
}

/// The cost of a message as a line: `send + delivery * deliveries`, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    send: f64,
    delivery: f64,
}

/// Measures the grid `rounds` times and prints a table in Markdown with the fitted costs.
pub(crate) fn run(rounds: usize, layout: &Layout) -> Result<(), BenchError> {
    check_open_files(CLIENTS)?;
    let checkout = Checkout::here()?;
    let mut cells = Vec::new();
    for round in 0..rounds {
        for members in MEMBERS {
            cells.extend(row(members, &checkout, layout)?);
            progress::line(&format!("round {} of {rounds}, rooms of {members}", round + 1));
        }
    }
    print(&cells);
    Ok(())
}

/// All rates for one room size, on one server.
fn row(members: usize, checkout: &Checkout, layout: &Layout) -> Result<Vec<Cell>, BenchError> {
    let entrant = Entrant::chat("roomful");
    let unknown = || BenchError::Stalled("the candidate roomful is unknown".into());
    let scene = Scene {
        entrant,
        candidate: candidate::by_name(entrant.candidate).ok_or_else(unknown)?,
        checkout,
        layout,
        pace: PACE,
    };
    let server = scene.serve()?;
    let connected = scene.connect(&server, CLIENTS, CLIENTS / members, members)?;
    let mut traffic = Traffic::new(connected, entrant.mode == Mode::Chat);
    // The first messages of a new process fill its caches.
    traffic.run(Load::Open(100.0), PACE.warm_up, "warming up")?;
    traffic.settle()?;
    let idle = {
        let before = server.spent()?;
        traffic.run(Load::Closed(0), PACE.measured, "idle")?;
        server.spent()?.since(&before).servers().as_secs_f64() / PACE.measured.as_secs_f64()
    };
    let mut cells = Vec::new();
    for rate in RATES {
        if usize::try_from(rate).unwrap_or(usize::MAX) * members > MAX_DELIVERIES {
            break;
        }
        let span = measured(&server, &mut traffic, Load::Open(f64::from(rate)), PACE)?;
        traffic.settle()?;
        let used = span.spent.servers().as_secs_f64() - idle * span.tally.seconds;
        let messages = to_f64(span.tally.deliveries) / members_f64(members);
        cells.push(Cell {
            members,
            rate,
            micros_per_message: used * 1e6 / messages,
        });
    }
    Ok(cells)
}

/// Fits a line that minimises the squares of the relative errors, so that small rooms count as much as large
/// ones.
fn fit(cells: &[Cell]) -> Cost {
    let (mut w, mut wx, mut wxx, mut wy, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for cell in cells.iter().filter(|cell| cell.micros_per_message > 0.0) {
        let (x, y) = (members_f64(cell.members), cell.micros_per_message);
        let weight = 1.0 / (y * y);
        w += weight;
        wx += weight * x;
        wxx += weight * x * x;
        wy += weight * y;
        wxy += weight * x * y;
    }
    let determinant = w * wxx - wx * wx;
    Cost {
        send: (wxx * wy - wx * wxy) / determinant,
        delivery: (w * wxy - wx * wy) / determinant,
    }
}

fn members_f64(members: usize) -> f64 {
    to_f64(u64::try_from(members).unwrap_or(u64::MAX))
}

fn print(cells: &[Cell]) {
    let heads = RATES.map(|rate| format!("{rate} messages/s"));
    progress::line(&format!("| members | {} |", heads.join(" | ")));
    progress::line(&format!("|---|{}", "---|".repeat(RATES.len())));
    for members in MEMBERS {
        let column = |rate| {
            let found = cells
                .iter()
                .filter(|cell| (cell.members, cell.rate) == (members, rate));
            let micros: Vec<_> = found.map(|cell| cell.micros_per_message).collect();
            let summary = Summary::of(&micros);
            summary.map_or_else(|| "–".to_owned(), |micros| format!("{:.0} µs", micros.median))
        };
        progress::line(&format!("| {members} | {} |", RATES.map(column).join(" | ")));
    }
    let tell = |which: &str, cost: Cost| {
        let Cost { send, delivery } = cost;
        progress::line(&format!(
            "{which}: {send:.0} µs per message + {delivery:.1} µs per delivery"
        ));
    };
    for rate in RATES {
        let of_rate: Vec<_> = cells.iter().copied().filter(|cell| cell.rate == rate).collect();
        tell(&format!("{rate} messages/s"), fit(&of_rate));
    }
    tell("all", fit(cells));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_finds_the_costs_that_the_cells_were_made_from() {
        let cell = |members| Cell {
            members,
            rate: 1,
            micros_per_message: 200.0 + 7.0 * members_f64(members),
        };
        let cost = fit(&MEMBERS.map(cell));
        assert!(
            (cost.send - 200.0).abs() < 1e-6 && (cost.delivery - 7.0).abs() < 1e-6,
            "{cost:?}"
        );
    }

    #[test]
    fn one_outlier_does_not_move_the_median() {
        let median = |values: &[f64]| Summary::of(values).map(|summary| summary.median);
        assert_eq!(median(&[3.0, 900.0, 2.0]), Some(3.0));
        assert_eq!(median(&[]), None);
    }
}
