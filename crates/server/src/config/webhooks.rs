//! Settings of the endpoints that are told what happens: where they are and what they want.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Uri;
use serde::Deserialize;

use super::{
    error::{Invalid, within},
    outbox,
    units::Secret,
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
        outbox::kinds(&self.events)
    }
}

/// Checks all endpoints, and adds their names to those of the sinks.
pub(super) fn validate(webhooks: &[Webhook], names: &mut Vec<String>) -> Result<(), Invalid> {
    let wrong = |what: String| {
        Err(Invalid {
            key: "webhooks",
            what,
        })
    };
    within("webhooks", webhooks.len(), 0..=MOST)?;
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
        if let Some(what) = outbox::unknown(&webhook.events) {
            return wrong(format!("entry {number}: {what}"));
        }
        if let Some(what) = outbox::unfit(webhook.name(), names) {
            return wrong(format!("entry {number}: {what}"));
        }
    }
    Ok(())
}
