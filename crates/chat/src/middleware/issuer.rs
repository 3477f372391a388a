//! A trusted issuer of tokens: whom its tokens must name, which claims to read, and where its keys are.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use jsonwebtoken::Header;
use metrics::{Counter, counter};
use serde_json::{Map, Value};

use super::{key_set::KeySet, signature::verify_with};
use crate::error::ChatError;

/// The cached keys of an issuer, and a way to renew them.
#[async_trait]
pub trait IssuerKeys: fmt::Debug + Send + Sync {
    /// The keys of the last successful fetch; empty before the first one. Never waits.
    fn cached(&self) -> Arc<KeySet>;

    /// Fetches the keys, unless that has just happened. Concurrent calls share one fetch.
    ///
    /// # Errors
    /// [`KeysUnavailable`] if the last fetch failed, so that a missing key may exist nevertheless.
    async fn refresh(&self) -> Result<(), KeysUnavailable>;
}

/// The issuer did not answer with its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysUnavailable;

/// The name of a claim: of a claim at the top, or, with a leading `/`, of a nested one as a JSON Pointer
/// (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimName(Box<[Box<str>]>);

impl ClaimName {
    /// Creates a name.
    pub fn new(name: &str) -> Self {
        let Some(path) = name.strip_prefix('/') else {
            return Self(Box::new([Box::from(name)]));
        };
        let keys = path
            .split('/')
            .map(|key| key.replace("~1", "/").replace("~0", "~"));
        Self(keys.map(String::into_boxed_str).collect())
    }

    /// The claim of this name.
    pub(crate) fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter()
            .try_fold(claims.get(&**first)?, |value, key| value.as_object()?.get(&**key))
    }
}

/// The claims that the server reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The user's id.
    pub user: ClaimName,
    /// The display name.
    pub name: ClaimName,
    /// The URL of the user's picture.
    pub avatar: ClaimName,
    /// The patterns of the rooms that the user may enter.
    pub rooms: ClaimName,
    /// The roles.
    pub roles: ClaimName,
    /// Whose presence the user sees.
    pub presence: ClaimName,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            user: ClaimName::new("sub"),
            name: ClaimName::new("name"),
            avatar: ClaimName::new("avatar"),
            rooms: ClaimName::new("rooms"),
            roles: ClaimName::new("roles"),
            presence: ClaimName::new("presence"),
        }
    }
}

/// A trusted issuer.
#[derive(Debug)]
pub struct Issuer {
    /// The `iss` of its tokens.
    name: Box<str>,
    /// The accepted values of `aud`; empty accepts any.
    audience: Box<[Box<str>]>,
    claims: ClaimNames,
    keys: Arc<dyn IssuerKeys>,
    tokens: TokenCounters,
}

/// Tokens of one issuer, by outcome.
struct TokenCounters {
    accepted: Counter,
    refused: Counter,
    unavailable: Counter,
}

impl TokenCounters {
    fn new(issuer: &str) -> Self {
        let tokens = |outcome: &'static str| {
            let issuer = issuer.to_owned();
            counter!("roomful_auth_tokens_total", "issuer" => issuer, "outcome" => outcome)
        };
        Self {
            accepted: tokens("accepted"),
            refused: tokens("refused"),
            unavailable: tokens("unavailable"),
        }
    }
}

impl fmt::Debug for TokenCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCounters")
    }
}

impl Issuer {
    /// Creates an issuer and registers its metrics, so install the metrics recorder before.
    pub fn new(
        issuer: &str,
        audience: impl IntoIterator<Item = impl Into<Box<str>>>,
        claims: ClaimNames,
        keys: Arc<dyn IssuerKeys>,
    ) -> Self {
        Self {
            name: issuer.into(),
            audience: audience.into_iter().map(Into::into).collect(),
            claims,
            keys,
            tokens: TokenCounters::new(issuer),
        }
    }

    /// The `iss` of its tokens.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn claims(&self) -> &ClaimNames {
        &self.claims
    }

    /// Fetches the keys, unless that has just happened.
    pub(crate) async fn refresh(&self) -> Result<(), ChatError> {
        self.keys.refresh().await.map_err(|KeysUnavailable| {
            ChatError::Unavailable("the server has no key for this token, since its issuer does not answer")
        })
    }

    /// The claims of a token that a cached key has signed; `None` if the key may be one that the issuer has
    /// published since.
    ///
    /// # Errors
    /// [`ChatError::Unauthorized`] if no key can make the token valid.
    pub(crate) fn signed_claims(
        &self,
        token: &str,
        header: &Header,
    ) -> Result<Option<Map<String, Value>>, ChatError> {
        if header.alg.family() == jsonwebtoken::AlgorithmFamily::Hmac {
            return Err(ChatError::Unauthorized(
                "the token's issuer signs with public keys, and the token's alg is for a shared secret",
            ));
        }
        let keys = self.keys.cached();
        let kid = header.kid.as_deref();
        match verify_with(header.alg, keys.candidates(kid, header.alg), token)? {
            Some(claims) => self.check(&claims).map(|()| Some(claims)),
            // Without a kid, the right key may be a new one.
            None if kid.is_none() || !keys.has(kid) => Ok(None),
            None => Err(ChatError::Unauthorized(
                "the issuer's key of this kid has not signed the token, or not with this alg",
            )),
        }
    }

    /// Refuses claims that are not for this server.
    fn check(&self, claims: &Map<String, Value>) -> Result<(), ChatError> {
        if claims.get("iss").and_then(Value::as_str) != Some(&*self.name) {
            return Err(ChatError::Unauthorized("the token names its issuer (iss) twice"));
        }
        let accepted = |value: &Value| {
            let name = value.as_str();
            self.audience.iter().any(|own| Some(&**own) == name)
        };
        let for_us = self.audience.is_empty()
            || match claims.get("aud") {
                Some(Value::Array(names)) => names.iter().any(accepted),
                Some(name) => accepted(name),
                None => false,
            };
        if for_us {
            Ok(())
        } else {
            Err(ChatError::Unauthorized(
                "the token is not for this server; its aud must be the configured audience",
            ))
        }
    }

    /// Counts the result for one token.
    pub(crate) fn count<T>(&self, result: &Result<T, ChatError>) {
        match result {
            Ok(_) => self.tokens.accepted.increment(1),
            Err(error) => self.count_refused(error),
        }
    }

    /// Counts a token that is not accepted.
    pub(crate) fn count_refused(&self, error: &ChatError) {
        match error {
            ChatError::Unavailable(_) => self.tokens.unavailable.increment(1),
            _ => self.tokens.refused.increment(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claim_names_are_names_or_json_pointers() {
        let claims = json!({
            "sub": "a", "https://chat.example/roles": "b", "realm_access": {"roles": "c", "a/b~": "d"},
        });
        let table = [
            ("sub", Some("a")),
            ("https://chat.example/roles", Some("b")),
            ("/realm_access/roles", Some("c")),
            ("/realm_access/a~1b~0", Some("d")),
            ("/sub", Some("a")),
            ("/sub/x", None),
            ("realm_access.roles", None),
            ("", None),
        ];
        for (name, expected) in table {
            let found = ClaimName::new(name).find(claims.as_object().unwrap());
            assert_eq!(found.and_then(Value::as_str), expected, "{name}");
        }
    }
}
