//! The backend bans, mutes and erases users, and rotates keys, while nodes are killed.
//!
//! All of it happens in a room of its own, beside the traffic of the devices. A case is a fresh user who
//! joins on some node and writes: messages that are sent until they are acknowledged, edits and reactions.
//! Each user has an id, a name and a word that stand nowhere else. At a random point of the writing, the
//! backend bans, mutes or erases the user, by calls to any node that are repeated until one is answered. All
//! calls and tokens use an API key and a token secret that another task rotates in files, with SIGHUP, also
//! right before kills.
//!
//! # Laws
//!
//! [`Violation`] has each law as its violation; `laws` checks them.
//!
//! 1. No send, edit or reaction that begins after a ban or mute is acknowledged succeeds before its end, and
//!    the refusal has the right code. The user's entries in the log end at the position of the ban or mute: a
//!    message that another user sends after the acknowledgement has a higher seq than all of them. Each
//!    message in the log comes from a send that began before the acknowledgement, or may have ended after the
//!    end.
//! 2. A join, or for a ban in all rooms a connection, that begins after the ban is acknowledged is refused as
//!    `banned`. After the end it succeeds, and nothing is refused as `banned` or `muted`.
//! 3. Once an erasure is acknowledged, the user's id, name and word are nowhere: not in the log as another
//!    member reads it, in the export, in the audit log, or in `GET /users/{user}`, which answers 404 when the
//!    grace of presence is over. At the end of the run they are in no table of PostgreSQL, or in no byte of
//!    SQLite's folder unless the file is larger than `store.compact_up_to`. The server refuses the user's
//!    tokens. An anonymised user's texts stay; id and name go.
//! 4. Each node accepts a new key or secret, and refuses an old one, within ten seconds after SIGHUP. No call
//!    and no connection with a valid one is refused as unauthorized. A secret is valid from when all nodes
//!    have accepted it until its file is overwritten.
//!
//! A run in which one of these acts is missing reports a trouble.

mod attempt;
mod backend;
mod case;
mod erasure_checks;
mod judge;
mod laws;
mod mark;
mod report;
mod rotation;
mod setup;
mod shared;
mod slots;
mod user_state;
mod violation;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::PostgresServer;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::attempt::Action;
pub use self::mark::{Mark, MarkKind};
pub use self::report::Report;
pub use self::violation::{SanctionKind, SecretKind, Violation};

pub(crate) use self::setup::Setup;
pub(crate) use self::shared::Node;

use self::case::{Act, Case};
use self::rotation::{Order, Rotation};
use self::shared::{ROOM, Shared};
use crate::error::TortureError;
use crate::run::RECOVERY;

/// Cases at the same time.
const LANES: u64 = 3;
/// Pause after something that failed or has not happened yet.
const REST: Duration = Duration::from_millis(50);
/// How long a kill waits for a rotation to begin.
const BEFORE_KILL: Duration = Duration::from_secs(1);

/// The workload. Dropping it ends its tasks.
pub(crate) struct Moderation {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    orders: mpsc::Sender<Order>,
    rng: StdRng,
}

/// What a run stores, to be searched at its end.
pub(crate) enum Storage<'a> {
    /// SQLite and its neighbours.
    Folder(PathBuf),
    Database {
        postgres: &'a PostgresServer,
        name: &'a str,
    },
}

impl Moderation {
    /// Starts the workload on nodes that run with the settings of `setup`.
    pub(crate) fn start(
        setup: Setup,
        run_state: &Arc<crate::run_state::RunState>,
        nodes: Vec<Node>,
        seed: u64,
    ) -> Self {
        let shared = Arc::new(Shared::new(Arc::clone(run_state), nodes, setup));
        let mut rng = StdRng::seed_from_u64(seed);
        let mut tasks = JoinSet::new();
        let (orders, inbox) = mpsc::channel(1);
        tasks.spawn(Rotation::new(Arc::clone(&shared), inbox, rng.random()).run());
        let next = Arc::new(AtomicU32::new(rng.random_range(0..6)));
        for _ in 0..LANES {
            let (shared, next) = (Arc::clone(&shared), Arc::clone(&next));
            tasks.spawn(lane(shared, next, rng.random()));
        }
        Self {
            shared,
            tasks,
            orders,
            rng,
        }
    }

    /// Begins a rotation in every second call, so that the kill hits it.
    pub(crate) async fn before_kill(&mut self) {
        if self.rng.random() {
            let (order, begun) = oneshot::channel();
            // A rotation that has begun already is hit as well.
            if self.orders.try_send(order).is_ok() {
                let _ = timeout(BEFORE_KILL, begun).await;
            }
        }
    }

    pub(crate) fn report(&self) -> Report {
        self.shared.report.lock().clone()
    }

    /// Ends the workload when all its acts have happened, and checks all places for erased users.
    pub(crate) async fn finish(self, storage: Storage<'_>) -> Result<Report, TortureError> {
        let Self {
            shared,
            mut tasks,
            orders,
            mut rng,
        } = self;
        let run_state = &shared.run_state;
        shared.stop();
        drop(orders);
        let ending = async { while tasks.join_next().await.is_some() {} };
        if timeout(3 * RECOVERY, ending).await.is_err() {
            run_state.add_problem("the moderation did not come to an end".to_owned());
        }
        let missing = shared.report.lock().missing().join(", ");
        if !missing.is_empty() {
            run_state.add_problem(format!("the run had no {missing}"));
        }
        if check_places(&shared, &mut rng).await.is_none() {
            run_state.add_problem("not all places were checked for erased users".to_owned());
        }
        storage.check(&shared).await?;
        let report = shared.report.lock().clone();
        Ok(report)
    }
}

async fn check_places(shared: &Shared, rng: &mut StdRng) -> Option<()> {
    let end = shared.mark_log(rng).await?;
    let log = shared.read_log(rng, 0, end).await?;
    erasure_checks::check_log(shared, &log);
    erasure_checks::check_audit(shared, rng, usize::MAX).await?;
    let erased: Vec<u32> = shared.erased.lock().keys().copied().collect();
    for case in erased {
        erasure_checks::check_calls(shared, rng, case).await?;
    }
    Some(())
}

/// Runs one case after the other.
async fn lane(shared: Arc<Shared>, next: Arc<AtomicU32>, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let path = format!("/rooms/{ROOM}");
    let as_is = json!({});
    let made = shared.call_for(&mut rng, ("PUT", &path), &as_is, &[200, 201]);
    if made.await.is_none() {
        return;
    }
    while !shared.is_over() {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let act = Act::ALL[number as usize % Act::ALL.len()];
        let mut case = Case::new(&shared, number, StdRng::seed_from_u64(rng.random()));
        // A case that fails has left a trouble, and another one would fail alike.
        if case.run(act).await.is_none() {
            return;
        }
    }
}
