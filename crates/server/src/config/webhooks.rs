//! Settings of what is told to endpoints outside: where they are, what they want, and how often it is tried.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Uri;
use roomful_chat::webhook;
use serde::Deserialize;

use super::{
    error::{Invalid, within},
    units::{Secret, Span},
};

/// Bytes that a signing secret may have, as the Standard Webhooks specification says.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What a secret's text begins with.
const SECRET_PREFIX: &str = "whsec_";
/// Endpoints in all.
const MOST: usize = 32;

/// One entry of `webhooks`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    name: Option<String>,
    /// Not shown in logs: its path may hold a key.
    url: Secret,
    secret: Secret,
    events: Vec<String>,
}

impl Webhook {
    /// The name under which its records wait, and which logs and metrics show: the one given, or the URL's host and port.
    pub(crate) fn name(&self) -> String {
        let host = || {
            self.uri()
                .and_then(|uri| uri.authority().map(ToString::to_string))
        };
        self.name.clone().or_else(host).unwrap_or_default()
    }

    /// Where it is; `None` if that is no `http:` or `https:` URL with a host and without a user.
    pub(crate) fn uri(&self) -> Option<Uri> {
        let uri: Uri = self.url.expose()?.parse().ok()?;
        let plain = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority()?;
        (plain && !authority.host().is_empty() && !authority.as_str().contains('@')).then_some(uri)
    }

    /// The signing key; `None` if the secret is not `whsec_` and base64 of 24 to 64 bytes.
    pub(crate) fn key(&self) -> Option<Vec<u8>> {
        let key = STANDARD
            .decode(self.secret.expose()?.strip_prefix(SECRET_PREFIX)?)
            .ok()?;
        SECRET_BYTES.contains(&key.len()).then_some(key)
    }

    /// What it wants.
    pub(crate) fn kinds(&self) -> Vec<roomful_store::RecordKind> {
        self.events
            .iter()
            .filter_map(|event| webhook::kind_of(event))
            .collect()
    }
}

/// Checks all endpoints.
pub(super) fn validate(webhooks: &[Webhook]) -> Result<(), Invalid> {
    let wrong = |what: String| {
        Err(Invalid {
            key: "webhooks",
            what,
        })
    };
    within("webhooks", webhooks.len(), 0..=MOST)?;
    let mut names = Vec::new();
    for (index, webhook) in webhooks.iter().enumerate() {
        let number = index + 1;
        if webhook.uri().is_none() {
            return wrong(format!(
                "entry {number}: url is no http: or https: URL such as \"https://app.example/hooks\""
            ));
        }
        if webhook.key().is_none() {
            return wrong(format!(
                "entry {number}: the secret must be \"{SECRET_PREFIX}\" and base64 of 24 to 64 bytes; \
                 `echo {SECRET_PREFIX}$(openssl rand -base64 32)` makes a good one"
            ));
        }
        if let Some(event) = webhook
            .events
            .iter()
            .find(|event| webhook::kind_of(event).is_none())
        {
            let known = roomful_store::RecordKind::ALL.map(webhook::type_name).join(", ");
            return wrong(format!(
                "entry {number}: there is no event {event:?}; there are {known}"
            ));
        }
        let name = webhook.name();
        if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            return wrong(format!(
                "entry {number}: a name has 1 to 100 characters and no control characters"
            ));
        }
        if names.contains(&name) {
            return wrong(format!(
                "entry {number}: two are called {name:?}; give each a name of its own"
            ));
        }
        names.push(name);
    }
    Ok(())
}

/// Section `outbox`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outbox {
    pub(crate) timeout: Span,
    pub(crate) concurrency: usize,
    pub(crate) retry_first: Span,
    pub(crate) retry_max: Span,
    pub(crate) attempts: u32,
    pub(crate) undelivered_after: Span,
    pub(crate) undelivered_members: u32,
    pub(crate) keep_delivered: Span,
    pub(crate) keep_dead: Span,
    pub(crate) max_records: u64,
}

impl Outbox {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        const DAY: u64 = 86_400;
        let seconds = |seconds| Span(Duration::from_secs(seconds));
        let millis = |millis| Span(Duration::from_millis(millis));
        within("outbox.timeout", self.timeout, millis(10)..=seconds(300))?;
        within("outbox.concurrency", self.concurrency, 1..=256)?;
        within("outbox.retry_first", self.retry_first, millis(10)..=seconds(DAY))?;
        within(
            "outbox.retry_max",
            self.retry_max,
            self.retry_first..=seconds(7 * DAY),
        )?;
        within("outbox.attempts", self.attempts, 1..=1_000)?;
        within(
            "outbox.undelivered_after",
            self.undelivered_after,
            millis(0)..=seconds(DAY),
        )?;
        within(
            "outbox.undelivered_members",
            self.undelivered_members,
            0..=100_000,
        )?;
        within(
            "outbox.keep_delivered",
            self.keep_delivered,
            millis(0)..=seconds(365 * DAY),
        )?;
        within("outbox.keep_dead", self.keep_dead, millis(0)..=seconds(365 * DAY))?;
        within("outbox.max_records", self.max_records, 100..=1_000_000_000)
    }
}
