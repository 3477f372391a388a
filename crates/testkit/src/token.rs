//! Tokens for tests, valid and invalid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

/// An HS256 token for `user` that is valid for an hour.
pub fn for_user(secret: &str, user: &str) -> String {
    with_claims(
        secret,
        &json!({ "sub": user, "name": user, "exp": now() + 3600, "presence": "everyone" }),
    )
}

/// An HS256 token with exactly these claims.
pub fn with_claims(secret: &str, claims: &Value) -> String {
    signed(
        secret,
        &json!({ "alg": "HS256", "typ": "JWT" }).to_string(),
        &claims.to_string(),
    )
}

/// Header and claims as given, even if they are not JSON, with a correct HMAC-SHA256 signature.
pub fn signed(secret: &str, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", base64url(header), base64url(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    // HMAC accepts keys and messages of any length, so it cannot fail.
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap_or_default();
    format!("{message}.{signature}")
}

/// Header and claims as given, with this base64url signature.
pub fn with_signature(header: &str, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", base64url(header), base64url(claims))
}

/// Seconds since 1970, as `exp` and `iat` count.
#[expect(
    clippy::disallowed_methods,
    reason = "the server under test reads the real clock, so must its tokens"
)]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

fn base64url(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};

    use super::*;

    #[test]
    fn a_token_verifies_with_its_own_secret_only() {
        let token = for_user("0123456789abcdef0123456789abcdef", "alice");
        let verify = |secret: &str| {
            decode::<Value>(
                &token,
                &DecodingKey::from_secret(secret.as_bytes()),
                &Validation::default(),
            )
        };
        assert_eq!(
            verify("0123456789abcdef0123456789abcdef").unwrap().claims["sub"],
            "alice"
        );
        assert!(verify("another secret, thirty-two bytes").is_err());
    }
}
