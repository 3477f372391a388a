//! Rules on the texts of messages: lists of words and patterns, with an action.

use std::path::PathBuf;

use roomful_chat::RuleAction;
use serde::Deserialize;

use super::error::{Invalid, within};

/// The key of the rules.
pub(crate) const RULES: &str = "moderation.rules";
/// Maximum number of rules: each costs time for every message.
const MAX_RULES: usize = 64;
/// Length of a room pattern in bytes.
const ROOM_BYTES: std::ops::RangeInclusive<usize> = 1..=128;

/// Section `moderation`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moderation {
    pub(crate) rules: Vec<Rule>,
}

/// One entry of `moderation.rules`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// A file with one word a line.
    pub(crate) words_file: Option<PathBuf>,
    /// A regular expression.
    pub(crate) pattern: Option<String>,
    action: Action,
    /// Room names with `*`; empty for all rooms.
    #[serde(default)]
    pub(crate) rooms: Vec<String>,
}

/// The names of the actions.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Refuse,
    Mask,
    Flag,
}

impl Moderation {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within(RULES, self.rules.len(), 0..=MAX_RULES)?;
        for (index, rule) in self.rules.iter().enumerate() {
            rule.validate().map_err(|what| Invalid {
                key: RULES,
                what: format!("rule {}: {what}", index + 1),
            })?;
        }
        Ok(())
    }
}

impl Rule {
    /// What the rule does with a message.
    pub(crate) fn action(&self) -> RuleAction {
        match self.action {
            Action::Refuse => RuleAction::Refuse,
            Action::Mask => RuleAction::Mask,
            Action::Flag => RuleAction::Flag,
        }
    }

    fn validate(&self) -> Result<(), String> {
        if self.words_file.is_some() == self.pattern.is_some() {
            return Err("set either words_file or pattern".to_owned());
        }
        match self.rooms.iter().find(|room| !ROOM_BYTES.contains(&room.len())) {
            Some(room) => Err(format!("{room:?} is no pattern for rooms; write 1 to 128 bytes")),
            None => Ok(()),
        }
    }
}
