//! Issuers of tokens: their names, audiences, claims and the places of their keys.

use http::Uri;
use serde::Deserialize;

use super::error::{Invalid, within};

/// Maximum number of issuers.
const MAX_ISSUERS: usize = 16;
/// Maximum length of a name, an audience or a URL in bytes.
const MAX_TEXT: usize = 2_048;

/// One entry of `auth.issuers`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the name of the setting")]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    #[serde(default)]
    audience: Audience,
    jwks_url: Option<String>,
    #[serde(default)]
    pub(crate) allow_private: bool,
    #[serde(default)]
    pub(crate) claims: IssuerClaims,
}

/// The accepted values of `aud`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "must be a string or a list of strings")]
enum Audience {
    One(String),
    Any(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Any(Vec::new())
    }
}

/// The names of the claims in an issuer's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IssuerClaims {
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) avatar: String,
    pub(crate) rooms: String,
    pub(crate) roles: String,
    pub(crate) presence: String,
}

impl Default for IssuerClaims {
    fn default() -> Self {
        Self {
            user: "sub".to_owned(),
            name: "name".to_owned(),
            avatar: "avatar".to_owned(),
            rooms: "rooms".to_owned(),
            roles: "roles".to_owned(),
            presence: "presence".to_owned(),
        }
    }
}

/// Where an issuer publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyLocation {
    /// In the JWK Set at this URL.
    Jwks(Uri),
    /// In the JWK Set that this discovery document names.
    Discovery(Uri),
}

impl Issuer {
    /// The accepted values of `aud`; empty accepts any.
    pub(crate) fn audience(&self) -> &[String] {
        match &self.audience {
            Audience::One(name) => std::slice::from_ref(name),
            Audience::Any(names) => names,
        }
    }

    /// The place of its keys; `None` if the setting is invalid.
    pub(crate) fn key_location(&self) -> Option<KeyLocation> {
        if let Some(url) = &self.jwks_url {
            return self.url(url).map(KeyLocation::Jwks);
        }
        // OpenID Connect Discovery 1.0, section 4.1.
        let base = self.url(&self.issuer)?;
        let base = base
            .query()
            .is_none()
            .then_some(self.issuer.trim_end_matches('/'))?;
        let url = format!("{base}/.well-known/openid-configuration");
        url.parse().ok().map(KeyLocation::Discovery)
    }

    /// A URL that the server may fetch: `https:`, or with `allow_private` also `http:`, with a host and
    /// without a user.
    pub(crate) fn url(&self, text: &str) -> Option<Uri> {
        let uri: Uri = text.parse().ok()?;
        let scheme = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => self.allow_private,
            _ => false,
        };
        let authority = uri.authority()?;
        let plain = !authority.host().is_empty() && !authority.as_str().contains('@') && !text.contains('#');
        (scheme && plain && text.len() <= MAX_TEXT).then_some(uri)
    }

    fn error(&self) -> Option<String> {
        let valid = |text: &str| (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
        if !valid(&self.issuer) {
            return Some(
                "issuer must be the iss of its tokens, such as \"https://login.example/\"".to_owned(),
            );
        }
        if !self.audience().iter().all(|name| valid(name)) {
            return Some("an audience must have 1 to 2048 bytes and no control characters".to_owned());
        }
        let claims = &self.claims;
        let names = [
            &claims.user,
            &claims.name,
            &claims.avatar,
            &claims.rooms,
            &claims.roles,
            &claims.presence,
        ];
        if !names.into_iter().all(|name| valid(name)) {
            return Some(
                "the name of a claim must have 1 to 2048 bytes and no control characters".to_owned(),
            );
        }
        self.key_location().is_none().then(|| {
            let what = if self.jwks_url.is_some() {
                "jwks_url must be an https: URL"
            } else {
                "issuer must be an https: URL, or jwks_url must be set"
            };
            format!("{what}; plain http: needs allow_private = true and a private address")
        })
    }
}

/// Validates all issuers.
pub(super) fn validate(issuers: &[Issuer]) -> Result<(), Invalid> {
    const KEY: &str = "auth.issuers";
    within(KEY, issuers.len(), 0..=MAX_ISSUERS)?;
    for (index, issuer) in issuers.iter().enumerate() {
        let twice = issuers
            .iter()
            .take(index)
            .any(|other| other.issuer == issuer.issuer);
        let error = issuer
            .error()
            .or_else(|| twice.then(|| format!("{:?} is listed twice", issuer.issuer)));
        if let Some(error) = error {
            let what = format!("entry {}: {error}", index + 1);
            return Err(Invalid { key: KEY, what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(toml: &str) -> Option<String> {
        let issuer: Issuer = toml::from_str(toml).unwrap();
        match issuer.key_location()? {
            KeyLocation::Jwks(url) | KeyLocation::Discovery(url) => Some(url.to_string()),
        }
    }

    #[test]
    fn keys_are_at_the_given_url_or_found_by_discovery() {
        let table = [
            (
                "issuer = \"https://a.example\"",
                Some("https://a.example/.well-known/openid-configuration"),
            ),
            (
                "issuer = \"https://a.example/\"",
                Some("https://a.example/.well-known/openid-configuration"),
            ),
            (
                "issuer = \"https://a.example/realms/x\"",
                Some("https://a.example/realms/x/.well-known/openid-configuration"),
            ),
            (
                "issuer = \"accounts\"\njwks_url = \"https://a.example/keys?v=1\"",
                Some("https://a.example/keys?v=1"),
            ),
            ("issuer = \"accounts\"", None),
            ("issuer = \"https://a.example?x\"", None),
            ("issuer = \"https://u:p@a.example\"", None),
            ("issuer = \"http://127.0.0.1:8080\"", None),
            (
                "issuer = \"http://127.0.0.1:8080\"\nallow_private = true",
                Some("http://127.0.0.1:8080/.well-known/openid-configuration"),
            ),
            (
                "issuer = \"x\"\njwks_url = \"file:///etc/passwd\"\nallow_private = true",
                None,
            ),
        ];
        for (toml, expected) in table {
            assert_eq!(location(toml).as_deref(), expected, "{toml}");
        }
    }

    #[test]
    fn an_audience_is_a_string_or_a_list() {
        let audience = |text: &str| {
            let toml = format!("issuer = \"https://a.example\"\naudience = {text}");
            toml::from_str::<Issuer>(&toml).map(|issuer| issuer.audience().to_vec())
        };
        assert_eq!(audience("\"chat\"").unwrap(), ["chat"]);
        assert_eq!(audience("[\"chat\", \"web\"]").unwrap(), ["chat", "web"]);
        let error = audience("1").unwrap_err().to_string();
        assert!(error.contains("must be a string or a list of strings"), "{error}");
    }
}
