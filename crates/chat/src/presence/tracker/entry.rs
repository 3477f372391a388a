//! A user who is online, as the tracker tells of them.

use std::sync::Arc;

use roomful_store::ChosenStatus;

use crate::types::UserId;

/// What a user chose to show as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// As what.
    pub status: ChosenStatus,
    /// What they say about it.
    pub text: Option<Arc<str>>,
}

impl Choice {
    /// Whether others may know that the user is there.
    pub fn shows(&self) -> bool {
        self.status != ChosenStatus::Invisible
    }
}

/// What is remembered of a user when they come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalled {
    /// What they chose last.
    pub choice: Choice,
    /// When others last saw them, if ever.
    pub last_seen: Option<i64>,
}

/// A user who is online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineEntry {
    /// Who.
    pub user: UserId,
    /// The name from their newest token.
    pub name: Option<Arc<str>>,
    /// When their last session ended; `None` while one lives.
    pub gone_at: Option<i64>,
    /// What they show as.
    pub choice: Choice,
    /// While they don't show: when others saw them last, if ever.
    pub hidden_since: Option<i64>,
}

impl OnlineEntry {
    /// When they were last here, `now` being the time.
    pub fn last_seen(&self, now: i64) -> i64 {
        self.gone_at.unwrap_or(now)
    }

    /// When others last saw them, if ever.
    pub fn last_shown(&self, now: i64) -> Option<i64> {
        if self.choice.shows() {
            Some(self.last_seen(now))
        } else {
            self.hidden_since
        }
    }
}

/// What a choice means to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// They are there, which others did not know.
    Appeared,
    /// To others they have gone.
    Vanished,
    /// They show as something else.
    Changed,
    /// Nothing: they do not show, or are not here.
    Unseen,
}
