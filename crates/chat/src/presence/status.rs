//! What users show as: choosing it, and where users stand.

use std::collections::HashMap;

use roomful_socket::Socket;

use super::server::PresenceServer;
use crate::{
    error::ChatError,
    events::presence::{OFFLINE, Offline, STATUS, ShowsAs, State, Status},
    log::control::Control,
    presence::cluster_presence::view::Shown,
    presence::tracker::{Choice, OnlineEntry, PresenceTracker, Shift},
    types::UserId,
};

impl PresenceServer {
    /// The user chooses what to show as, on this socket. Their other devices are told, and whoever else it means
    /// something to.
    pub(crate) async fn choose(
        &self,
        user: &UserId,
        socket: &Socket,
        choice: Choice,
    ) -> Result<(), ChatError> {
        let _turn = self.choices.lock(user).await;
        let now = self.clock.now_ms();
        let seen_at = {
            let tracker = self.tracker.lock();
            if tracker.choice(user) == Some(&choice) {
                return Ok(());
            }
            // Whoever stays invisible is not seen now.
            let unseen_since = tracker.entry(user).and_then(|entry| entry.last_shown(now));
            unseen_since.filter(|_| !choice.shows()).unwrap_or(now)
        };
        self.store
            .set_status(user, choice.status, choice.text.as_deref(), seen_at)
            .await?;
        if let Some(link) = &self.link {
            let chose = Control::Chose {
                user: user.to_string(),
                shown: Shown {
                    name: None,
                    status: choice.status,
                    text: choice.text.clone(),
                },
                seen_at,
            };
            link.cluster.command(&chose).await?;
        }
        self.take_choice(user, &choice, seen_at, Some(socket));
        Ok(())
    }

    /// The user has chosen on another node.
    pub(crate) fn chose_elsewhere(&self, user: &UserId, choice: &Choice, seen_at: i64) {
        let known = self.tracker.lock().choice(user).cloned();
        if known.is_some_and(|known| known != *choice) {
            self.take_choice(user, choice, seen_at, None);
        }
    }

    /// The choice takes effect here, and those to whom it means something are told, but for the socket that it was made on.
    fn take_choice(&self, user: &UserId, choice: &Choice, seen_at: i64, on: Option<&Socket>) {
        let mut tracker = self.tracker.lock();
        let tracker = &mut *tracker;
        let news = ShowsAs::new(user, choice);
        let others = |tracker: &PresenceTracker<_>| {
            let others = self.recipients.others(user, tracker.rooms_of(user));
            others.into_values()
        };
        match tracker.choose(user, choice.clone(), seen_at) {
            Shift::Appeared => self.announce(user, tracker, others(tracker)),
            Shift::Vanished => {
                let event = Offline {
                    user_id: user,
                    last_seen: seen_at,
                };
                self.recipients.tell(user, OFFLINE, &event, others(tracker));
            }
            Shift::Changed => self.recipients.tell(user, STATUS, &news, others(tracker)),
            Shift::Unseen => {}
        }
        let devices = self.recipients.other_devices(user, on);
        self.recipients.tell(user, STATUS, &news, devices);
        self.changed(user, tracker.rooms_of(user));
    }

    /// Where these users stand now, in the order asked for: as others see them, but for `oneself`.
    pub(crate) async fn states(
        &self,
        users: Vec<String>,
        oneself: Option<&str>,
    ) -> Result<Vec<State>, ChatError> {
        let rows = self.store.users(&users).await?;
        let stored: HashMap<_, _> = rows.into_iter().map(|row| (row.user_id, row.last_seen)).collect();
        let elsewhere = self.shown_elsewhere(&users).await?;
        let now = self.clock.now_ms();
        let tracker = self.tracker.lock();
        let state = |(user, elsewhere): (String, Option<(Choice, Option<i64>)>)| {
            let there = |(choice, hidden_since)| OnlineEntry {
                user: user.as_str().into(),
                name: None,
                gone_at: None,
                choice,
                hidden_since,
            };
            let entry = tracker.entry(&user).or_else(|| elsewhere.map(there));
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
        Ok(users.into_iter().zip(elsewhere).map(state).collect())
    }
}
