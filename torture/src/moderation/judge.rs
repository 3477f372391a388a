//! The member who reads the room's log back.

use rand::rngs::StdRng;
use roomful_testkit::{Error, SioClient};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::REST;
use super::shared::{JUDGE, ROOM, Shared, code_of};
use crate::answer::{number, split};
use crate::run::RECOVERY;

/// Entries read at a time.
const PAGE: u64 = 200;

/// The number of an entry as the log has it.
pub(super) fn seq_of(entry: &Value) -> u64 {
    number(entry.get("logSeq").unwrap_or(&entry["seq"]))
}

impl Shared {
    /// The entries after `after`, at least up to `upto`, in log order. Any node may be behind or end, so it
    /// asks until one has them all. `None` if none has in time, which is a trouble.
    pub(super) async fn read_log(&self, rng: &mut StdRng, after: u64, upto: u64) -> Option<Vec<Value>> {
        let deadline = Instant::now() + RECOVERY;
        while Instant::now() < deadline {
            if let Ok(entries) = self.try_read(rng, after).await
                && entries.last().map_or(after, seq_of) >= upto
            {
                self.count(|report| report.entries += entries.len() as u64);
                return Some(entries);
            }
            sleep(REST).await;
        }
        self.run_state
            .add_problem(format!("no node shows the log of {ROOM} up to {upto}"));
        None
    }

    async fn try_read(&self, rng: &mut StdRng, mut after: u64) -> Result<Vec<Value>, Error> {
        let begun = self.tick();
        let (secret, auth) = self.auth(JUDGE);
        let client = SioClient::connect(self.node(rng), "/", &auth).await;
        if let Err(Error::ConnectRefused(refused)) = &client
            && code_of(refused) == "unauthorized"
        {
            self.check_unauthorized(&self.setup.token_secrets, &secret, begun);
        }
        let client = client?;
        ask(&client, "chat:join", json!({ "room": ROOM, "limit": 1 })).await?;
        let mut entries = Vec::new();
        loop {
            let page = json!({ "room": ROOM, "after": after, "limit": PAGE });
            let page = ask(&client, "chat:get_history", page).await?;
            let lists = ["messages", "changes"].map(|list| page[list].as_array().cloned());
            let mut found: Vec<Value> = lists.into_iter().flatten().flatten().collect();
            found.sort_by_key(seq_of);
            let done = page["more"] != true || found.is_empty();
            after = found.last().map_or(after, seq_of);
            entries.append(&mut found);
            if done {
                return Ok(entries);
            }
        }
    }
}

async fn ask(client: &SioClient, event: &str, ask: Value) -> Result<Value, Error> {
    let ack = client.call(event, &ask).await?;
    match split(&ack) {
        Ok(data) => Ok(data.clone()),
        Err(code) => Err(Error::Server(format!("{event} is refused: {code}"))),
    }
}
