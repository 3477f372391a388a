//! The entry of an online user, and the status that users choose.

use std::sync::Arc;

use roomful_store::ChosenStatus;

use crate::types::{Shown, UserId};

/// The status that a user chose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The status.
    pub status: ChosenStatus,
    /// The user's text about it.
    pub text: Option<Arc<str>>,
}

impl Choice {
    /// Whether the user shows as online to others.
    pub fn shows(&self) -> bool {
        self.status != ChosenStatus::Invisible
    }

    /// The choice as others see it; `None` if the user shows as offline.
    pub fn visible(&self) -> Option<&Self> {
        self.shows().then_some(self)
    }
}

/// What the store knows of a user who connects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recalled {
    /// The status that they chose last.
    pub choice: Choice,
    /// When others last saw them, if ever.
    pub last_seen: Option<i64>,
}

/// An online user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineEntry {
    /// The user.
    pub user: UserId,
    /// The name from their newest token.
    pub name: Option<Arc<str>>,
    /// When their last session ended; `None` while they have one.
    pub gone_at: Option<i64>,
    /// The status that they chose.
    pub choice: Choice,
    /// When others last saw them, if ever; `None` while they show.
    pub hidden_since: Option<i64>,
}

impl OnlineEntry {
    /// When they were last online, at the time `now`.
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

impl Shown {
    /// The status that the user chose.
    pub(crate) fn choice(&self) -> Choice {
        Choice {
            status: self.status,
            text: self.text.clone(),
        }
    }
}
