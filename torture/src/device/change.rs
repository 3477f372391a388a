//! Changes that a device makes: edits, deletions, reactions.

use rand::RngExt as _;
use roomful_testkit::history::{Changed, Content, Event, Outcome, Stored};
use serde_json::json;

use super::{Change, Device, Line, Pending, What};

const EMOJI: [&str; 4] = ["+1", "-1", "\u{1f389}", "\u{1f9d1}\u{200d}\u{1f680}"];

impl Device {
    /// Changes a message: one of the user's own, or one near the end of a room's log.
    pub(super) async fn tamper(&mut self, line: &mut Line) {
        if let Some(change) = self.redo.pop_front() {
            return self.change(line, change).await;
        }
        let Some(mine) = self.pick_recent() else { return };
        self.made += 1;
        let client_id = format!("{}-{}", self.status.name, self.made);
        let own = self.rng.random_range(0..10);
        let (room, target, what) = if own < 3 {
            let text = format!("{client_id} edits {}", mine.client_id);
            self.user.erased.lock().insert((mine.room.clone(), mine.seq));
            (mine.room, mine.seq, What::Edit(text.into()))
        } else if own < 4 {
            self.user.erased.lock().insert((mine.room.clone(), mine.seq));
            (mine.room, mine.seq, What::Delete)
        } else {
            let place = &self.places[self.rng.random_range(0..self.places.len())];
            let back = self.rng.random_range(0..30);
            let what = What::Reaction {
                emoji: EMOJI[self.rng.random_range(0..EMOJI.len())],
                removed: self.rng.random_ratio(1, 3),
            };
            let target = place.seen().saturating_sub(back).max(1);
            (place.room.clone(), target, what)
        };
        let change = Change {
            room,
            client_id: client_id.into(),
            target,
            what,
        };
        self.change(line, change).await;
    }

    async fn change(&mut self, line: &mut Line, change: Change) {
        let mut ask = json!({ "room": &*change.room, "seq": change.target, "clientId": &*change.client_id });
        let event = match &change.what {
            What::Edit(text) => {
                ask["text"] = (&**text).into();
                "chat:edit_message"
            }
            What::Delete => "chat:delete_message",
            What::Reaction { emoji, removed } => {
                ask["emoji"] = (*emoji).into();
                ask["remove"] = (*removed).into();
                "chat:react"
            }
        };
        self.ask(line, event, &ask, Pending::Change(change)).await;
    }

    /// Records the outcome of a change.
    pub(super) fn tried(&self, change: &Change, outcome: Outcome<Option<Stored>>) {
        let user = &self.user.name;
        let content = match &change.what {
            What::Edit(text) => Content::edit(user, change.target, text),
            What::Delete => Content::delete(user, change.target),
            What::Reaction { emoji, removed } => Content::reaction(user, change.target, emoji, *removed),
        };
        self.run_state.recorder.record(Event::Changed(Changed {
            room: change.room.clone(),
            user: user.clone(),
            client_id: change.client_id.clone(),
            content,
            outcome,
        }));
    }
}
