//! Hooks: whom to ask before an event, and what to do without an answer.

use std::{collections::HashSet, time::Duration};

use http::Uri;
use roomful_chat::{HookEvent, RoomPattern};
use serde::{Deserialize, Deserializer};

use super::{
    error::{Invalid, within},
    outbox,
    units::{Secret, Span},
    webhooks::{endpoint_uri, invalid_endpoint, signing_keys},
};

/// Maximum number of hooks.
const MAX_HOOKS: usize = 32;
/// Maximum number of room patterns of one hook.
const MAX_PATTERNS: usize = 256;

/// One entry of `hooks`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hook {
    name: Option<String>,
    event: String,
    /// Hidden in logs: its path may contain a key.
    url: Secret,
    secret: Secret,
    #[serde(default)]
    second_secret: Secret,
    rooms: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) on_failure: OnFailure,
    #[serde(default = "timeout")]
    pub(crate) timeout: Span,
    #[serde(default = "concurrency")]
    pub(crate) concurrency: usize,
    #[serde(default = "retries")]
    pub(crate) retries: u32,
    #[serde(default = "open_after")]
    pub(crate) open_after: u32,
    #[serde(default = "open_for")]
    pub(crate) open_for: Span,
}

/// The outcome of an event without a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    /// It happens.
    #[default]
    Allow,
    /// It does not.
    Refuse,
}

fn timeout() -> Span {
    Span(Duration::from_millis(1_500))
}

fn concurrency() -> usize {
    256
}

fn retries() -> u32 {
    1
}

fn open_after() -> u32 {
    5
}

fn open_for() -> Span {
    Span(Duration::from_secs(5))
}

impl Hook {
    /// Name of the hook in logs and metrics. See [`named`] for its default.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.event)
    }

    /// The event; `None` if there is none of that name.
    pub(crate) fn event(&self) -> Option<HookEvent> {
        HookEvent::of(&self.event)
    }

    /// See [`endpoint_uri`].
    pub(crate) fn uri(&self) -> Option<Uri> {
        endpoint_uri(&self.url)
    }

    /// See [`signing_keys`].
    pub(crate) fn keys(&self) -> Option<Vec<Vec<u8>>> {
        signing_keys(&self.secret, &self.second_secret)
    }

    /// The rooms that it concerns; `None` for all.
    pub(crate) fn rooms(&self) -> Option<Box<[RoomPattern]>> {
        let rooms = self.rooms.as_ref()?.iter();
        Some(rooms.map(|room| RoomPattern::new(room)).collect())
    }

    fn check(&self, names: &mut Vec<String>) -> Result<(), Invalid> {
        let wrong = |what| Err(Invalid { key: "hooks", what });
        let Some(event) = self.event() else {
            let known = HookEvent::ALL.map(HookEvent::name).join(", ");
            return wrong(format!(
                "there is no event {:?}; the events are {known}",
                self.event
            ));
        };
        if event == HookEvent::Connect && self.rooms.is_some() {
            return wrong("a hook for connect has no rooms; remove them".to_owned());
        }
        if self
            .rooms
            .as_ref()
            .is_some_and(|rooms| rooms.len() > MAX_PATTERNS)
        {
            return wrong(format!("rooms may have {MAX_PATTERNS} patterns at most"));
        }
        let fault = invalid_endpoint(self.uri().as_ref(), self.keys().as_deref())
            .or_else(|| outbox::invalid_name(self.name().to_owned(), names));
        if let Some(what) = fault {
            return wrong(what);
        }
        let (least, most) = (Duration::from_millis(10), Duration::from_secs(15));
        within("hooks.timeout", self.timeout, Span(least)..=Span(most))?;
        within("hooks.concurrency", self.concurrency, 1..=10_000)?;
        within("hooks.retries", self.retries, 0..=3)?;
        within("hooks.open_after", self.open_after, 1..=1_000)?;
        let most = Duration::from_mins(5);
        within("hooks.open_for", self.open_for, Span(least)..=Span(most))
    }
}

/// Reads hooks. One without a name gets that of its event, or `event-2`, `event-3` and so on if another hook
/// has it.
pub(super) fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hook>, D::Error> {
    let mut hooks = Vec::<Hook>::deserialize(deserializer)?;
    let mut taken: HashSet<_> = hooks.iter().filter_map(|hook| hook.name.clone()).collect();
    for hook in hooks.iter_mut().filter(|hook| hook.name.is_none()) {
        let mut name = hook.event.clone();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{}-{number}", hook.event);
        }
        hook.name = Some(name);
    }
    Ok(hooks)
}

/// Validates all hooks.
pub(super) fn validate(hooks: &[Hook]) -> Result<(), Invalid> {
    within("hooks", hooks.len(), 0..=MAX_HOOKS)?;
    let mut names = Vec::new();
    for (index, hook) in hooks.iter().enumerate() {
        hook.check(&mut names).map_err(|Invalid { key, what }| {
            let field = key
                .strip_prefix("hooks.")
                .map_or(String::new(), |field| format!("{field} "));
            Invalid {
                key: "hooks",
                what: format!("entry {}: {field}{what}", index + 1),
            }
        })?;
    }
    Ok(())
}
