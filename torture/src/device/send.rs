//! Messages and marks that a device sends.

use std::sync::atomic::Ordering;

use rand::RngExt as _;
use roomful_testkit::history::{Content, Event, MarkKind, Outcome, Sent, Stored};
use roomful_testkit::token;
use serde_json::{Value, json};

use super::{Device, Line, Message, Pending, Why};

/// The most filler characters of a text, and of a long text.
const SHORT: usize = 200;
const LONG: usize = 16_000;

impl Device {
    /// Sends a new message, and now and then another operation.
    pub(super) async fn send_next(&mut self, line: &mut Line) {
        let message = self.make_up();
        if self.chance(20) {
            self.user.share_message(message.clone());
        }
        self.send(line, message, Why::Own).await;
        if self.chance(15) {
            self.mark(line).await;
        }
        if self.chance(8) {
            self.tamper(line).await;
        }
        if self.chance(30)
            && let Some(message) = self.pick_recent()
        {
            self.send(line, message, Why::Again).await;
        }
        if self.chance(60)
            && let Some(mut message) = self.pick_recent()
        {
            message.text = format!("{} contested", message.text).into();
            self.send(line, message, Why::Contest).await;
        }
    }

    /// Sends a message that another device of the user is sending too, if there is one.
    pub(super) async fn send_shared(&mut self, line: &mut Line) {
        let shared_messages = {
            let mut shared_messages = self.user.shared_messages.lock();
            let theirs = |message: &Message| !message.client_id.starts_with(&*self.status.name);
            let taken = shared_messages.pop_front_if(|message| theirs(message));
            // Under the lock, so that no observer sees an empty list and an idle device.
            self.status
                .busy
                .fetch_add(usize::from(taken.is_some()), Ordering::SeqCst);
            taken
        };
        if let Some(message) = shared_messages {
            self.send(line, message, Why::Again).await;
        }
    }

    fn make_up(&mut self) -> Message {
        self.made += 1;
        let place = self.rng.random_range(0..self.places.len());
        let client_id = format!("{}-{}", self.status.name, self.made);
        let long = self.run_state.long.load(Ordering::SeqCst);
        let filler = if long {
            LONG
        } else {
            self.rng.random_range(0..SHORT)
        };
        let filler = ".".repeat(filler);
        Message {
            room: self.places[place].room.clone(),
            text: format!("{client_id} {filler}").into(),
            client_id: client_id.into(),
            seq: 0,
        }
    }

    pub(super) fn pick_recent(&mut self) -> Option<Message> {
        let recent = self.user.recent.lock();
        let at = self.rng.random_range(0..recent.len().max(1));
        recent.get(at).cloned()
    }

    pub(super) async fn send(&mut self, line: &mut Line, message: Message, why: Why) {
        let ask = json!({ "room": &*message.room, "text": &*message.text, "clientId": &*message.client_id });
        self.ask(line, "chat:send_message", &ask, Pending::Send { message, why })
            .await;
    }

    pub(super) async fn join(&mut self, line: &mut Line, place: usize) {
        let limit = self.rng.random_range(1..=200);
        let begun = self.run_state.recorder.tick();
        let here = &self.places[place];
        let since = here.since();
        let mut ask = json!({ "room": &*here.room, "limit": limit });
        if let (Some(since), Some(epoch)) = (since, &here.epoch) {
            ask["since"] = since.into();
            ask["epoch"] = Value::from(&**epoch);
        }
        let pending = Pending::Join { place, begun, since };
        self.ask(line, "chat:join", &ask, pending).await;
    }

    /// Requests the entries after `after`.
    pub(super) async fn request_page(&mut self, line: &mut Line, place: usize, after: u64) {
        let ask = json!({ "room": &*self.places[place].room, "after": after, "limit": 200 });
        self.ask(line, "chat:get_history", &ask, Pending::Page { place })
            .await;
    }

    /// Marks a room as read or delivered, up to the device's position or somewhat below.
    pub(super) async fn mark(&mut self, line: &mut Line) {
        let place = self.rng.random_range(0..self.places.len());
        let here = &self.places[place];
        let seq = here.seen().saturating_sub(self.rng.random_range(0..5)).max(1);
        let ask = json!({ "room": &*here.room, "seq": seq });
        let begun = self.run_state.recorder.tick();
        let (event, kind) = if self.rng.random() {
            ("chat:message_read", MarkKind::Read)
        } else {
            ("chat:message_delivered", MarkKind::Delivered)
        };
        self.ask(line, event, &ask, Pending::Mark { place, kind, begun })
            .await;
    }

    /// Refreshes to a token that is about to expire. The next connection uses a valid one again.
    pub(super) async fn expire(&mut self, line: &mut Line) {
        let claims = json!({ "sub": &*self.user.name, "exp": token::now() + 1 });
        let ask = json!({ "token": token::with_claims(self.run_state.secret, &claims) });
        self.ask(line, "token:refresh", &ask, Pending::Refresh).await;
    }

    pub(super) async fn ask(&mut self, line: &mut Line, event: &str, ask: &Value, pending: Pending) {
        let id = self.next_id;
        self.next_id += 1;
        self.pending.insert(id, pending);
        line.emit(id, event, ask).await;
    }

    /// Records the outcome of a send.
    pub(super) fn attempted(&self, message: &Message, outcome: Outcome<Stored>) {
        let Message {
            room,
            client_id,
            text,
            ..
        } = message;
        self.run_state.recorder.record(Event::Sent(Sent {
            room: room.clone(),
            user: self.user.name.clone(),
            client_id: client_id.clone(),
            content: Content::message(&self.user.name, client_id, text),
            outcome,
        }));
    }

    /// Gives up waiting for an answer.
    pub(super) fn unanswered(&mut self, message: Message, why: Why) {
        self.attempted(&message, Outcome::Unknown);
        if why == Why::Own {
            self.waiting.push_back(message);
        }
    }
}
