//! A consumer of the stream, which takes every entry from the first on.

use roomful_testkit::{PATIENCE, RedisServer, resp::RespClient};
use serde_json::Value;
use tokio::time::timeout;

/// The stream's key in every test.
pub(crate) const KEY: &str = "roomful:events";

/// An entry as it came.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) timestamp: String,
    pub(crate) payload: Value,
}

impl Entry {
    /// What the message says, if it is about one.
    pub(crate) fn text(&self) -> &str {
        self.payload["data"]["text"].as_str().unwrap_or_default()
    }
}

/// Reads with a connection of its own, from the stream's first entry on.
pub(crate) struct Reader {
    client: RespClient,
    last: String,
    pub(crate) entries: Vec<Entry>,
}

impl Reader {
    pub(crate) async fn start(redis: &RedisServer) -> Self {
        Self {
            client: redis.client().await.unwrap(),
            last: "0".to_owned(),
            entries: Vec::new(),
        }
    }

    /// Waits until `enough` says so of the entries so far.
    pub(crate) async fn wait(&mut self, what: &str, mut enough: impl FnMut(&[Entry]) -> bool) -> &[Entry] {
        while !enough(&self.entries) {
            let read = timeout(PATIENCE, self.read()).await;
            assert!(read.is_ok(), "{what}: {:#?}", self.entries);
        }
        &self.entries
    }

    async fn read(&mut self) {
        let words = ["XREAD", "COUNT", "100", "BLOCK", "0", "STREAMS", KEY, &self.last];
        let answer = self.client.call(&words).await.unwrap();
        for entry in answer[0][1].as_array().unwrap() {
            entry[0].as_str().unwrap().clone_into(&mut self.last);
            self.entries.push(parse(&entry[1]));
        }
    }
}

/// Fields come as names and values in turn; here stands which there are, in which order.
fn parse(fields: &Value) -> Entry {
    let fields: Vec<_> = fields
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field.as_str().unwrap())
        .collect();
    let ["id", id, "type", kind, "timestamp", timestamp, "payload", payload] = fields[..] else {
        panic!("{fields:?}");
    };
    Entry {
        id: id.to_owned(),
        kind: kind.to_owned(),
        timestamp: timestamp.to_owned(),
        payload: serde_json::from_str(payload).unwrap(),
    }
}
