//! The API key: clients send it in the `Authorization` header, the server compares it in constant time and
//! never logs it.

use http::{HeaderMap, Uri, header};
use subtle::ConstantTimeEq as _;

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

/// The configured key. Without one, the API refuses every call.
pub(crate) struct ApiKey(Option<Box<[u8]>>);

impl ApiKey {
    pub(crate) fn new(key: Option<&str>) -> Self {
        Self(key.map(|key| key.as_bytes().into()))
    }

    /// Accepts a request with the right key in the header and no key in the URL.
    pub(super) fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
        let Some(key) = &self.0 else {
            return Err(Problem::Unauthorized(
                "The API is closed: no key is configured. Set api.key or ROOMFUL_API_KEY.",
            ));
        };
        let query = uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let named = KEY_PARAMETERS
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
            if named || same(key, value.as_bytes()) {
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
            Some(shown) if same(key, shown) => Ok(()),
            Some(_) => Err(Problem::Unauthorized("The API key is wrong.")),
            None => Err(Problem::Unauthorized(
                "The header Authorization must be: Bearer <key>.",
            )),
        }
    }
}

/// Compares in constant time, so that the duration reveals at most the key's length.
fn same(key: &[u8], shown: &[u8]) -> bool {
    key.ct_eq(shown).into()
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

    fn check(header: Option<&str>, uri: &str) -> Result<(), Problem> {
        let headers = header
            .map(|value| (header::AUTHORIZATION, value.parse().unwrap()))
            .into_iter()
            .collect();
        ApiKey::new(Some(KEY)).check(&headers, &uri.parse().unwrap())
    }

    #[test]
    fn only_the_right_key_in_the_header_passes() {
        for good in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef "] {
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
    fn a_key_in_the_url_is_refused_even_beside_a_good_header() {
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
        let closed = ApiKey::new(None);
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, "Bearer ".parse().unwrap())]);
        let refused = closed.check(&headers, &"/stats".parse().unwrap());
        assert!(matches!(refused, Err(Problem::Unauthorized(why)) if why.contains("api.key")));
    }
}
