//! The status that users choose, and the presence state of users.

use std::collections::HashMap;

use roomful_socket::Socket;

use super::{PresenceServer, announcing::Shift};
use crate::{
    error::ChatError,
    events::presence::{STATUS, ShowsAs, State, Status},
    log::control::Control,
    presence::tracker::{Choice, OnlineEntry},
    types::Shown,
    types::UserId,
};

impl PresenceServer {
    /// The user chooses a status on this socket. Tells their other devices, and others to whom the user shows
    /// differently now. Returns the number of other users' sockets on this node that may show it; 0 if the
    /// status was the same before.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store failed, or it is unknown whether the other nodes learn of it.
    pub(crate) async fn choose(
        &self,
        user: &UserId,
        socket: &Socket,
        choice: Choice,
    ) -> Result<usize, ChatError> {
        let _one_choice = self.choices.lock(user).await;
        let now = self.clock.now_ms();
        let seen_at = {
            let tracker = self.tracker.lock();
            if tracker.choice(user) == Some(&choice) {
                return Ok(0);
            }
            // A user who stays invisible is not seen now.
            let unseen_since = tracker.entry(user).and_then(|entry| entry.last_shown(now));
            unseen_since.filter(|_| !choice.shows()).unwrap_or(now)
        };
        self.store
            .set_status(user, choice.status, choice.text.as_deref(), seen_at)
            .await?;
        if let Some(sync) = &self.sync {
            let chose = Control::StatusChosen {
                user: user.to_string(),
                shown: Shown {
                    name: None,
                    status: choice.status,
                    text: choice.text.clone(),
                },
                seen_at,
            };
            self.put_choice(sync, user, &choice, seen_at).await;
            let commanded = sync.cluster.command(&chose).await;
            // If that failed, the user shows as before.
            commanded.inspect_err(|_| sync.user_changed(user))?;
        }
        Ok(self.apply_choice(user, &choice, seen_at, Some(socket)))
    }

    /// The user has chosen a status on another node.
    pub(crate) fn apply_remote_status(&self, user: &UserId, choice: &Choice, seen_at: i64) {
        let known = self.tracker.lock().choice(user).cloned();
        if known.is_some_and(|known| known != *choice) {
            self.apply_choice(user, choice, seen_at, None);
        }
    }

    /// The choice takes effect on this node. Announces it to all but the socket that it was made on. Returns
    /// the number of other users' sockets that may show it.
    fn apply_choice(&self, user: &UserId, choice: &Choice, seen_at: i64, on: Option<&Socket>) -> usize {
        let mut tracker = self.tracker.lock();
        let tracker = &mut *tracker;
        let news = ShowsAs::new(user, choice);
        let before = tracker.choose(user, choice.clone(), seen_at);
        let shift = Shift {
            before: before.filter(Choice::shows),
            now: tracker.choice(user).and_then(Choice::visible).cloned(),
        };
        let others = self.recipients.others(user, &self.known_rooms(user, tracker));
        let recipients = others.len();
        if let Some(sync) = self.sync.as_ref().filter(|_| shift.now.is_none()) {
            sync.state.lock().known.hides(user);
        }
        self.send_shift(user, &shift, seen_at, others);
        let devices = self.recipients.other_devices(user, on);
        self.recipients.send(user, STATUS, &news, devices);
        self.changed(user, tracker.rooms_of(user));
        recipients
    }

    /// The state of these users, in their order: as others see them, and `oneself` as they are.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store or the registry can't be asked.
    pub(crate) async fn states(
        &self,
        users: Vec<String>,
        oneself: Option<&str>,
    ) -> Result<Vec<State>, ChatError> {
        let rows = self.store.users(&users).await?;
        let stored: HashMap<_, _> = rows
            .into_iter()
            .filter_map(|row| Some((row.seen()?, row.user_id)))
            .map(|(seen, user)| (user, seen))
            .collect();
        let on_other_nodes = self.shown_on_other_nodes(&users).await?;
        let now = self.clock.now_ms();
        let tracker = self.tracker.lock();
        let state = |(user, other): (String, Option<(Choice, Option<i64>)>)| {
            let there = |(choice, hidden_since)| OnlineEntry {
                user: user.as_str().into(),
                name: None,
                gone_at: None,
                choice,
                hidden_since,
            };
            let entry = tracker.entry(&user).or_else(|| other.map(there));
            let (here, unseen): (Option<OnlineEntry>, _) = match entry {
                Some(entry) if entry.choice.shows() || oneself == Some(&user) => (Some(entry), None),
                Some(entry) => (None, entry.hidden_since),
                None => (None, None),
            };
            let last_seen = here.as_ref().map(|entry| entry.last_seen(now));
            State {
                last_seen: last_seen.or(unseen).or_else(|| stored.get(&user).copied()),
                status: here
                    .as_ref()
                    .map_or(Status::Offline, |entry| entry.choice.status.into()),
                text: here.and_then(|entry| Some(entry.choice.text?.to_string())),
                user_id: user,
            }
        };
        Ok(users.into_iter().zip(on_other_nodes).map(state).collect())
    }
}
