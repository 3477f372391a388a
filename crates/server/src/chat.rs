//! From settings to what `roomful-chat` takes.

use roomful_chat::middleware::auth::{KeyTable, TokenAlgorithm, VerifyKey};

use crate::{
    config::{Algorithm, ConfigError, Origin},
    secret::{Keys, LoadedKey},
};

/// The keys that tokens are checked with: the secret first, then those of `auth.keys`.
pub(crate) fn keys(keys: &Keys) -> Result<KeyTable, ConfigError> {
    let secret = keys.secret().map(|secret| {
        VerifyKey::secret(None, secret.as_bytes())
            .map_err(|error| ConfigError::key(Origin::Default, "auth.secret", error))
    });
    let table = keys
        .table()
        .iter()
        .map(|key| verify_key(key).map_err(|error| ConfigError::key(key.origin.clone(), "auth.keys", error)));
    secret.into_iter().chain(table).collect()
}

fn verify_key(key: &LoadedKey) -> Result<VerifyKey, roomful_chat::ChatError> {
    let algorithm = match key.algorithm {
        Algorithm::HS256 => return VerifyKey::secret(key.kid.clone(), key.material.as_bytes()),
        Algorithm::RS256 => TokenAlgorithm::Rs256,
        Algorithm::ES256 => TokenAlgorithm::Es256,
        Algorithm::EdDSA => TokenAlgorithm::EdDsa,
    };
    VerifyKey::public_pem(key.kid.clone(), algorithm, key.material.as_bytes())
}
