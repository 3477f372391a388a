//! Rows for tokens that the server must refuse.

use roomful_testkit::token::{now, signed, with_claims, with_signature};
use serde_json::{Value, json};

use crate::row::{Act, Row};

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn auth(name: &'static str, auth: Value, code: &'static str) -> Row {
    Row {
        name,
        act: Act::Auth(auth, code),
    }
}

fn refused(name: &'static str, token: &str) -> Row {
    auth(name, json!({ "token": token }), "unauthorized")
}

pub(crate) fn rows(secret: &str) -> Vec<Row> {
    [shapes(), signatures(secret), claims(secret)].concat()
}

fn shapes() -> Vec<Row> {
    vec![
        auth("no auth at all", Value::Null, "unauthorized"),
        auth("auth without a token", json!({}), "unauthorized"),
        auth("a token that is null", json!({ "token": null }), "unauthorized"),
        auth("a token that is a number", json!({ "token": 1 }), "unauthorized"),
        auth(
            "a token that is an object",
            json!({ "token": { "sub": "eve" } }),
            "unauthorized",
        ),
        refused("an empty token", ""),
        refused("a token without dots", "token"),
        refused("a token of empty parts", ".."),
        refused("a token that is not base64", "a!.b!.c!"),
        refused("a token with a fourth part", "a.b.c.d"),
        refused("a token of 15,000 bytes", &"a".repeat(15_000)),
    ]
}

fn signatures(secret: &str) -> Vec<Row> {
    let claims = json!({ "sub": "eve", "exp": now() + 60 }).to_string();
    let none = r#"{"alg":"none","typ":"JWT"}"#;
    let good = signed(secret, HS256, &claims);
    let (unsigned, _) = good.rsplit_once('.').unwrap_or_default();
    let other_claims = json!({ "sub": "admin", "exp": now() + 60 }).to_string();
    let (_, signature) = good.rsplit_once('.').unwrap_or_default();
    vec![
        refused("the algorithm none", &with_signature(none, &claims, "")),
        refused(
            "the algorithm none behind a good signature",
            &signed(secret, none, &claims),
        ),
        refused(
            "another algorithm in the header",
            &signed(secret, r#"{"alg":"HS512","typ":"JWT"}"#, &claims),
        ),
        refused(
            "an asymmetric algorithm in the header",
            &signed(secret, r#"{"alg":"RS256"}"#, &claims),
        ),
        refused("a header that is not JSON", &signed(secret, "HS256", &claims)),
        refused(
            "a header without an algorithm",
            &signed(secret, r#"{"typ":"JWT"}"#, &claims),
        ),
        refused(
            "a header with a critical extension",
            &signed(secret, r#"{"alg":"HS256","crit":["x"],"x":1}"#, &claims),
        ),
        refused(
            "a signature by another key",
            &signed("another secret of thirty-two bytes", HS256, &claims),
        ),
        refused("a signature by an empty key", &signed("", HS256, &claims)),
        refused("no signature", &format!("{unsigned}.")),
        refused(
            "the signature of another token",
            &with_signature(HS256, &other_claims, signature),
        ),
    ]
}

fn claims(secret: &str) -> Vec<Row> {
    let exp = now() + 60;
    let token = |claims: Value| with_claims(secret, &claims);
    vec![
        auth(
            "an expired token",
            json!({ "token": token(json!({ "sub": "eve", "exp": now() - 60 })) }),
            "token_expired",
        ),
        refused("claims that are not JSON", &signed(secret, HS256, "sub=eve")),
        refused("claims that are a list", &signed(secret, HS256, "[]")),
        refused("no exp", &token(json!({ "sub": "eve" }))),
        refused(
            "an exp that is a string",
            &token(json!({ "sub": "eve", "exp": exp.to_string() })),
        ),
        refused(
            "an exp that is null",
            &token(json!({ "sub": "eve", "exp": null })),
        ),
        refused("no sub", &token(json!({ "exp": exp }))),
        refused("an empty sub", &token(json!({ "sub": "", "exp": exp }))),
        refused("a sub that is a number", &token(json!({ "sub": 7, "exp": exp }))),
        refused(
            "a sub of 1,000 characters",
            &token(json!({ "sub": "e".repeat(1000), "exp": exp })),
        ),
        refused(
            "a sub with control characters",
            &token(json!({ "sub": "eve\u{1b}[31m", "exp": exp })),
        ),
        refused(
            "a token that is not valid yet",
            &token(json!({ "sub": "eve", "exp": exp + 7200, "nbf": exp + 3600 })),
        ),
        refused(
            "rooms that are no list",
            &token(json!({ "sub": "eve", "exp": exp, "rooms": "*" })),
        ),
        refused(
            "rooms that are numbers",
            &token(json!({ "sub": "eve", "exp": exp, "rooms": [1] })),
        ),
    ]
}
