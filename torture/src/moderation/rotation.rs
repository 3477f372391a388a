//! The task that rotates the API key and the token secret while everything goes on.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::{Error, SioClient, http};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::REST;
use super::laws::secret::check_reload;
use super::setup::io_error;
use super::shared::{JUDGE, Node, Shared, code_of};
use super::slots::{Secret, Slots};
use super::violation::SecretKind;
use crate::error::TortureError;
use crate::run::RECOVERY;

/// Answer timeout of a node.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest pause between two rotations, in milliseconds.
const PAUSE: u64 = 3_000;

/// An order to rotate now. The answer comes when the nodes have got SIGHUP.
pub(super) type Order = oneshot::Sender<()>;

pub(super) struct Rotation {
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    rng: StdRng,
}

impl Rotation {
    pub(super) fn new(shared: Arc<Shared>, orders: mpsc::Receiver<Order>, seed: u64) -> Self {
        Self {
            shared,
            orders,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Rotates until the sender of orders is dropped, and each secret once at least.
    pub(super) async fn run(mut self) {
        let mut at = usize::from(self.rng.random::<bool>());
        loop {
            let rotated = self.shared.report.lock().rotations;
            if self.orders.is_closed() && !rotated.contains(&0) {
                return;
            }
            let pause = Duration::from_millis(self.rng.random_range(0..PAUSE));
            let order = tokio::select! {
                order = self.orders.recv(), if !self.orders.is_closed() => order,
                () = sleep(pause) => None,
            };
            if let Err(error) = self.rotate(at, order).await {
                let run_state = &self.shared.run_state;
                return run_state.add_problem(format!("a rotation failed: {error}"));
            }
            at = 1 - at;
        }
    }

    async fn rotate(&self, at: usize, order: Option<Order>) -> Result<(), TortureError> {
        let shared = &self.shared;
        let setup = &shared.setup;
        let slots = [&setup.api_keys, &setup.token_secrets][at];
        let new = slots.add().map_err(io_error)?;
        for node in &shared.nodes {
            node.process.reload();
        }
        if let Some(order) = order {
            // Nobody waits any more if this took too long.
            let in_time = order.send(()).is_ok();
            shared.count(|report| report.before_kills += u64::from(in_time));
        }
        self.wait_for_all(slots, &new, true).await?;
        let old = slots.switch(&new, shared.tick());
        slots.withdraw(&old, shared.tick()).map_err(io_error)?;
        self.wait_for_all(slots, &old, false).await?;
        shared.count(|report| report.rotations[at] += 1);
        Ok(())
    }

    /// Waits until every node accepts, or refuses, the secret.
    async fn wait_for_all(&self, slots: &Slots, secret: &Secret, accept: bool) -> Result<(), TortureError> {
        for (number, node) in self.shared.nodes.iter().enumerate() {
            self.wait_for(slots, secret, (number, node), accept).await?;
        }
        Ok(())
    }

    /// The time counts from the first SIGHUP to a run of a node that answers.
    async fn wait_for(
        &self,
        slots: &Slots,
        secret: &Secret,
        (number, node): (usize, &Node),
        accept: bool,
    ) -> Result<(), TortureError> {
        let deadline = Instant::now() + 2 * RECOVERY;
        let mut told: Option<(u64, Instant)> = None;
        while Instant::now() < deadline {
            // A node ignores the signal while it starts, so it gets more than one.
            let run = node.process.reload();
            told = run.map(|run| match told {
                Some((earlier, at)) if earlier == run => (run, at),
                _ => (run, Instant::now()),
            });
            let asked = Instant::now();
            let answer = timeout(PATIENCE, probe(slots.kind, node, secret)).await;
            match (answer, told) {
                (Ok(Some(accepted)), _) if accepted == accept => return Ok(()),
                (Ok(Some(accepted)), Some((_, at))) => {
                    let after = asked.duration_since(at);
                    let key = (slots.kind, secret.number);
                    let found = check_reload(key, number, (accepted, accept), after);
                    self.shared.violate(found);
                }
                // The node does not run, or hangs.
                _ => told = None,
            }
            sleep(2 * REST).await;
        }
        let what = format!(
            "node {number} did not take the {} number {} in or out",
            slots.kind, secret.number
        );
        Err(Error::Server(what).into())
    }
}

/// Whether a node accepts a secret; `None` if it gives no clear answer.
async fn probe(kind: SecretKind, node: &Node, secret: &Secret) -> Option<bool> {
    match kind {
        SecretKind::ApiKey => {
            let bearer = format!("Bearer {}", secret.text);
            let headers = [("authorization", &*bearer)];
            let asked = http::request(node.addr, "GET", "/api/v1/key", &headers, b"");
            match asked.await.ok()?.status {
                200 => Some(true),
                401 => Some(false),
                _ => None,
            }
        }
        SecretKind::TokenSecret => {
            let token = roomful_testkit::token::for_user(&secret.text, JUDGE);
            let auth = serde_json::json!({ "token": token });
            match SioClient::connect(node.addr, "/", &auth).await {
                Ok(client) => {
                    client.abort().await;
                    Some(true)
                }
                Err(Error::ConnectRefused(refused)) if code_of(&refused) == "unauthorized" => Some(false),
                Err(_) => None,
            }
        }
    }
}
