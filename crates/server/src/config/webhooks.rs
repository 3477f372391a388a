//! Webhook endpoints: URL, secret and event types.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Uri;
use serde::Deserialize;

use super::{
    error::{Invalid, within},
    outbox,
    units::Secret,
};

/// Length of a signing secret in bytes, by the Standard Webhooks specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Prefix of a secret's text.
const SECRET_PREFIX: &str = "whsec_";
/// Maximum number of endpoints.
const MAX_ENDPOINTS: usize = 32;

/// One entry of `webhooks`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    name: Option<String>,
    /// Hidden in logs: its path may contain a key.
    url: Secret,
    secret: Secret,
    #[serde(default)]
    second_secret: Secret,
    events: Vec<String>,
}

impl Webhook {
    /// Name of the endpoint in the outbox, in logs and in metrics. Default: the URL's host and port.
    pub(crate) fn name(&self) -> String {
        let host = || {
            self.uri()
                .and_then(|uri| uri.authority().map(ToString::to_string))
        };
        self.name.clone().or_else(host).unwrap_or_default()
    }

    /// See [`endpoint_uri`].
    pub(crate) fn uri(&self) -> Option<Uri> {
        endpoint_uri(&self.url)
    }

    /// See [`signing_keys`].
    pub(crate) fn keys(&self) -> Option<Vec<Vec<u8>>> {
        signing_keys(&self.secret, &self.second_secret)
    }

    /// The event types that it receives.
    pub(crate) fn kinds(&self) -> Vec<roomful_store::RecordKind> {
        outbox::record_kinds(&self.events)
    }
}

/// The URL of an endpoint; `None` unless it is an `http:` or `https:` URL with a host and without a user.
pub(super) fn endpoint_uri(url: &Secret) -> Option<Uri> {
    let uri: Uri = url.expose()?.parse().ok()?;
    let plain = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority()?;
    (plain && !authority.host().is_empty() && !authority.as_str().contains('@')).then_some(uri)
}

/// The signing keys of an endpoint: one, or two during a rotation. `None` unless each secret is `whsec_` and
/// base64 of 24 to 64 bytes.
pub(super) fn signing_keys(first: &Secret, second: &Secret) -> Option<Vec<Vec<u8>>> {
    let secrets = Some(first.expose().unwrap_or_default())
        .into_iter()
        .chain(second.expose());
    secrets.map(decode_secret).collect()
}

/// An error text if the URL or the secrets of an endpoint are invalid.
pub(super) fn invalid_endpoint(uri: Option<&Uri>, keys: Option<&[Vec<u8>]>) -> Option<String> {
    if uri.is_none() {
        let what = "url must be an http: or https: URL such as \"https://app.example/hooks\"";
        return Some(what.to_owned());
    }
    keys.is_none().then(|| {
        format!(
            "a secret must be \"{SECRET_PREFIX}\" and base64 of 24 to 64 bytes; \
             `echo {SECRET_PREFIX}$(openssl rand -base64 32)` makes a good one"
        )
    })
}

fn decode_secret(secret: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX)?).ok()?;
    SECRET_BYTES.contains(&key.len()).then_some(key)
}

/// Validates all endpoints and adds their names to `names`.
pub(super) fn validate(webhooks: &[Webhook], names: &mut Vec<String>) -> Result<(), Invalid> {
    let wrong = |what: String| {
        Err(Invalid {
            key: "webhooks",
            what,
        })
    };
    within("webhooks", webhooks.len(), 0..=MAX_ENDPOINTS)?;
    for (index, webhook) in webhooks.iter().enumerate() {
        let number = index + 1;
        if let Some(what) = invalid_endpoint(webhook.uri().as_ref(), webhook.keys().as_deref()) {
            return wrong(format!("entry {number}: {what}"));
        }
        if let Some(what) = outbox::unknown_event(&webhook.events) {
            return wrong(format!("entry {number}: {what}"));
        }
        if let Some(what) = outbox::invalid_name(webhook.name(), names) {
            return wrong(format!("entry {number}: {what}"));
        }
    }
    Ok(())
}
