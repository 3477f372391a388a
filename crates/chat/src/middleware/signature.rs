//! The check of a token's signature.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, errors::ErrorKind};
use serde_json::{Map, Value};

use crate::error::ChatError;

/// The claims of a token that one of the keys has signed with `algorithm`; `None` if none of them has.
///
/// # Errors
/// [`ChatError::Unauthorized`] if one has, but the claims cannot be read.
pub(super) fn verify_with<'a>(
    algorithm: Algorithm,
    keys: impl IntoIterator<Item = &'a DecodingKey>,
    token: &str,
) -> Result<Option<Map<String, Value>>, ChatError> {
    // The library checks the signature only: times use our clock, and `read_claims` checks types.
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    for key in keys {
        match decode::<Map<String, Value>>(token, key, &validation) {
            Ok(data) => return Ok(Some(data.claims)),
            // The library reads the claims after it has verified the signature.
            Err(error) if matches!(error.kind(), ErrorKind::Json(_)) => {
                return Err(ChatError::Unauthorized(
                    "the token's claims must be a JSON object that has sub, iss, exp, iat and nbf at most \
                     once, each of its type (RFC 7519, 4.1)",
                ));
            }
            Err(_) => {}
        }
    }
    Ok(None)
}
