//! A consumer that reads the stream from its first entry.

use roomful_testkit::{PATIENCE, RedisServer, resp::RespClient};
use serde_json::Value;
use tokio::time::timeout;

/// The stream's key in every test.
pub(crate) const KEY: &str = "roomful:events";

/// A stream entry, in order of arrival.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) timestamp: String,
    pub(crate) payload: Value,
}

impl Entry {
    /// The message's text, or an empty string for other records.
    pub(crate) fn text(&self) -> &str {
        self.payload["data"]["text"].as_str().unwrap_or_default()
    }
}

/// Reads the stream on its own connection.
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

    /// Reads until `enough` accepts the entries so far.
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

/// Parses alternating names and values, which must be exactly these fields in this order.
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
