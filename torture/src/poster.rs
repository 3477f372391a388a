//! The app's backend: posts notifications, each again under the same id until it is acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::history::{Event, Name};
use roomful_testkit::http;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::run_state::{RunState, User};

/// Answer timeout.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pause after a failed post.
const REST: Duration = Duration::from_millis(50);

pub(crate) struct Poster {
    pub(crate) run_state: Arc<RunState>,
    pub(crate) users: Vec<Arc<User>>,
    /// Addresses of the nodes; any will do.
    pub(crate) addrs: Vec<SocketAddr>,
    pub(crate) api_key: &'static str,
    pub(crate) seed: u64,
}

impl Poster {
    /// Posts as messages are acknowledged, for as long as it is polled.
    pub(crate) async fn run(self) {
        let mut rng = StdRng::seed_from_u64(self.seed);
        loop {
            let owes = || self.run_state.has_unposted_notices();
            while !self.run_state.wait_until(PATIENCE, owes).await {}
            let posted = self.run_state.notices();
            let mut users: Vec<_> = self.users.iter().filter(|_| rng.random()).cloned().collect();
            if users.is_empty() {
                users.extend(self.users.first().cloned());
            }
            self.post(&Name::from(format!("notice-{posted}")), &users, &mut rng)
                .await;
        }
    }

    async fn post(&self, id: &Name, users: &[Arc<User>], rng: &mut StdRng) {
        let names: Vec<Name> = users.iter().map(|user| user.name.clone()).collect();
        let ids: Vec<&str> = names.iter().map(|name| &**name).collect();
        let body =
            json!({ "userIds": ids, "kind": "torture", "title": &**id, "body": "", "id": &**id }).to_string();
        let key = format!("Bearer {}", self.api_key);
        let headers = [("authorization", &*key), ("content-type", "application/json")];
        loop {
            let Some(addr) = self.addrs.choose(rng).copied() else {
                return;
            };
            let asked = http::request(addr, "POST", "/api/v1/notifications", &headers, body.as_bytes());
            match timeout(PATIENCE, asked).await {
                Ok(Ok(answer)) if answer.status == 201 => break,
                Ok(Ok(answer)) if !matches!(answer.status, 429 | 500 | 503 | 507) => {
                    self.run_state.add_problem(format!(
                        "the notification {id} is refused: {} {}",
                        answer.status,
                        answer.text()
                    ));
                    break;
                }
                _ => sleep(REST).await,
            }
        }
        for user in users {
            user.posted.fetch_add(1, Ordering::SeqCst);
        }
        self.run_state.recorder.record(Event::Posted {
            id: id.clone(),
            users: names,
        });
        self.run_state.posted();
    }
}
