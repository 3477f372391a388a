//! Documents of issuers: a JWK Set gives at most as many keys as allowed, a discovery document only of the
//! right issuer is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomful_chat::{KeySet, KeySetError};

#[path = "../../crates/server/src/issuers/discovery.rs"]
mod discovery;

const MAX_KEYS: usize = 4;
const ISSUER: &str = "https://login.example/";

fuzz_target!(|document: &[u8]| {
    match KeySet::parse(document, MAX_KEYS) {
        Ok(keys) => assert!((1..=MAX_KEYS).contains(&keys.len())),
        Err(KeySetError::TooManyKeys { found, allowed }) => assert!(found > allowed && allowed == MAX_KEYS),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match discovery::jwks_uri(document, ISSUER) {
        Ok(_) => {
            // Another reader sees the same issuer, if it can decode the fields that do not count here.
            if let Ok(fields) = serde_json::from_slice::<serde_json::Value>(document) {
                assert_eq!(fields["issuer"], ISSUER);
            }
        }
        Err(error) => assert!(error.len() < 10_000, "{error}"),
    }
});
