//! Fetches the keys of one issuer: from its JWK Set, which discovery finds if no URL is set.

use std::{io, time::Duration};

use roomful_chat::KeySet;
use tokio::time::timeout;

use super::{
    client::{Client, FetchError},
    discovery::jwks_uri,
};
use crate::config::{Auth, Issuer, KeyLocation};

/// Fetches the keys of one issuer.
#[derive(Clone)]
pub(super) struct Fetcher {
    issuer: Issuer,
    client: Client,
    max_keys: usize,
    deadline: Duration,
}

impl Fetcher {
    /// # Errors
    /// If the system's CA certificates cannot be loaded.
    pub(super) fn new(auth: &Auth, issuer: &Issuer) -> io::Result<Self> {
        Ok(Self {
            issuer: issuer.clone(),
            client: Client::new(issuer.allow_private, auth.issuer_max_size.0)?,
            max_keys: auth.issuer_max_keys,
            deadline: auth.issuer_timeout.0,
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer.issuer
    }

    /// The issuer's present keys, within `auth.issuer_timeout`.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let fetched = timeout(self.deadline, self.fetch_all()).await;
        fetched.unwrap_or(Err(FetchError::Timeout(self.deadline)))
    }

    async fn fetch_all(&self) -> Result<KeySet, FetchError> {
        let url = match self.issuer.key_location() {
            Some(KeyLocation::Jwks(url)) => url,
            Some(KeyLocation::Discovery(url)) => {
                let document = self.client.get(&url).await?;
                self.jwks_url(&document)?
            }
            None => return Err(FetchError::Invalid("the setting has no valid URL".to_owned())),
        };
        let document = self.client.get(&url).await?;
        KeySet::parse(&document, self.max_keys).map_err(|error| FetchError::Invalid(error.to_string()))
    }

    /// The URL of the JWK Set that a discovery document names.
    fn jwks_url(&self, document: &[u8]) -> Result<http::Uri, FetchError> {
        let invalid = |what: String| FetchError::Invalid(format!("the discovery document {what}"));
        let uri = jwks_uri(document, &self.issuer.issuer).map_err(invalid)?;
        let url = self.issuer.url(&uri);
        url.ok_or_else(|| invalid("names a jwks_uri that is not https:".to_owned()))
    }
}
