//! The API keys: clients send one in the `Authorization` header, the server compares it in constant time
//! and never logs it.

use std::sync::Arc;

use axum::extract::Request;
use http::{HeaderMap, Uri};
use parking_lot::RwLock;

use super::{
    super::{
        AddressLimit,
        bearer::{self, Credential, equal},
        client_address::client_address,
    },
    Problem,
};
use crate::scope::Caller;

/// Query parameters in which people often send keys by mistake.
const KEY_PARAMETERS: [&str; 6] = [
    "key",
    "api_key",
    "apikey",
    "access_token",
    "token",
    "authorization",
];

type KeyOf = (Box<[u8]>, Caller);

/// The keys that the API accepts, each with its scopes. Without a key the API refuses every call. Clones
/// share their keys.
#[derive(Clone, Default)]
pub(crate) struct ApiKeys {
    keys: Arc<RwLock<Vec<KeyOf>>>,
    /// Limits the calls with a wrong key per address.
    failures: Option<Arc<AddressLimit>>,
}

impl ApiKeys {
    /// No key yet. `failures` limits the calls with a wrong key per address.
    pub(crate) fn new(failures: Option<AddressLimit>) -> Self {
        Self {
            keys: Arc::default(),
            failures: failures.map(Arc::new),
        }
    }

    /// Accepts these keys from now on, in this value and all its clones.
    pub(crate) fn replace<'a>(&self, keys: impl IntoIterator<Item = (&'a str, Caller)>) {
        let keys = keys.into_iter();
        *self.keys.write() = keys
            .map(|(key, caller)| (key.as_bytes().into(), caller))
            .collect();
    }

    /// Accepts a request with the right key. After too many wrong ones from its address the answer is 429.
    /// The right key works even then, or a stranger behind the same proxy could lock out the backend.
    pub(super) fn admit(&self, request: &Request) -> Result<Caller, Problem> {
        let refused = self.check(request.headers(), request.uri());
        if let (Err(_), Some(failures)) = (&refused, &self.failures) {
            failures
                .take(client_address(request.extensions()))
                .map_err(Problem::TooMany)?;
        }
        refused
    }

    /// Accepts a request with the right key in the header and no key in the URL.
    fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<Caller, Problem> {
        let keys = self.keys.read();
        let Some((first, _)) = keys.first() else {
            return Err(Problem::Unauthorized(
                "The API is closed: no key is configured. Set api.key or ROOMFUL_API_KEY.",
            ));
        };
        let query = uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let named = KEY_PARAMETERS
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
            if named || keys.iter().any(|(key, _)| equal(key, value.as_bytes())) {
                return Err(Problem::Unauthorized(
                    "Do not send the key in the URL: proxies log URLs. Replace this key, and send the new \
                    one in the header Authorization: Bearer <key>.",
                ));
            }
        }
        let mut found = None;
        // Compare with all keys, so that the duration does not reveal which one comes close.
        for (key, caller) in keys.iter() {
            if matches!(bearer::credential(headers, key), Credential::Right) {
                found = Some(caller.clone());
            }
        }
        if let Some(caller) = found {
            return Ok(caller);
        }
        let what = match bearer::credential(headers, first) {
            Credential::Right | Credential::Wrong => "The API key is wrong.",
            Credential::Missing => "Send the key in the header Authorization: Bearer <key>.",
            Credential::Malformed => "The header Authorization must be: Bearer <key>.",
        };
        Err(Problem::Unauthorized(what))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::header;

    use super::*;

    const KEY: &str = "0123456789abcdef";
    const SECOND: &str = "another-key-for-a-rotation";

    fn keys(failures: Option<AddressLimit>) -> ApiKeys {
        let keys = ApiKeys::new(failures);
        keys.replace([KEY, SECOND].map(|key| (key, Caller::new(key, []))));
        keys
    }

    fn check(header: Option<&str>, uri: &str) -> Result<Caller, Problem> {
        let headers = header
            .map(|value| (header::AUTHORIZATION, value.parse().unwrap()))
            .into_iter()
            .collect();
        keys(None).check(&headers, &uri.parse().unwrap())
    }

    #[test]
    fn wrong_keys_are_limited_and_the_right_one_still_passes() {
        let key = keys(Some(AddressLimit::per_minute(3, 1_000)));
        let admit = |given: &str| {
            let request = Request::get("/stats").header(header::AUTHORIZATION, format!("Bearer {given}"));
            key.admit(&request.body(Body::empty()).unwrap())
        };
        for _ in 0..3 {
            assert!(matches!(admit("wrong"), Err(Problem::Unauthorized(_))));
        }
        for _ in 0..3 {
            assert!(matches!(admit("wrong"), Err(Problem::TooMany(_))));
        }
        assert_eq!(admit(KEY), Ok(Caller::new(KEY, [])));
    }

    #[test]
    fn only_the_right_keys_in_the_header_pass() {
        for good in [
            "Bearer 0123456789abcdef",
            "bearer  0123456789abcdef ",
            "Bearer another-key-for-a-rotation",
        ] {
            let key = if good.contains(KEY) { KEY } else { SECOND };
            assert_eq!(
                check(Some(good), "/stats?limit=1"),
                Ok(Caller::new(key, [])),
                "{good}"
            );
        }
        for bad in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer 0123456789abcde"),
            Some("Bearer 0123456789abcdef0"),
            Some("Bearer 0123456789abcdeF"),
            Some("Basic 0123456789abcdef"),
            Some("0123456789abcdef"),
        ] {
            assert!(
                matches!(check(bad, "/stats"), Err(Problem::Unauthorized(_))),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_key_in_the_url_is_refused_even_with_a_valid_header() {
        for query in [
            "api_key=x",
            "KEY=x",
            "access_token=",
            "x=0123456789abcdef",
            "x=%30123456789abcdef",
        ] {
            for header in [None, Some("Bearer 0123456789abcdef")] {
                let refused = check(header, &format!("/stats?{query}"));
                assert!(
                    matches!(refused, Err(Problem::Unauthorized(why)) if why.contains("URL")),
                    "{query}"
                );
            }
        }
    }

    #[test]
    fn without_a_configured_key_every_call_is_refused() {
        let closed = ApiKeys::default();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, "Bearer ".parse().unwrap())]);
        let refused = closed.check(&headers, &"/stats".parse().unwrap());
        assert!(matches!(refused, Err(Problem::Unauthorized(why)) if why.contains("api.key")));
    }
}
