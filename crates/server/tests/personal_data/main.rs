//! Tests of the audit log, and of the export and the erasure of users, on the running binary.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod audit;
mod erasure;
mod export;

use std::time::Duration;

use roomful_testkit::{PATIENCE, ServerProcess, SioClient, server::Config, token};
use serde_json::{Value, json};

/// A server with one key for everything.
pub(crate) struct Api {
    pub(crate) server: ServerProcess,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(Config::new(env!("CARGO_BIN_EXE_roomful"))).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let config = config.env("ROOMFUL_LIMITS", "off");
        Self {
            server: ServerProcess::start_with(config).await.unwrap(),
        }
    }

    /// A server with a webhook that is never reached.
    pub(crate) fn with_webhook() -> Config {
        let webhooks = r#"[{ name = "app", url = "http://127.0.0.1:9/hook",
            secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            events = ["message.created", "message.undelivered", "user.online", "user.offline"] }]"#;
        Config::new(env!("CARGO_BIN_EXE_roomful")).env("ROOMFUL__WEBHOOKS", webhooks)
    }

    /// Makes a call with the key. `path` is relative to `/api/v1`.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.text(method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Makes a call with the key and returns the body as it came.
    pub(crate) async fn text(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let answer = self.server.api(method, path, body).await.unwrap();
        (answer.status, String::from_utf8(answer.body).unwrap())
    }

    /// Makes a call that must succeed.
    pub(crate) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, &body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    pub(crate) async fn connect(&self, user: &str) -> SioClient {
        let auth = json!({ "token": token::for_user(self.server.secret(), user) });
        let client = SioClient::connect(self.server.addr(), "/", &auth).await.unwrap();
        client.next_event("session").await.unwrap();
        client
    }

    /// The audit records of a query, once there are `count`.
    pub(crate) async fn audit(&self, query: &str, count: usize) -> Vec<Value> {
        let wait = async {
            loop {
                let page = self.done("GET", &format!("/audit?{query}"), Value::Null).await;
                let records = page["records"].as_array().unwrap().clone();
                if records.len() >= count {
                    return records;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("fewer than {count} audit records of {query}"))
    }
}
