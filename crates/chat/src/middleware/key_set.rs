//! The public keys that an issuer publishes (a JWK Set, RFC 7517), and the algorithms that each may verify.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Length of an RSA modulus in base64url: 2048 to 8192 bits (RFC 7518, section 3.3, demands 2048).
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 342..=1366;
/// The most characters of an RSA exponent in base64url.
const RSA_EXPONENT_MAX: usize = 12;
/// The longest `kid`, in bytes. Longer ones do not fit into a token's header in practice.
const KID_MAX: usize = 512;

/// The usable keys of one issuer.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Box<[IssuerKey]>,
}

/// One public key and the algorithms that it may verify.
#[derive(Debug, Clone)]
struct IssuerKey {
    kid: Option<Box<str>>,
    algorithms: Box<[Algorithm]>,
    key: DecodingKey,
}

/// Why a document gives no key set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// The document is not a JWK Set.
    #[error("the document is not a JWK Set: {0}")]
    Malformed(String),
    /// The document has more keys than allowed.
    #[error("the document has {found} keys, and the limit is {allowed}")]
    TooManyKeys {
        /// The number of keys, usable or not.
        found: usize,
        /// The limit.
        allowed: usize,
    },
    /// No key is a public key for signatures of a supported algorithm.
    #[error("none of the {0} keys is a public RSA, EC or Ed25519 key for signatures")]
    NoUsableKey(usize),
}

/// The outer document. Each key stays a value: a malformed key must not spoil the others.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK Set. Skips keys that verify no signatures here: symmetric keys, keys for encryption, and
    /// unsupported or malformed ones (RFC 7517, section 5).
    ///
    /// # Errors
    /// [`KeySetError`] if the document is no JWK Set, has more than `max_keys` keys, or no usable one.
    pub fn parse(json: &[u8], max_keys: usize) -> Result<Self, KeySetError> {
        let document: Document =
            serde_json::from_slice(json).map_err(|error| KeySetError::Malformed(error.to_string()))?;
        let found = document.keys.len();
        if found > max_keys {
            return Err(KeySetError::TooManyKeys {
                found,
                allowed: max_keys,
            });
        }
        let keys: Box<[_]> = document.keys.into_iter().filter_map(IssuerKey::read).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey(found));
        }
        Ok(Self { keys })
    }

    /// The number of usable keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if there is no usable key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// True if a key may have signed a token with this `kid`. Any key may have signed a token without one.
    pub(crate) fn has(&self, kid: Option<&str>) -> bool {
        self.with_kid(kid).next().is_some()
    }

    /// The keys for a token with this `kid` and `algorithm`.
    pub(crate) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &DecodingKey> {
        self.with_kid(kid)
            .filter(move |key| key.algorithms.contains(&algorithm))
            .map(|key| &key.key)
    }

    fn with_kid(&self, kid: Option<&str>) -> impl Iterator<Item = &IssuerKey> {
        self.keys
            .iter()
            .filter(move |key| kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid)
    }
}

impl IssuerKey {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let verifies = match (&common.public_key_use, &common.key_operations) {
            (Some(use_), _) => *use_ == PublicKeyUse::Signature,
            (None, Some(operations)) => operations.contains(&KeyOperations::Verify),
            (None, None) => true,
        };
        let kid = common.key_id.as_deref();
        if !verifies || kid.is_some_and(|kid| kid.len() > KID_MAX) {
            return None;
        }
        let mut algorithms = algorithms_of(&jwk.algorithm)?.to_vec();
        if let Some(only) = common.key_algorithm {
            algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == only);
        }
        if algorithms.is_empty() {
            return None;
        }
        Some(Self {
            kid: kid.map(Box::from),
            algorithms: algorithms.into(),
            key: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }
}

/// The algorithms that the type of a key allows. `None` for symmetric keys, which an issuer never publishes
/// on purpose, and for unsupported types and sizes.
fn algorithms_of(key: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    match key {
        AlgorithmParameters::RSA(rsa)
            if RSA_MODULUS.contains(&rsa.n.len()) && rsa.e.len() <= RSA_EXPONENT_MAX =>
        {
            Some(&[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ])
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Some(&[Algorithm::ES256]),
            EllipticCurve::P384 => Some(&[Algorithm::ES384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Some(&[Algorithm::EdDSA])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rsa() -> Value {
        json!({ "kty": "RSA", "n": "w".repeat(342), "e": "AQAB" })
    }

    fn with(mut key: Value, field: &str, value: impl Into<Value>) -> Value {
        key[field] = value.into();
        key
    }

    fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), 8)
    }

    fn allows(key: Value, algorithm: Algorithm) -> bool {
        parse(&[key]).is_ok_and(|set| set.candidates(None, algorithm).next().is_some())
    }

    #[test]
    fn the_type_of_a_key_decides_its_algorithms() {
        let ec = |curve: &str| json!({ "kty": "EC", "crv": curve, "x": "AA", "y": "AA" });
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA" });
        let table = [
            (rsa(), Algorithm::RS256, true),
            (rsa(), Algorithm::PS512, true),
            (rsa(), Algorithm::HS256, false),
            (rsa(), Algorithm::ES256, false),
            (with(rsa(), "alg", "RS256"), Algorithm::RS256, true),
            (with(rsa(), "alg", "RS256"), Algorithm::RS512, false),
            (with(rsa(), "alg", "RS256"), Algorithm::PS256, false),
            (with(rsa(), "alg", "HS256"), Algorithm::HS256, false),
            (with(rsa(), "alg", "RSA-OAEP"), Algorithm::RS256, false),
            (with(rsa(), "use", "sig"), Algorithm::RS256, true),
            (with(rsa(), "use", "enc"), Algorithm::RS256, false),
            (with(rsa(), "key_ops", json!(["verify"])), Algorithm::RS256, true),
            (
                with(rsa(), "key_ops", json!(["encrypt"])),
                Algorithm::RS256,
                false,
            ),
            (with(rsa(), "n", "w".repeat(171)), Algorithm::RS256, false),
            (with(rsa(), "n", "w".repeat(2_732)), Algorithm::RS256, false),
            (ec("P-256"), Algorithm::ES256, true),
            (ec("P-256"), Algorithm::ES384, false),
            (ec("P-384"), Algorithm::ES384, true),
            (ec("P-521"), Algorithm::ES384, false),
            (ed.clone(), Algorithm::EdDSA, true),
            (ed, Algorithm::ES256, false),
            (json!({ "kty": "oct", "k": "AAAA" }), Algorithm::HS256, false),
        ];
        for (key, algorithm, expected) in table {
            assert_eq!(allows(key.clone(), algorithm), expected, "{algorithm:?} {key}");
        }
    }

    #[test]
    fn unusable_keys_do_not_spoil_the_others() {
        let odd = [
            json!(7),
            json!({}),
            json!({ "kty": "XYZ" }),
            json!({ "kty": "RSA" }),
        ];
        let keys: Vec<_> = odd.into_iter().chain([with(rsa(), "kid", "good")]).collect();
        let set = parse(&keys).unwrap();
        assert_eq!(
            (set.len(), set.has(Some("good")), set.has(Some("bad"))),
            (1, true, false)
        );
    }

    #[test]
    fn documents_without_usable_keys_are_refused() {
        assert_eq!(parse(&[]).unwrap_err(), KeySetError::NoUsableKey(0));
        assert_eq!(parse(&[json!({})]).unwrap_err(), KeySetError::NoUsableKey(1));
        let (found, allowed) = (9, 8);
        assert_eq!(
            parse(&vec![rsa(); found]).unwrap_err(),
            KeySetError::TooManyKeys { found, allowed }
        );
        for text in ["", "[]", "{}", "{\"keys\": 1}", "<html>"] {
            let error = KeySet::parse(text.as_bytes(), 8).unwrap_err();
            assert!(matches!(error, KeySetError::Malformed(_)), "{text}: {error}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            Just("RSA"),
            Just("EC"),
            Just("OKP"),
            Just("oct"),
            Just("P-256"),
            Just("Ed25519"),
            Just("RS256"),
            Just("sig"),
            Just("AQAB"),
            Just("!"),
            Just("")
        ];
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
            "[A-Za-z0-9_-]{340,344}".prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = KeySet::parse(&bytes, 8);
        }

        #[test]
        fn no_key_makes_it_panic(fields in proptest::collection::vec(
            ("kty|crv|n|e|x|y|k|kid|alg|use|key_ops", any_json()), 0..8
        )) {
            let key: serde_json::Map<_, _> = fields.into_iter().collect();
            let symmetric = parse(&[Value::Object(key)])
                .is_ok_and(|set| set.candidates(None, Algorithm::HS256).next().is_some());
            prop_assert!(!symmetric);
        }
    }
}
