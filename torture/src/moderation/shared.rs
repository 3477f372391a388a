//! State that all tasks of the workload share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use roomful_testkit::server::ProcessHandle;
use roomful_testkit::token;
use serde_json::{Value, json};

use super::laws::erasure::Erased;
use super::laws::secret::check_refusal;
use super::report::Report;
use super::setup::Setup;
use super::slots::{Secret, Slots};
use super::violation::Violation;
use crate::run_state::RunState;

/// The room of the workload.
pub(super) const ROOM: &str = "court";
/// The user who reads the log back, and whose messages mark positions in it.
pub(super) const JUDGE: &str = "judge";

/// A node, as the workload reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) addr: SocketAddr,
    pub(crate) process: ProcessHandle,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) run_state: Arc<RunState>,
    pub(super) nodes: Vec<Node>,
    pub(super) setup: Setup,
    pub(super) report: Mutex<Report>,
    /// Users whose erasure was acknowledged.
    pub(super) erased: Mutex<Erased>,
    stopping: AtomicBool,
}

impl Shared {
    pub(super) fn new(run_state: Arc<RunState>, nodes: Vec<Node>, setup: Setup) -> Self {
        Self {
            run_state,
            nodes,
            setup,
            report: Mutex::default(),
            erased: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    pub(super) fn tick(&self) -> u64 {
        self.run_state.recorder.tick()
    }

    pub(super) fn node(&self, rng: &mut StdRng) -> SocketAddr {
        let unreachable = SocketAddr::from(([127, 0, 0, 1], 1));
        self.nodes.choose(rng).map_or(unreachable, |node| node.addr)
    }

    /// Ends the workload once the missing steps are done.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.run_state.moved();
    }

    pub(super) fn is_over(&self) -> bool {
        self.stopping.load(Ordering::SeqCst) && self.report.lock().missing().is_empty()
    }

    pub(super) fn violate(&self, violations: impl IntoIterator<Item = Violation>) {
        self.report.lock().add(violations);
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Report)) {
        count(&mut self.report.lock());
        self.run_state.moved();
    }

    /// Checks a refusal as unauthorized.
    pub(super) fn check_unauthorized(&self, slots: &Slots, secret: &Secret, begun: u64) {
        let validity = slots.validity(secret.number);
        let key = (slots.kind, secret.number);
        self.violate(check_refusal(key, validity, (begun, self.tick())));
    }

    /// The handshake of a user, with a token of the current secret.
    pub(super) fn auth(&self, user: &str) -> (Secret, Value) {
        let secret = self.setup.token_secrets.current();
        let auth = json!({ "token": token::for_user(&secret.text, user) });
        (secret, auth)
    }
}

/// The code of a refused connection.
pub(super) fn code_of(refused: &Value) -> &str {
    refused["data"]["code"].as_str().unwrap_or("no code")
}
