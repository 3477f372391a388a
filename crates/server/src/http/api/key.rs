//! The API keys: clients send one in the `Authorization` header, the server compares it in constant time
//! and never logs it.

use std::sync::Arc;

use http::{HeaderMap, Uri, header};
use parking_lot::RwLock;
use subtle::{Choice, ConstantTimeEq as _};

use super::Problem;

/// Query parameters in which people often send keys by mistake.
const KEY_PARAMETERS: [&str; 6] = [
    "key",
    "api_key",
    "apikey",
    "access_token",
    "token",
    "authorization",
];

/// The keys that the API accepts: one, or two during a rotation. Without a key the API is closed. Clones
/// share their keys.
#[derive(Clone, Default)]
pub(crate) struct ApiKeys(Arc<RwLock<Vec<Box<[u8]>>>>);

impl ApiKeys {
    /// Accepts these keys from now on, in this value and all its clones.
    pub(crate) fn replace<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        *self.0.write() = keys.into_iter().map(|key| key.as_bytes().into()).collect();
    }

    /// True if `shown` is one of the keys. Compares in constant time, so that the duration reveals at most
    /// the lengths of the keys.
    fn accept(&self, shown: &[u8]) -> bool {
        let keys = self.0.read();
        keys.iter()
            .fold(Choice::from(0), |found, key| found | key.ct_eq(shown))
            .into()
    }

    /// Accepts a request with the right key in the header and no key in the URL.
    pub(super) fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
        if self.0.read().is_empty() {
            return Err(Problem::Unauthorized(
                "The API is closed: no key is configured. Set api.key or ROOMFUL_API_KEY.",
            ));
        }
        let query = uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let named = KEY_PARAMETERS
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
            if named || self.accept(value.as_bytes()) {
                return Err(Problem::Unauthorized(
                    "Do not send the key in the URL: proxies log URLs. Replace this key, and send the new \
                    one in the header Authorization: Bearer <key>.",
                ));
            }
        }
        let Some(shown) = headers.get(header::AUTHORIZATION) else {
            return Err(Problem::Unauthorized(
                "Send the key in the header Authorization: Bearer <key>.",
            ));
        };
        match bearer(shown.as_bytes()) {
            Some(shown) if self.accept(shown) => Ok(()),
            Some(_) => Err(Problem::Unauthorized("The API key is wrong.")),
            None => Err(Problem::Unauthorized(
                "The header Authorization must be: Bearer <key>.",
            )),
        }
    }
}

/// The credentials after the scheme `Bearer`, which is case-insensitive (RFC 9110, section 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";
    const SECOND: &str = "another-key-for-a-rotation";

    fn check(header: Option<&str>, uri: &str) -> Result<(), Problem> {
        let headers = header
            .map(|value| (header::AUTHORIZATION, value.parse().unwrap()))
            .into_iter()
            .collect();
        let keys = ApiKeys::default();
        keys.replace([KEY, SECOND]);
        keys.check(&headers, &uri.parse().unwrap())
    }

    #[test]
    fn only_the_right_keys_in_the_header_pass() {
        for good in [
            "Bearer 0123456789abcdef",
            "bearer  0123456789abcdef ",
            "Bearer another-key-for-a-rotation",
        ] {
            assert_eq!(check(Some(good), "/stats?limit=1"), Ok(()), "{good}");
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
