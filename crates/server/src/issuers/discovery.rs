//! The discovery document of an issuer (OIDC Discovery 1.0, section 3).

use serde::Deserialize;

/// The most characters of a foreign issuer's name in an error.
const NAME_CHARS: usize = 200;

/// The fields that the server reads.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// The `jwks_uri` of the document of `issuer`, not yet checked.
///
/// # Errors
/// The fault, as the end of a sentence that begins with the document.
pub(super) fn jwks_uri(document: &[u8], issuer: &str) -> Result<String, String> {
    // serde alone would also accept a list of the fields.
    if !document.trim_ascii_start().starts_with(b"{") {
        return Err("is not one: it must be an object".to_owned());
    }
    let found: Document = serde_json::from_slice(document).map_err(|error| format!("is not one: {error}"))?;
    if found.issuer != issuer {
        return Err(format!(
            "is of the issuer {:?}; set auth.issuers.issuer to exactly its name, or check the URL",
            found.issuer.chars().take(NAME_CHARS).collect::<String>()
        ));
    }
    Ok(found.jwks_uri)
}
