//! Reads the logs back as any client can: with `chat:get_history`.

use std::collections::HashMap;
use std::net::SocketAddr;

use roomful_testkit::history::{Audit, Name};
use roomful_testkit::{SioClient, token};
use serde_json::{Value, json};

use crate::answer;
use crate::error::TortureError;

/// A reader and its progress.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogReader {
    heads: HashMap<Name, u64>,
}

impl LogReader {
    /// The entries of each room's log after those already read; all entries if `whole`.
    pub(crate) async fn read(
        &mut self,
        addr: SocketAddr,
        secret: &str,
        rooms: &[Name],
        whole: bool,
    ) -> Result<Vec<Audit>, TortureError> {
        if whole {
            self.heads.clear();
        }
        let auth = json!({ "token": token::for_user(secret, "auditor") });
        let client = SioClient::connect(addr, "/", &auth).await?;
        let mut audits = Vec::new();
        for room in rooms {
            audits.push(self.read_room(&client, room).await?);
        }
        client.close().await?;
        Ok(audits)
    }

    async fn read_room(&mut self, client: &SioClient, room: &Name) -> Result<Audit, TortureError> {
        let head = self.heads.entry(room.clone()).or_default();
        let joined = call(client, "chat:join", json!({ "room": &**room, "limit": 1 })).await?;
        let mut audit = Audit {
            room: room.clone(),
            epoch: answer::name(&joined["epoch"]),
            after: *head,
            entries: Vec::new(),
        };
        loop {
            let ask = json!({ "room": &**room, "after": *head, "limit": 200 });
            let page = call(client, "chat:get_history", ask).await?;
            let entries = answer::log_page(&page);
            *head = entries.last().map_or(*head, |entry| entry.seq);
            let done = page["more"] != true || entries.is_empty();
            audit.entries.extend(entries);
            if done {
                return Ok(audit);
            }
        }
    }
}

async fn call(client: &SioClient, event: &'static str, ask: Value) -> Result<Value, TortureError> {
    let ack = client.call(event, &ask).await?;
    match answer::split(&ack) {
        Ok(data) => Ok(data.clone()),
        Err(_) => Err(TortureError::Nonsense {
            what: event,
            answer: ack,
        }),
    }
}
