//! Section `auth`: the secret and the keys that verify tokens. `crate::secret` reads key files and
//! generates the secret.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    error::{Invalid, within},
    issuers::{self, Issuer},
    units::{Secret, Size, Span},
};

/// Minimum length of an HS256 secret in bytes: the length of the hash (RFC 7518, section 3.2).
pub(crate) const MIN_SECRET_BYTES: usize = 32;
/// Minimum length of the cluster secret in bytes.
pub(super) const MIN_CLUSTER_SECRET_BYTES: usize = 16;
/// Minimum length of an API key in bytes.
pub(super) const MIN_API_KEY_BYTES: usize = 16;

/// Section `auth`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) secret: Secret,
    pub(crate) second_secret: Secret,
    pub(crate) leeway: Span,
    pub(crate) clock_skew: Span,
    pub(crate) max_token_lifetime: Span,
    pub(crate) expiry_notice: Span,
    pub(crate) revocations_kept: Span,
    pub(crate) keys: Vec<AuthKey>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) issuer_refresh: Span,
    pub(crate) issuer_pause: Span,
    pub(crate) issuer_timeout: Span,
    pub(crate) issuer_max_size: Size,
    pub(crate) issuer_max_keys: usize,
}

/// One entry of `auth.keys`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthKey {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Algorithm,
    #[serde(default)]
    pub(crate) secret: Secret,
    pub(crate) public_key_file: Option<PathBuf>,
}

/// Signature algorithm of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    HS256,
    RS256,
    ES256,
    EdDSA,
}

impl Auth {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        within(
            "auth.leeway",
            self.leeway,
            Span(Duration::ZERO)..=Span(Duration::from_mins(10)),
        )?;
        within(
            "auth.clock_skew",
            self.clock_skew,
            Span(Duration::ZERO)..=Span(Duration::from_mins(10)),
        )?;
        within(
            "auth.max_token_lifetime",
            self.max_token_lifetime,
            Span(Duration::from_secs(1))..=Span(Duration::from_hours(24 * 365 * 100)),
        )?;
        within(
            "auth.expiry_notice",
            self.expiry_notice,
            Span(Duration::ZERO)..=Span(Duration::from_hours(24)),
        )?;
        within(
            "auth.revocations_kept",
            self.revocations_kept,
            Span(Duration::from_mins(1))..=Span(Duration::from_hours(24 * 365 * 100)),
        )?;
        for (key, secret) in [
            ("auth.secret", &self.secret),
            ("auth.second_secret", &self.second_secret),
        ] {
            if let Some(secret) = secret.expose() {
                check_secret(key, secret, MIN_SECRET_BYTES)?;
            }
        }
        self.validate_issuers()?;
        self.keys.iter().try_for_each(AuthKey::validate)?;
        let mut kids: Vec<_> = self.keys.iter().filter_map(|key| key.kid.as_deref()).collect();
        kids.sort_unstable();
        match kids.array_windows().find(|[a, b]| a == b) {
            Some([kid, _]) => Err(Invalid {
                key: "auth.keys",
                what: format!("two keys have the kid {kid:?}; give each its own"),
            }),
            None => Ok(()),
        }
    }
}

impl Auth {
    fn validate_issuers(&self) -> Result<(), Invalid> {
        let seconds = |seconds| Span(Duration::from_secs(seconds));
        within(
            "auth.issuer_refresh",
            self.issuer_refresh,
            seconds(1)..=seconds(86_400),
        )?;
        within(
            "auth.issuer_pause",
            self.issuer_pause,
            seconds(1)..=seconds(3_600),
        )?;
        within(
            "auth.issuer_timeout",
            self.issuer_timeout,
            Span(Duration::from_millis(100))..=seconds(30),
        )?;
        within(
            "auth.issuer_max_size",
            self.issuer_max_size,
            Size(1 << 10)..=Size(4 << 20),
        )?;
        within("auth.issuer_max_keys", self.issuer_max_keys, 1..=1_000)?;
        issuers::validate(&self.issuers)
    }
}

impl AuthKey {
    fn validate(&self) -> Result<(), Invalid> {
        let wrong = |what: &str| {
            Err(Invalid {
                key: "auth.keys",
                what: what.to_owned(),
            })
        };
        match (self.algorithm, self.secret.expose(), &self.public_key_file) {
            (Algorithm::HS256, Some(secret), None) => check_secret("auth.keys", secret, MIN_SECRET_BYTES),
            (Algorithm::HS256, ..) => wrong("an HS256 key needs a secret and no public_key_file"),
            (_, None, Some(_)) => Ok(()),
            (..) => wrong("an RS256, ES256 or EdDSA key needs a public_key_file and no secret"),
        }
    }
}

/// Returns an error if `secret` has less than `min_bytes` or repeats one byte.
pub(super) fn check_secret(key: &'static str, secret: &str, min_bytes: usize) -> Result<(), Invalid> {
    if secret.len() >= min_bytes {
        return check_not_repeated(key, secret);
    }
    let what = format!(
        "has {} bytes and must have at least {min_bytes}; `openssl rand -base64 48` makes a good one",
        secret.len()
    );
    Err(Invalid { key, what })
}

/// Refuses a secret that repeats one byte, such as a row of zeros from a template. Its length proves nothing.
pub(super) fn check_not_repeated(key: &'static str, secret: &str) -> Result<(), Invalid> {
    let bytes = secret.as_bytes();
    if bytes.windows(2).all(|pair| pair[0] == pair[1]) {
        let what = "the value repeats one character, so anyone can guess it; \
            `openssl rand -base64 48` makes a good one";
        return Err(Invalid {
            key,
            what: what.to_owned(),
        });
    }
    Ok(())
}
