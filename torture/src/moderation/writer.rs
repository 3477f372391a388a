//! The user of a case: joins the room on some node, writes, and reconnects through faults and refusals.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use roomful_testkit::history::{Name, Outcome, Stored};
use roomful_testkit::{Error, SioClient, token};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::REST;
use super::attempt::{Action, Attempt};
use super::mark::Mark;
use super::shared::{ROOM, Shared, code_of};
use super::slots::Secret;
use super::user_state::UserState;
use crate::answer::{number, split};

/// Timeout of a connection, and of an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest pause between two requests.
const PAUSE: u64 = 60;
/// How long before the case the user's token was issued, in seconds: the erasure must void it, also if the
/// clock of its node is behind.
const TOKEN_AGE: u64 = 600;

pub(super) struct Writer {
    shared: Arc<Shared>,
    case: u32,
    user_state: Arc<UserState>,
    rng: StdRng,
    /// When the user's token was issued. A later one would make a new user after an erasure.
    issued: u64,
    made: u32,
    /// Unacknowledged messages, to send again.
    waiting: VecDeque<Name>,
    stored: Vec<u64>,
    /// Users who were members once try to write, also while they are banned.
    was_member: bool,
}

/// The connection is lost.
struct Lost;

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, case: u32, user_state: Arc<UserState>, seed: u64) -> Self {
        Self {
            shared,
            case,
            user_state,
            rng: StdRng::seed_from_u64(seed),
            issued: token::now().saturating_sub(TOKEN_AGE),
            made: 0,
            waiting: VecDeque::new(),
            stored: Vec::new(),
            was_member: false,
        }
    }

    /// Runs until the case is over.
    pub(super) async fn run(mut self) {
        while !self.user_state.is_over() {
            if let Some(client) = self.connect().await {
                let _ = self.visit(&client).await;
                client.abort().await;
            }
            sleep(REST).await;
        }
    }

    async fn connect(&mut self) -> Option<SioClient> {
        let (secret, auth) = self.auth();
        let begun = self.shared.tick();
        let connecting = SioClient::connect(self.shared.node(&mut self.rng), "/", &auth);
        match timeout(PATIENCE, connecting).await {
            Ok(Ok(client)) => {
                self.tried(Action::Connect, begun, Outcome::Ok(None));
                Some(client)
            }
            Ok(Err(Error::ConnectRefused(refused))) => {
                let code = Name::from(code_of(&refused));
                if &*code == "unauthorized" && !self.user_state.is_erasing() {
                    // The secret was rotated meanwhile, so this tells nothing of bans.
                    let slots = &self.shared.setup.token_secrets;
                    self.shared.check_unauthorized(slots, &secret, begun);
                    return None;
                }
                self.tried(Action::Connect, begun, Outcome::Failed(code));
                None
            }
            _ => None,
        }
    }

    fn auth(&self) -> (Secret, Value) {
        let secret = self.shared.setup.token_secrets.current();
        let user = Mark::user(self.case).to_string();
        let claims = json!({
            "sub": user, "name": Mark::name(self.case).to_string(),
            "iat": self.issued, "exp": token::now() + 3_600
        });
        let token = token::with_claims(&secret.text, &claims);
        (
            secret,
            json!({ "token": token, "device": format!("{user}/phone") }),
        )
    }

    async fn visit(&mut self, client: &SioClient) -> Result<(), Lost> {
        let mut joined = false;
        while !self.user_state.is_over() {
            if !joined {
                joined = self.join(client).await?;
            }
            if self.was_member {
                joined &= self.write(client).await?;
            }
            sleep(Duration::from_millis(self.rng.random_range(0..PAUSE))).await;
        }
        Ok(())
    }

    /// True if the user is in the room then.
    async fn join(&mut self, client: &SioClient) -> Result<bool, Lost> {
        let ask = json!({ "room": ROOM, "limit": 1 });
        let outcome = self.try_to(client, (Action::Join, "chat:join"), &ask).await;
        let joined = matches!(outcome, Outcome::Ok(_));
        self.was_member |= joined;
        if outcome == Outcome::Unknown {
            return Err(Lost);
        }
        Ok(joined)
    }

    /// Sends some messages at once, and now and then an edit or a reaction. False if one was refused.
    async fn write(&mut self, client: &SioClient) -> Result<bool, Lost> {
        let messages = [(); 3].map(|()| self.next_message());
        let [first, second, third] = messages.each_ref().map(|message| self.send(client, message));
        let (first, second, third) = tokio::join!(first, second, third);
        let mut written = true;
        let mut lost = false;
        for (message, outcome) in messages.into_iter().zip([first, second, third]) {
            if let Outcome::Ok(Some(stored)) = outcome {
                self.stored.push(stored.seq);
                continue;
            }
            written = false;
            lost |= outcome == Outcome::Unknown;
            self.waiting.push_back(message);
        }
        if lost {
            return Err(Lost);
        }
        match self.change() {
            Some((action, event, ask)) => {
                let outcome = self.try_to(client, (action, event), &ask).await;
                match outcome {
                    Outcome::Unknown => Err(Lost),
                    outcome => Ok(written && matches!(outcome, Outcome::Ok(_))),
                }
            }
            None => Ok(written),
        }
    }

    fn next_message(&mut self) -> Name {
        let made = || {
            self.made += 1;
            format!("{}-{}", Mark::user(self.case), self.made).into()
        };
        self.waiting.pop_front().unwrap_or_else(made)
    }

    async fn send(&self, client: &SioClient, client_id: &Name) -> Outcome<Option<Stored>> {
        let word = Mark::word(self.case).to_string();
        // The text must not name the user, since it stays if the user is anonymised.
        let number = client_id.rsplit('-').next().unwrap_or_default();
        let ask = json!({
            "room": ROOM, "clientId": &**client_id, "text": format!("{word} says {number}"),
            "metadata": { "word": word }
        });
        let action = Action::Send(client_id.clone());
        self.try_to(client, (action, "chat:send_message"), &ask).await
    }

    /// Sometimes an edit of an own message, or a reaction to one.
    fn change(&mut self) -> Option<(Action, &'static str, Value)> {
        let seq = *self.stored.last()?;
        let mut ask = json!({ "room": ROOM, "seq": seq });
        match self.rng.random_range(0..6) {
            0 => {
                ask["text"] = format!("{} edits {seq}", Mark::word(self.case)).into();
                Some((Action::Edit, "chat:edit_message", ask))
            }
            1 => {
                ask["emoji"] = "+1".into();
                Some((Action::React, "chat:react", ask))
            }
            _ => None,
        }
    }

    async fn try_to(
        &self,
        client: &SioClient,
        (action, event): (Action, &str),
        ask: &Value,
    ) -> Outcome<Option<Stored>> {
        let begun = self.shared.tick();
        let ack = client.call_with(event, std::slice::from_ref(ask), PATIENCE).await;
        let outcome = match &ack {
            Err(_) => Outcome::Unknown,
            Ok(ack) => match split(ack) {
                Ok(data) if action.writes() => Outcome::Ok(Some(Stored {
                    seq: number(&data["seq"]),
                    duplicate: data["duplicate"] == true,
                })),
                Ok(_) => Outcome::Ok(None),
                Err(code) => Outcome::Failed(code),
            },
        };
        self.tried(action, begun, outcome.clone());
        outcome
    }

    fn tried(&self, action: Action, begun: u64, outcome: Outcome<Option<Stored>>) {
        let ended = self.shared.tick();
        let refused = matches!(outcome, Outcome::Failed(_));
        self.user_state.add(Attempt {
            action,
            begun,
            ended,
            outcome,
        });
        self.shared.count(|report| {
            report.attempts += 1;
            report.refused += u64::from(refused);
        });
    }
}
