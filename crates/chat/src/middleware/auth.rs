//! Token verification: the trusted keys with their algorithms, and the required claims.
//!
//! It follows RFC 8725: the algorithm comes from the key and never from the token, and claims of a wrong type
//! (RFC 7519) make the token invalid. A token that names a trusted issuer (`iss`) needs one of that issuer's
//! keys, every other token one of the server's own. This module knows no sockets.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use jsonwebtoken::{Algorithm, DecodingKey, decode_header};
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    issuer::{ClaimNames, Issuer},
    signature::verify_with,
};
use crate::{
    error::ChatError,
    types::{
        Claims, RoomPattern, Visibility,
        names::{check_acting_user_id, check_avatar, is_visible},
    },
};

/// The longest accepted token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The longest display name, in characters. Longer ones are truncated.
const MAX_NAME_CHARS: usize = 128;
/// The role that makes a user moderator of every room.
const MODERATOR: &str = "moderator";
/// The most room patterns of a token, and the longest one in bytes. Keeps matching cheap.
const MAX_PATTERNS: usize = 256;
const MAX_PATTERN_BYTES: usize = 256;
/// The shortest secret, in bytes (RFC 7518, 3.2: as long as the hash).
const MIN_SECRET_BYTES: usize = 32;

/// The supported signature algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256, one shared secret.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl TokenAlgorithm {
    /// The name in a token's header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    const fn jwt(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// One key, tied to one algorithm.
#[derive(Clone)]
pub struct VerifyKey {
    kid: Option<String>,
    algorithm: TokenAlgorithm,
    key: DecodingKey,
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl VerifyKey {
    /// Creates an HS256 key.
    ///
    /// # Errors
    /// [`ChatError::BadKey`] if the secret is shorter than 32 bytes.
    pub fn secret(kid: Option<String>, secret: &[u8]) -> Result<Self, ChatError> {
        if secret.len() < MIN_SECRET_BYTES {
            let reason = format!(
                "the secret has {} bytes; it needs at least {MIN_SECRET_BYTES}",
                secret.len()
            );
            return Err(bad_key(kid, TokenAlgorithm::Hs256, reason));
        }
        Ok(Self {
            kid,
            algorithm: TokenAlgorithm::Hs256,
            key: DecodingKey::from_secret(secret),
        })
    }

    /// Creates a key from a public key in PEM.
    ///
    /// # Errors
    /// [`ChatError::BadKey`] if the text is not a public key of this algorithm, or the algorithm is HS256.
    pub fn public_pem(kid: Option<String>, algorithm: TokenAlgorithm, pem: &[u8]) -> Result<Self, ChatError> {
        let key = match algorithm {
            TokenAlgorithm::Hs256 => {
                let reason = "HS256 takes a secret, not a public key".to_owned();
                return Err(bad_key(kid, algorithm, reason));
            }
            TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
            TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
        };
        match key {
            Ok(key) => Ok(Self { kid, algorithm, key }),
            Err(error) => Err(bad_key(kid, algorithm, error.to_string())),
        }
    }
}

fn bad_key(kid: Option<String>, algorithm: TokenAlgorithm, reason: String) -> ChatError {
    ChatError::BadKey {
        kid: kid.unwrap_or_else(|| "(no kid)".into()),
        algorithm: algorithm.name(),
        reason,
    }
}

/// The limits on a token's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTimes {
    /// How far the issuer's clock may be ahead (`nbf`, `iat`), in milliseconds. It does not extend a token's
    /// end.
    pub clock_skew_ms: i64,
    /// The longest time to a token's `exp`, in milliseconds. It catches an `exp` in milliseconds instead of
    /// seconds.
    pub max_lifetime_ms: i64,
}

/// The trusted keys and issuers. An empty table refuses every token.
///
/// Clones share their keys: [`KeyTable::replace`] changes the keys of a running server.
#[derive(Debug, Clone, Default)]
pub struct KeyTable {
    keys: Arc<RwLock<Arc<[VerifyKey]>>>,
    issuers: Arc<[Issuer]>,
}

impl FromIterator<VerifyKey> for KeyTable {
    fn from_iter<I: IntoIterator<Item = VerifyKey>>(keys: I) -> Self {
        Self {
            keys: Arc::new(RwLock::new(keys.into_iter().collect())),
            issuers: Arc::default(),
        }
    }
}

/// The names of the claims in tokens that one of the server's own keys has signed.
static OWN_CLAIMS: LazyLock<ClaimNames> = LazyLock::new(ClaimNames::default);

/// The unverified issuer in a token's claims.
#[derive(Deserialize)]
struct Unverified {
    iss: Option<String>,
}

/// The result of looking for the key of a token.
enum Signed<'a> {
    /// The claims, and the issuer if there is one.
    Claims(Map<String, Value>, Option<&'a Issuer>),
    /// The issuer's cached keys have none that fits; a new one may.
    KeyMissing(&'a Issuer),
}

const KEY_MISSING: ChatError = ChatError::Unauthorized(
    "the token's issuer has no key of this kid; if it rotated its keys just now, try again in a moment",
);

impl KeyTable {
    /// Creates a table with one HS256 secret.
    ///
    /// # Errors
    /// [`ChatError::BadKey`] if the secret is shorter than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, ChatError> {
        Ok([VerifyKey::secret(None, secret)?].into_iter().collect())
    }

    /// Trusts these issuers, too. Clones made earlier do not.
    pub fn with_issuers(self, issuers: impl IntoIterator<Item = Issuer>) -> Self {
        let issuers = issuers.into_iter().collect();
        Self { issuers, ..self }
    }

    /// Takes over the keys of `other`, but not its issuers, for this table and all its clones. Connections
    /// that the old keys let in stay open; their next `token:refresh` needs a token of the new keys.
    pub fn replace(&self, other: &KeyTable) {
        let keys = Arc::clone(&other.keys.read());
        *self.keys.write() = keys;
    }

    /// Verifies a token at the time `now_ms` with the keys at hand and reads its claims. Never waits.
    ///
    /// # Errors
    /// [`ChatError::TokenExpired`] for a genuine token past its `exp`, else [`ChatError::Unauthorized`].
    pub fn verify(&self, token: &str, now_ms: i64, times: TokenTimes) -> Result<Claims, ChatError> {
        accept(self.signed(token)?, now_ms, times)
    }

    /// Like [`verify`](Self::verify), but asks the token's issuer for its keys if none at hand fits.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify), and [`ChatError::Unavailable`] if the issuer does not answer.
    pub async fn verify_or_fetch(
        &self,
        token: &str,
        now_ms: i64,
        times: TokenTimes,
    ) -> Result<Claims, ChatError> {
        match self.signed(token)? {
            Signed::KeyMissing(issuer) => {
                let refreshed = issuer.refresh().await;
                refreshed.inspect_err(|error| issuer.count_refused(error))?;
                accept(self.signed(token)?, now_ms, times)
            }
            signed @ Signed::Claims(..) => accept(signed, now_ms, times),
        }
    }

    /// The claims of a token that a trusted key has signed.
    fn signed(&self, token: &str) -> Result<Signed<'_>, ChatError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(ChatError::Unauthorized("the token is longer than 8 KiB"));
        }
        let header = decode_header(token)
            .map_err(|_| ChatError::Unauthorized("the token is not a signed JWT of a known algorithm"))?;
        // RFC 7515, 4.1.11: a recipient must understand critical extensions. This server supports none.
        if header.crit.is_some() {
            return Err(ChatError::Unauthorized(
                "the token's header has a critical extension",
            ));
        }
        let named = if self.issuers.is_empty() {
            None
        } else {
            issuer_of(token)
        };
        if let Some(issuer) = named
            .as_deref()
            .and_then(|name| self.issuers.iter().find(|issuer| issuer.name() == name))
        {
            let claims = issuer
                .signed_claims(token, &header)
                .inspect_err(|error| issuer.count_refused(error))?;
            return Ok(claims.map_or(Signed::KeyMissing(issuer), |claims| {
                Signed::Claims(claims, Some(issuer))
            }));
        }
        let keys = Arc::clone(&self.keys.read());
        let fitting = candidates(&keys, header.kid.as_deref())
            .filter(|key| key.algorithm.jwt() == header.alg)
            .map(|key| &key.key);
        verify_with(header.alg, fitting, token)?
            .map(|claims| Signed::Claims(claims, None))
            .ok_or(ChatError::Unauthorized(match named {
                Some(_) => {
                    "this server trusts neither the token's issuer (iss) nor its signature; check \
                     auth.issuers, or the secret or kid"
                }
                None => "no key of this server has signed the token; check the secret or kid",
            }))
    }
}

/// The issuer that a token claims to be from.
fn issuer_of(token: &str) -> Option<String> {
    let claims: Unverified = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
    claims.iss
}

/// Reads signed claims, and checks and counts them.
fn accept(signed: Signed<'_>, now_ms: i64, times: TokenTimes) -> Result<Claims, ChatError> {
    match signed {
        Signed::Claims(claims, None) => check(&claims, &OWN_CLAIMS, now_ms, times),
        Signed::Claims(claims, Some(issuer)) => {
            let checked = check(&claims, issuer.claims(), now_ms, times);
            issuer.count(&checked);
            checked
        }
        Signed::KeyMissing(issuer) => {
            issuer.count_refused(&KEY_MISSING);
            Err(KEY_MISSING)
        }
    }
}

/// Reads signed claims, and checks their times.
fn check(
    claims: &Map<String, Value>,
    names: &ClaimNames,
    now_ms: i64,
    times: TokenTimes,
) -> Result<Claims, ChatError> {
    let claims = read_claims(claims, names)?;
    if claims.expires_at <= now_ms {
        return Err(ChatError::TokenExpired);
    }
    if claims.expires_at.saturating_sub(now_ms) > times.max_lifetime_ms {
        return Err(ChatError::Unauthorized(
            "the token lives longer than this server allows; exp must be in seconds since 1970",
        ));
    }
    if claims
        .valid_from
        .is_some_and(|from| from > now_ms.saturating_add(times.clock_skew_ms))
    {
        return Err(ChatError::Unauthorized(
            "the token is not valid yet; check the clock of its issuer",
        ));
    }
    let ReadClaims {
        user,
        name,
        avatar,
        expires_at,
        issued_at,
        rooms,
        moderator,
        sees,
        ..
    } = claims;
    Ok(Claims {
        user,
        name,
        avatar,
        expires_at,
        issued_at,
        rooms,
        moderator,
        sees,
    })
}

/// The keys that may have signed a token: those with its `kid`, and those without one.
fn candidates<'a>(keys: &'a [VerifyKey], kid: Option<&str>) -> impl Iterator<Item = &'a VerifyKey> {
    keys.iter()
        .filter(move |key| key.kid.is_none() || key.kid.as_deref() == kid)
}

/// Whether a token issued at `issued_at` is void after a revocation of all tokens issued before `before`. A
/// token without `iat` may be older, so it is void, too.
///
/// The issuer's clock may be ahead by `skew_ms`. So a token that existed before the revocation may be dated
/// after it, but no later than `before` plus `skew_ms`. Until then, tokens dated in the future are void.
pub(crate) fn is_revoked(issued_at: Option<i64>, before: i64, now: i64, skew_ms: i64) -> bool {
    let recent = now < before.saturating_add(skew_ms);
    issued_at.is_none_or(|at| at < before || (recent && at > now))
}

/// The first whole second after a time. `iat` counts whole seconds.
pub(crate) fn next_second(ms: i64) -> i64 {
    (ms.div_euclid(1_000) + 1).saturating_mul(1_000)
}

struct ReadClaims {
    user: Arc<str>,
    name: Option<Arc<str>>,
    avatar: Option<Arc<str>>,
    expires_at: i64,
    issued_at: Option<i64>,
    valid_from: Option<i64>,
    rooms: Option<Box<[RoomPattern]>>,
    moderator: bool,
    sees: Option<Visibility>,
}

fn read_claims(claims: &Map<String, Value>, names: &ClaimNames) -> Result<ReadClaims, ChatError> {
    let user = match names.user.find(claims) {
        Some(Value::String(sub)) if check_acting_user_id(sub).is_ok() => Arc::from(sub.as_str()),
        Some(Value::String(_)) => {
            return Err(ChatError::Unauthorized(
                "the token's sub must be a user id: 1 to 128 characters, visible and without control \
                characters, and must not begin with \"key:\"",
            ));
        }
        None | Some(Value::Null) => {
            return Err(ChatError::Unauthorized("the token has no sub, the user's id"));
        }
        Some(_) => return Err(ChatError::Unauthorized("the token's sub must be a string")),
    };
    let Some(expires_at) = numeric_date(claims.get("exp"))? else {
        return Err(ChatError::Unauthorized(
            "the token has no exp, the time of its end",
        ));
    };
    let issued_at = numeric_date(claims.get("iat"))?;
    let valid_from = numeric_date(claims.get("nbf"))?.max(issued_at);
    Ok(ReadClaims {
        user,
        name: read_name(names.name.find(claims))?,
        avatar: read_avatar(names.avatar.find(claims))?,
        expires_at,
        issued_at,
        valid_from,
        rooms: read_rooms(names.rooms.find(claims))?,
        moderator: has_role(names.roles.find(claims), MODERATOR)?,
        sees: read_visibility(names.presence.find(claims))?,
    })
}

/// A `NumericDate` (RFC 7519, section 2: seconds since 1970, fractions allowed), in milliseconds.
fn numeric_date(claim: Option<&Value>) -> Result<Option<i64>, ChatError> {
    let seconds = match claim {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(_) => None,
    };
    // Within these bounds every millisecond is exact in an f64, and the cast cannot wrap.
    match seconds {
        Some(seconds) if (0.0..=9e12).contains(&seconds) => {
            #[allow(clippy::cast_possible_truncation, reason = "bounded just above")]
            let ms = (seconds * 1000.0) as i64;
            Ok(Some(ms))
        }
        _ => Err(ChatError::Unauthorized(
            "the token's exp, nbf and iat must be numbers: seconds since 1970",
        )),
    }
}

fn read_name(claim: Option<&Value>) -> Result<Option<Arc<str>>, ChatError> {
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(display_name(name)),
        Some(_) => Err(ChatError::Unauthorized("the token's name must be a string")),
    }
}

fn read_avatar(claim: Option<&Value>) -> Result<Option<Arc<str>>, ChatError> {
    match claim {
        None | Some(Value::Null) => Ok(None),
        // Backends without a picture send an empty text.
        Some(Value::String(url)) if url.is_empty() => Ok(None),
        Some(Value::String(url)) if check_avatar(url).is_ok() => Ok(Some(Arc::from(url.as_str()))),
        Some(_) => Err(ChatError::Unauthorized(
            "the token's avatar must be a URL of at most 2,048 characters, and no script",
        )),
    }
}

/// The display name without control characters and outer white space; `None` if nothing remains.
pub(crate) fn display_name(name: &str) -> Option<Arc<str>> {
    let clean: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME_CHARS)
        .collect();
    let trimmed = clean.trim();
    is_visible(trimmed).then(|| Arc::from(trimmed))
}

/// Unknown roles may belong to another service.
fn has_role(claim: Option<&Value>, role: &str) -> Result<bool, ChatError> {
    match claim {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Array(roles)) => Ok(roles.iter().any(|given| given.as_str() == Some(role))),
        Some(_) => Err(ChatError::Unauthorized(
            "the token's roles must be a list of strings",
        )),
    }
}

fn read_visibility(claim: Option<&Value>) -> Result<Option<Visibility>, ChatError> {
    let wrong = ChatError::Unauthorized("the token's presence must be \"shared_rooms\" or \"everyone\"");
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Visibility::of(name).map(Some).ok_or(wrong),
        Some(_) => Err(wrong),
    }
}

fn read_rooms(claim: Option<&Value>) -> Result<Option<Box<[RoomPattern]>>, ChatError> {
    let wrong =
        ChatError::Unauthorized("the token's rooms must be a list of at most 256 patterns of 256 bytes");
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(patterns)) if patterns.len() <= MAX_PATTERNS => {
            let read = |pattern: &Value| {
                let text = pattern.as_str().filter(|text| text.len() <= MAX_PATTERN_BYTES)?;
                Some(RoomPattern::new(text))
            };
            patterns
                .iter()
                .map(read)
                .collect::<Option<Box<[_]>>>()
                .map(Some)
                .ok_or(wrong)
        }
        Some(_) => Err(wrong),
    }
}
