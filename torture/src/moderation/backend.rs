//! Calls of the HTTP API by the app's backend, to any node, repeated until one is answered.

use std::time::Duration;

use rand::rngs::StdRng;
use roomful_testkit::http::HttpClient;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::shared::{JUDGE, ROOM, Shared};
use crate::answer::number;
use crate::run::RECOVERY;

/// Answer timeout. Longer than any freeze of a node: a call without an answer may be carried out later.
const PATIENCE: Duration = Duration::from_secs(15);
/// Pause after a call without a final answer.
const REST: Duration = Duration::from_millis(50);

/// The final answer to a call.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) text: String,
    /// False if an earlier attempt got no answer, or one that leaves the outcome open.
    pub(super) is_certain: bool,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// The result of one attempt.
enum Try {
    Answered(u16, String),
    /// The node has not got the call.
    NotSent,
    Unanswered,
}

impl Shared {
    /// Makes a call. `path` is relative to `/api/v1`. `None` if no node gives a final answer in time, which
    /// is a trouble.
    pub(super) async fn call(
        &self,
        rng: &mut StdRng,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<Reply> {
        let deadline = Instant::now() + RECOVERY;
        let mut is_certain = true;
        let mut last = String::new();
        while Instant::now() < deadline {
            let begun = self.tick();
            let key = self.setup.api_keys.current();
            match self.attempt(rng, &key.text, method, path, body).await {
                Try::Answered(401, text) => {
                    self.check_unauthorized(&self.setup.api_keys, &key, begun);
                    last = format!("401 {text}");
                }
                Try::Answered(429, text) => last = format!("429 {text}"),
                Try::Answered(status @ 500.., text) => {
                    is_certain = false;
                    last = format!("{status} {text}");
                }
                Try::Answered(status, text) => {
                    return Some(Reply {
                        status,
                        text,
                        is_certain,
                    });
                }
                Try::NotSent => {}
                Try::Unanswered => is_certain = false,
            }
            sleep(REST).await;
        }
        self.run_state
            .add_problem(format!("{method} {path} was never answered: {last}"));
        None
    }

    /// Makes a call whose answer must have one of these statuses.
    pub(super) async fn call_for(
        &self,
        rng: &mut StdRng,
        (method, path): (&str, &str),
        body: &Value,
        statuses: &[u16],
    ) -> Option<Reply> {
        let reply = self.call(rng, method, path, body).await?;
        if statuses.contains(&reply.status) {
            return Some(reply);
        }
        let (status, text) = (reply.status, &reply.text);
        self.run_state
            .add_problem(format!("{method} {path} is answered {status} {text}"));
        None
    }

    async fn attempt(&self, rng: &mut StdRng, key: &str, method: &str, path: &str, body: &Value) -> Try {
        let Ok(Ok(mut client)) = timeout(PATIENCE, HttpClient::connect(self.node(rng))).await else {
            return Try::NotSent;
        };
        let bearer = format!("Bearer {key}");
        let headers = [
            ("connection", "close"),
            ("authorization", &*bearer),
            ("content-type", "application/json"),
        ];
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let path = format!("/api/v1{path}");
        let asked = client.request(method, &path, &headers, body.as_bytes());
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => Try::Answered(answer.status, answer.text()),
            _ => Try::Unanswered,
        }
    }

    /// Posts a message of the judge, whose seq marks a position in the log.
    pub(super) async fn mark_log(&self, rng: &mut StdRng) -> Option<u64> {
        let client_id = format!("marker-{}", self.tick());
        let post = json!({ "userId": JUDGE, "text": client_id, "clientId": client_id });
        let path = format!("/rooms/{ROOM}/messages");
        let posted = self.call_for(rng, ("POST", &path), &post, &[201]).await?;
        Some(number(&posted.json()["seq"]))
    }
}
