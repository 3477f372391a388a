//! Attempts with tokens: forged, for somebody else, or of an issuer that nobody trusts.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, crypto};
use roomful_testkit::token::{self, now};
use serde_json::{Value, json};

use crate::{
    attempt::{Attempt, connect},
    issuer::{Issuer, Key},
    world::World,
};

const UNAUTHORIZED: &str = "unauthorized";

pub(crate) fn rows(world: &World) -> Vec<Attempt> {
    let World {
        server,
        issuer,
        issuer_key,
        foreign_key,
        ..
    } = world;
    [
        confused_keys(server.secret(), issuer, issuer_key),
        key_ids(issuer, issuer_key, foreign_key),
        claims(issuer, issuer_key),
    ]
    .concat()
}

fn refused(name: &'static str, token: String) -> Attempt {
    connect(name, token, UNAUTHORIZED)
}

/// A token with any header, signed with a key for ES256.
fn forged(header: &Value, claims: &Value, key: &Key) -> String {
    let (header, claims) = (header.to_string(), claims.to_string());
    let unsigned = token::with_signature(&header, &claims, "");
    let message = unsigned.trim_end_matches('.');
    let signature = crypto::sign(message.as_bytes(), &key.signing, Algorithm::ES256).unwrap();
    token::with_signature(&header, &claims, &signature)
}

fn confused_keys(secret: &str, issuer: &Issuer, key: &Key) -> Vec<Attempt> {
    let claims = issuer.claims("eve").to_string();
    let none = r#"{"alg":"none","kid":"current"}"#;
    let hmac = r#"{"alg":"HS256","kid":"current"}"#;
    let public_pem = &key.public_pem;
    let public_jwk = key.public.to_string();
    vec![
        refused(
            "an issuer's token without a signature",
            token::with_signature(none, &claims, ""),
        ),
        refused(
            "an issuer's token with its public key as the secret",
            token::signed(public_pem, hmac, &claims),
        ),
        refused(
            "an issuer's token with its published key as the secret",
            token::signed(&public_jwk, hmac, &claims),
        ),
        refused(
            "an issuer's token with the server's secret",
            token::signed(secret, hmac, &claims),
        ),
        refused(
            "an issuer's token with an empty secret",
            token::signed("", hmac, &claims),
        ),
        refused(
            "an issuer's token with another algorithm in its header",
            forged(
                &json!({ "alg": "RS256", "kid": "current" }),
                &issuer.claims("eve"),
                key,
            ),
        ),
    ]
}

fn key_ids(issuer: &Issuer, key: &Key, foreign: &Key) -> Vec<Attempt> {
    let claims = issuer.claims("eve");
    let named = |name, kid: &str| refused(name, foreign.named(kid).sign(&claims));
    let own_keys = json!({
        "alg": "ES256", "kid": "current", "jwk": foreign.public, "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x5u",
    });
    let critical = json!({ "alg": "ES256", "kid": "current", "crit": ["b64"], "b64": false });
    vec![
        named("the issuer's kid on another's key", "current"),
        named("a kid that is a path", "../../../../etc/passwd"),
        named("a kid that is a device", "/dev/null"),
        named("a kid that is SQL", "' UNION SELECT 'x' --"),
        named("a kid that is a command", "$(id)|id"),
        named("a kid with a NUL", "current\0"),
        named("a kid of 7,000 bytes", &"k".repeat(7_000)),
        refused("no kid on another's key", foreign.unnamed().sign(&claims)),
        refused(
            "a token that brings its own keys",
            forged(&own_keys, &claims, foreign),
        ),
        refused(
            "a token with a critical extension",
            forged(&critical, &claims, key),
        ),
        refused(
            "a kid that is an object",
            forged(&json!({ "alg": "ES256", "kid": {} }), &claims, key),
        ),
    ]
}

fn claims(issuer: &Issuer, key: &Key) -> Vec<Attempt> {
    let with = |name, claim: &str, value: Value| {
        let mut claims = issuer.claims("eve");
        claims[claim] = value;
        refused(name, key.sign(&claims))
    };
    let mut expired = issuer.claims("eve");
    expired["exp"] = json!(now() - 60);
    let twice = format!(
        r#"{{"iss":"https://evil.example","sub":"eve","aud":"chat","exp":{},"iss":"{}"}}"#,
        now() + 60,
        issuer.url()
    );
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"current"}"#);
    vec![
        with("a token for another audience", "aud", json!("billing")),
        with("a token for no audience", "aud", Value::Null),
        with("a token for an empty list of audiences", "aud", json!([])),
        with(
            "a token for a list of other audiences",
            "aud",
            json!(["billing", { "chat": true }]),
        ),
        with("a token for an audience in capitals", "aud", json!("CHAT")),
        with(
            "a token of a foreign issuer",
            "iss",
            json!("https://evil.example"),
        ),
        with(
            "a token of the issuer with a slash",
            "iss",
            json!(format!("{}/", issuer.url())),
        ),
        with("a token of a list of issuers", "iss", json!([issuer.url()])),
        with("a token that ends in milliseconds", "exp", json!(now() * 1_000)),
        with("a token that never ends", "exp", Value::Null),
        with("a token that ends at infinity", "exp", json!("Infinity")),
        with("a token of tomorrow", "nbf", json!(now() + 86_400)),
        with("roles that are a text", "roles", json!("moderator")),
        with("a presence of one's own making", "presence", json!("god")),
        connect("an expired token", key.sign(&expired), "token_expired"),
        refused(
            "a token of two issuers",
            format!("{unsigned}.{}.AAAA", URL_SAFE_NO_PAD.encode(twice)),
        ),
    ]
}
