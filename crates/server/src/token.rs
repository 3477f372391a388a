//! Claims and signing of user tokens. `roomful-chat` verifies them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

/// Claims of a token.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Claims {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    iat: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
    /// Unique id of this token.
    jti: String,
}

impl Claims {
    /// Claims of `user`, valid from `now` (seconds since 1970) for `ttl`, rounded up to a second.
    pub(crate) fn new(user: String, now: u64, ttl: Duration) -> Self {
        let exp = now
            .saturating_add(ttl.as_secs())
            .saturating_add(u64::from(ttl.subsec_nanos() > 0));
        let jti = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>());
        Claims {
            sub: user,
            name: None,
            iat: now,
            exp,
            rooms: None,
            roles: None,
            jti,
        }
    }

    /// Sets the display name.
    pub(crate) fn named(self, name: Option<String>) -> Self {
        Claims { name, ..self }
    }

    /// Limits the token to rooms that match one of `patterns`. An empty list means no limit.
    pub(crate) fn in_rooms(self, patterns: Vec<String>) -> Self {
        Claims {
            rooms: (!patterns.is_empty()).then_some(patterns),
            ..self
        }
    }

    /// Sets the roles, such as `moderator`.
    pub(crate) fn with_roles(self, roles: Vec<String>) -> Self {
        Claims {
            roles: (!roles.is_empty()).then_some(roles),
            ..self
        }
    }

    /// Expiry in seconds since 1970.
    pub(crate) fn expires_at(&self) -> u64 {
        self.exp
    }
}

/// A key that signs HS256 tokens.
pub(crate) struct Signer {
    key: EncodingKey,
    kid: Option<String>,
}

impl Signer {
    /// Signs with `secret`; `kid` goes into the header.
    pub(crate) fn new(secret: &str, kid: Option<String>) -> Self {
        Signer {
            key: EncodingKey::from_secret(secret.as_bytes()),
            kid,
        }
    }

    /// Signs `claims`; returns the token in compact form.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        let header = Header {
            kid: self.kid.clone(),
            ..Header::new(Algorithm::HS256)
        };
        encode(&header, claims, &self.key)
    }
}

/// True if `id` is valid as a user id, by the rule for a token's `sub`.
pub(crate) fn is_user_id(id: &str) -> bool {
    (1..=128).contains(&id.chars().count()) && !id.chars().any(char::is_control)
}
