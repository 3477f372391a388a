//! Tokens: any text as a token for a server with a secret and an issuer, and signed claims of any shape.
//! Accepted claims follow the rules for users, names, pictures and times.
#![no_main]

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use libfuzzer_sys::fuzz_target;
use roomful_chat::{
    ClaimNames, Issuer, IssuerKeys, KeySet, KeyTable, KeysUnavailable, middleware::auth::TokenTimes,
    types::{Claims, names::check_acting_user_id},
};

const SECRET: &[u8] = &[7; 32];
const NOW: i64 = 1_800_000_000_000;
const TIMES: TokenTimes = TokenTimes {
    clock_skew_ms: 5_000,
    max_lifetime_ms: 366 * 24 * 3_600_000,
};
/// The public key of RFC 8037, appendix A.2.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[derive(Debug)]
struct Published(Arc<KeySet>);

#[async_trait]
impl IssuerKeys for Published {
    fn cached(&self) -> Arc<KeySet> {
        Arc::clone(&self.0)
    }

    async fn refresh(&self) -> Result<(), KeysUnavailable> {
        Err(KeysUnavailable)
    }
}

static TABLE: LazyLock<KeyTable> = LazyLock::new(|| {
    let keys = KeySet::parse(KEYS.as_bytes(), 1).expect("a key set");
    let keys = Arc::new(Published(Arc::new(keys)));
    let issuer = Issuer::new("https://login.example/", ["chat"], ClaimNames::default(), keys);
    let table = KeyTable::hs256(SECRET).expect("a secret");
    table.with_issuers([issuer])
});
static SIGNING: LazyLock<EncodingKey> = LazyLock::new(|| EncodingKey::from_secret(SECRET));

fn check(claims: &Claims) {
    assert_eq!(check_acting_user_id(&claims.user), Ok(()));
    assert!(claims.expires_at > NOW && claims.expires_at - NOW <= TIMES.max_lifetime_ms);
    assert!(claims.issued_at.is_none_or(|at| at <= NOW + TIMES.clock_skew_ms));
    if let Some(name) = &claims.name {
        assert!(name.chars().count() <= 128 && !name.contains(char::is_control) && !name.trim().is_empty());
    }
    if let Some(avatar) = &claims.avatar {
        assert!(avatar.chars().count() <= 2_048 && !avatar.contains(char::is_whitespace));
        assert!(!avatar.to_ascii_lowercase().starts_with("javascript:"));
    }
    assert!(claims.rooms.as_ref().is_none_or(|rooms| rooms.len() <= 256));
    for room in ["lobby", "", "dm:a:b", "***"] {
        assert!(claims.rooms.is_some() || claims.allows(room));
    }
}

/// The token with this header and these claims, signed with the server's secret.
fn signed(header: &str, claims: &[u8]) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims));
    let signature = crypto::sign(message.as_bytes(), &SIGNING, Algorithm::HS256).expect("a signature");
    format!("{message}.{signature}")
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        assert!(TABLE.verify(text, NOW, TIMES).is_err(), "accepted a token without a valid signature");
        let _ = TABLE.verify(&signed(text, b"{}"), NOW, TIMES);
    }
    if let Ok(claims) = TABLE.verify(&signed(r#"{"alg":"HS256"}"#, data), NOW, TIMES) {
        check(&claims);
    }
});
