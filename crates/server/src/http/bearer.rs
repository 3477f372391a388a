//! Credentials in the `Authorization` header, compared in constant time.

use http::{HeaderMap, header};
use subtle::ConstantTimeEq as _;

/// What a request has in its `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    Right,
    Wrong,
    /// The header is missing.
    Missing,
    /// The header has another scheme than `Bearer`.
    Malformed,
}

/// Compares the request's credential with `key`.
pub(super) fn credential(headers: &HeaderMap, key: &[u8]) -> Credential {
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        return Credential::Missing;
    };
    match bearer(header.as_bytes()) {
        Some(given) if equal(key, given) => Credential::Right,
        Some(_) => Credential::Wrong,
        None => Credential::Malformed,
    }
}

/// Compares in constant time, so that the duration reveals at most the key's length.
pub(super) fn equal(key: &[u8], given: &[u8]) -> bool {
    key.ct_eq(given).into()
}

/// The credentials after the scheme `Bearer`, which is case-insensitive (RFC 9110, section 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
}
