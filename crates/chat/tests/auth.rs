//! Token verification: a table of invalid tokens with their errors, and the valid ones.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test's helpers and its table"
)]

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use roomful_chat::{
    ChatError, ErrorCode,
    middleware::auth::{KeyTable, TokenAlgorithm, TokenTimes, VerifyKey},
};
use serde_json::{Value, json};

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const OTHER: &[u8] = b"another secret of more than 32 bytes!!";
const RSA: &[u8] = include_bytes!("keys/rsa.pem");
const RSA_PUB: &[u8] = include_bytes!("keys/rsa.pub.pem");
const EC: &[u8] = include_bytes!("keys/ec.pem");
const EC_PUB: &[u8] = include_bytes!("keys/ec.pub.pem");
const ED: &[u8] = include_bytes!("keys/ed.pem");
const ED_PUB: &[u8] = include_bytes!("keys/ed.pub.pem");

/// The time of all checks, in seconds since 1970.
const NOW: i64 = 1_800_000_000;
const TIMES: TokenTimes = TokenTimes {
    clock_skew_ms: 10_000,
    max_lifetime_ms: 366 * 24 * 3_600_000,
};

fn hs(secret: &[u8], claims: &Value) -> String {
    encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(secret),
    )
    .unwrap()
}

fn with_header(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}.{signature}", part(header), part(claims))
}

fn base64url(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

fn good() -> Value {
    json!({"sub": "alice", "exp": NOW + 60})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = good();
    claims[key] = value;
    claims
}

fn without(key: &str) -> Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(key);
    claims
}

fn check(keys: &KeyTable, token: &str) -> Result<(), ErrorCode> {
    keys.verify(token, NOW * 1000, TIMES)
        .map(drop)
        .map_err(|error| error.code())
}

#[test]
fn each_invalid_token_is_refused_with_its_reason() {
    let keys = KeyTable::hs256(SECRET).unwrap();
    let unauthorized = Err(ErrorCode::Unauthorized);
    let none = json!({"alg": "none", "typ": "JWT"});
    let table: Vec<(&str, String, Result<(), ErrorCode>)> = vec![
        ("good", hs(SECRET, &good()), Ok(())),
        ("not a token", "hello".into(), unauthorized),
        ("empty", String::new(), unauthorized),
        ("two parts", "a.b".into(), unauthorized),
        ("far too long", "a".repeat(100_000), unauthorized),
        (
            "alg none, no signature",
            with_header(&none, &good(), ""),
            unauthorized,
        ),
        (
            "alg None",
            with_header(&json!({"alg": "None"}), &good(), "AA"),
            unauthorized,
        ),
        ("other secret", hs(OTHER, &good()), unauthorized),
        (
            "signature cut",
            hs(SECRET, &good()).rsplit_once('.').unwrap().0.to_owned() + ".",
            unauthorized,
        ),
        (
            "claims swapped",
            {
                let (mine, theirs) = (hs(SECRET, &good()), hs(OTHER, &with("sub", json!("root"))));
                let parts: Vec<_> = mine.split('.').collect();
                [parts[0], theirs.split('.').nth(1).unwrap(), parts[2]].join(".")
            },
            unauthorized,
        ),
        (
            "critical extension",
            {
                let header = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
                with_header(&header, &good(), "AA")
            },
            unauthorized,
        ),
        ("no sub", hs(SECRET, &without("sub")), unauthorized),
        ("empty sub", hs(SECRET, &with("sub", json!(""))), unauthorized),
        ("numeric sub", hs(SECRET, &with("sub", json!(7))), unauthorized),
        (
            "sub with a line break",
            hs(SECRET, &with("sub", json!("a\nb"))),
            unauthorized,
        ),
        (
            "sub of 128",
            hs(SECRET, &with("sub", json!("ж".repeat(128)))),
            Ok(()),
        ),
        (
            "sub of 129",
            hs(SECRET, &with("sub", json!("x".repeat(129)))),
            unauthorized,
        ),
        ("no exp", hs(SECRET, &without("exp")), unauthorized),
        (
            "string exp",
            hs(SECRET, &with("exp", json!((NOW + 60).to_string()))),
            unauthorized,
        ),
        (
            "exp in milliseconds",
            hs(SECRET, &with("exp", json!((NOW + 60) * 1000))),
            unauthorized,
        ),
        (
            "exp in 367 days",
            hs(SECRET, &with("exp", json!(NOW + 367 * 86_400))),
            unauthorized,
        ),
        (
            "exp in 366 days",
            hs(SECRET, &with("exp", json!(NOW + 366 * 86_400))),
            Ok(()),
        ),
        (
            "null in place of optional claims",
            hs(
                SECRET,
                &json!({
                    "sub": "alice", "exp": NOW + 60, "iat": null, "nbf": null, "name": null,
                    "rooms": null, "roles": null,
                }),
            ),
            Ok(()),
        ),
        (
            "a blank sub",
            hs(SECRET, &with("sub", json!(" \u{3000}"))),
            unauthorized,
        ),
        (
            "a zero-width sub",
            hs(SECRET, &with("sub", json!("\u{200b}\u{2060}"))),
            unauthorized,
        ),
        (
            "a bidi-only sub",
            hs(SECRET, &with("sub", json!("\u{202e}\u{2066}"))),
            unauthorized,
        ),
        ("null exp", hs(SECRET, &with("exp", Value::Null)), unauthorized),
        ("negative exp", hs(SECRET, &with("exp", json!(-1))), unauthorized),
        (
            "enormous exp",
            hs(SECRET, &with("exp", json!(1e300))),
            unauthorized,
        ),
        (
            "fraction of a second left",
            hs(SECRET, &with("exp", json!(1_800_000_000.5))),
            Ok(()),
        ),
        (
            "expired",
            hs(SECRET, &with("exp", json!(NOW - 1))),
            Err(ErrorCode::TokenExpired),
        ),
        (
            "expired just now",
            hs(SECRET, &with("exp", json!(NOW))),
            Err(ErrorCode::TokenExpired),
        ),
        (
            "expired and forged",
            hs(OTHER, &with("exp", json!(NOW - 1))),
            unauthorized,
        ),
        (
            "not yet valid",
            hs(SECRET, &with("nbf", json!(NOW + 11))),
            unauthorized,
        ),
        (
            "valid within the skew",
            hs(SECRET, &with("nbf", json!(NOW + 10))),
            Ok(()),
        ),
        (
            "issued in the future",
            hs(SECRET, &with("iat", json!(NOW + 100))),
            unauthorized,
        ),
        ("string nbf", hs(SECRET, &with("nbf", json!("0"))), unauthorized),
        ("numeric name", hs(SECRET, &with("name", json!(7))), unauthorized),
        (
            "rooms not a list",
            hs(SECRET, &with("rooms", json!("room-*"))),
            unauthorized,
        ),
        (
            "rooms with a number",
            hs(SECRET, &with("rooms", json!([1]))),
            unauthorized,
        ),
        (
            "too many rooms",
            hs(SECRET, &with("rooms", json!(vec!["a"; 257]))),
            unauthorized,
        ),
        (
            "an audience nobody asked for",
            hs(SECRET, &with("aud", json!("elsewhere"))),
            Ok(()),
        ),
        ("claims not an object", hs(SECRET, &json!([1])), unauthorized),
        (
            "HS384 with the right secret",
            {
                let header = Header::new(Algorithm::HS384);
                encode(&header, &good(), &EncodingKey::from_secret(SECRET)).unwrap()
            },
            unauthorized,
        ),
    ];
    for (what, token, expected) in table {
        assert_eq!(check(&keys, &token), expected, "{what}");
    }
}

/// A token with these bytes as claims, signed as it should be.
fn signed(claims: &str) -> String {
    let header = base64url(br#"{"alg":"HS256"}"#);
    let message = format!("{header}.{}", base64url(claims.as_bytes()));
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_signed_token_with_unreadable_claims_is_not_taken_for_a_forged_one() {
    let keys = KeyTable::hs256(SECRET).unwrap();
    let reason = |token: &str| keys.verify(token, NOW * 1000, TIMES).unwrap_err().to_string();
    for claims in [
        r#"{"sub":"alice","sub":"root","exp":1800000060}"#,
        r#"{"sub":["alice"],"exp":1e400}"#,
        r#"{"sub":"\ud800","exp":1800000060}"#,
        r#"["alice"]"#,
        "",
    ] {
        let told = reason(&signed(claims));
        assert!(told.contains("claims must be a JSON object"), "{claims}: {told}");
    }
    let forged = hs(OTHER, &json!(["alice"]));
    assert!(reason(&forged).contains("no key of this server has signed"));
}

#[test]
fn each_algorithm_verifies_only_its_own_signatures() {
    let signers = [
        (Algorithm::HS256, EncodingKey::from_secret(SECRET)),
        (Algorithm::RS256, EncodingKey::from_rsa_pem(RSA).unwrap()),
        (Algorithm::ES256, EncodingKey::from_ec_pem(EC).unwrap()),
        (Algorithm::EdDSA, EncodingKey::from_ed_pem(ED).unwrap()),
    ];
    let tables = [
        KeyTable::hs256(SECRET).unwrap(),
        [VerifyKey::public_pem(None, TokenAlgorithm::Rs256, RSA_PUB).unwrap()]
            .into_iter()
            .collect(),
        [VerifyKey::public_pem(None, TokenAlgorithm::Es256, EC_PUB).unwrap()]
            .into_iter()
            .collect(),
        [VerifyKey::public_pem(None, TokenAlgorithm::EdDsa, ED_PUB).unwrap()]
            .into_iter()
            .collect(),
    ];
    for (signer, (algorithm, key)) in signers.iter().enumerate() {
        let token = encode(&Header::new(*algorithm), &good(), key).unwrap();
        for (table, keys) in tables.iter().enumerate() {
            assert_eq!(
                check(keys, &token).is_ok(),
                signer == table,
                "{algorithm:?} on table {table}"
            );
        }
    }
}

#[test]
fn a_public_key_never_serves_as_hmac_secret() {
    let keys: KeyTable = [VerifyKey::public_pem(None, TokenAlgorithm::Rs256, RSA_PUB).unwrap()]
        .into_iter()
        .collect();
    assert_eq!(check(&keys, &hs(RSA_PUB, &good())), Err(ErrorCode::Unauthorized));
}

#[test]
fn a_kid_selects_exactly_its_key() {
    let key = |kid: Option<&str>, secret| VerifyKey::secret(kid.map(str::to_owned), secret).unwrap();
    let keys: KeyTable = [key(Some("old"), OTHER), key(Some("new"), SECRET)]
        .into_iter()
        .collect();
    let token = |kid: Option<&str>| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = kid.map(str::to_owned);
        encode(&header, &good(), &EncodingKey::from_secret(SECRET)).unwrap()
    };
    assert_eq!(check(&keys, &token(Some("new"))), Ok(()));
    assert_eq!(
        check(&keys, &token(Some("old"))),
        Err(ErrorCode::Unauthorized),
        "signed by another key"
    );
    assert_eq!(
        check(&keys, &token(Some("gone"))),
        Err(ErrorCode::Unauthorized),
        "an unknown kid"
    );
    assert_eq!(
        check(&keys, &token(None)),
        Err(ErrorCode::Unauthorized),
        "a key with a kid verifies only tokens with that kid"
    );
    let unnamed: KeyTable = [key(None, SECRET)].into_iter().collect();
    assert_eq!(
        check(&unnamed, &token(Some("whatever"))),
        Ok(()),
        "a key without a kid verifies every token"
    );
    assert_eq!(
        check(&KeyTable::default(), &token(None)),
        Err(ErrorCode::Unauthorized),
        "an empty table"
    );
}

#[test]
fn valid_claims_are_parsed() {
    let keys = KeyTable::hs256(SECRET).unwrap();
    let claims =
        json!({"sub": "alice", "exp": NOW + 60, "name": " Al\u{0}ice ", "rooms": ["room-*"], "extra": {}});
    let claims = keys.verify(&hs(SECRET, &claims), NOW * 1000, TIMES).unwrap();
    assert_eq!((&*claims.user, claims.name.as_deref()), ("alice", Some("Alice")));
    assert_eq!(claims.expires_at, (NOW + 60) * 1000);
    assert!(claims.allows("room-1") && !claims.allows("lobby"));
    let everywhere = keys.verify(&hs(SECRET, &good()), NOW * 1000, TIMES).unwrap();
    assert!(everywhere.allows("lobby"));
    let nowhere = keys
        .verify(&hs(SECRET, &with("rooms", json!([]))), NOW * 1000, TIMES)
        .unwrap();
    assert!(!nowhere.allows("lobby"));
}

#[test]
fn an_unusable_key_is_reported_by_its_kid() {
    let short = VerifyKey::secret(Some("k1".into()), b"short").unwrap_err();
    assert_eq!(
        short.to_string(),
        "the key k1 for HS256 is unusable: the secret has 5 bytes; it needs at least 32"
    );
    for (algorithm, pem) in [
        (TokenAlgorithm::Hs256, RSA_PUB),
        (TokenAlgorithm::Rs256, EC_PUB),
        (TokenAlgorithm::Es256, RSA_PUB),
        (TokenAlgorithm::EdDsa, b"nonsense".as_slice()),
    ] {
        let error = VerifyKey::public_pem(None, algorithm, pem).unwrap_err();
        assert!(
            matches!(error, ChatError::BadKey { .. }),
            "{algorithm:?}: {error}"
        );
    }
}
