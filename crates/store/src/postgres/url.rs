//! Parsing of `postgres://` URLs: the TLS parameters, and the rest for the driver.

use std::path::PathBuf;

use tokio_postgres::{
    Config,
    config::{SslMode, TargetSessionAttrs},
};

use crate::StoreError;

/// Which servers are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Any certificate. The connection is encrypted, but the server may be another.
    AnyCertificate,
    /// A certificate for its name, signed by an authority of the system or of a file.
    Signed(Option<PathBuf>),
}

pub(super) struct Url {
    pub(super) config: Config,
    pub(super) trust: Trust,
}

pub(super) fn parse(url: &str) -> Result<Url, StoreError> {
    require_encoded_credentials(url)?;
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut mode = "prefer";
    let mut root = None;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = value,
            Some(("sslrootcert", value)) => root = Some(PathBuf::from(value)),
            _ => rest.push(pair),
        }
    }
    let parsed = format!("{base}?{}", rest.join("&")).parse::<Config>();
    // The driver's error may contain a part of the URL, and so of the password.
    let mut config = parsed.map_err(|_| {
        setup(
            "it is malformed; write postgres://user:password@host/database, and percent-encode special \
             characters",
        )
    })?;
    let (ssl, trust) = match mode {
        "disable" => (SslMode::Disable, Trust::AnyCertificate),
        "prefer" | "allow" => (SslMode::Prefer, Trust::AnyCertificate),
        "require" if root.is_none() => (SslMode::Require, Trust::AnyCertificate),
        "require" | "verify-ca" | "verify-full" => (SslMode::Require, Trust::Signed(root)),
        _ => {
            return Err(setup(
                "its sslmode is none of disable, prefer, require and verify-full",
            ));
        }
    };
    if config.get_dbname().is_none() {
        return Err(setup(
            "it names no database; write postgres://user:password@host/database",
        ));
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(setup(
            "it names no host; write postgres://user:password@host/database",
        ));
    }
    config.ssl_mode(ssl);
    // Of several hosts, the one that accepts writes.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_application_name().is_none() {
        config.application_name("roomful");
    }
    Ok(Url { config, trust })
}

/// Fails if the user or the password has a special character that is not percent-encoded.
///
/// The driver ends the credentials at the first `@` and takes the rest of a password for a host name, so
/// it would report an unknown host instead.
fn require_encoded_credentials(url: &str) -> Result<(), StoreError> {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let end = authority.find('?').unwrap_or(authority.len());
    let is_ambiguous = authority[..end].matches('@').count() > 1;
    if is_ambiguous {
        return Err(setup(
            "the user or the password has an @; percent-encode special characters: @ is %40, : is %3A, / is \
             %2F, # is %23, ? is %3F and % is %25",
        ));
    }
    Ok(())
}

fn setup(what: &str) -> StoreError {
    StoreError::Setup(format!("store.url: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_never_contain_the_password() {
        let cases = [
            ("postgres://ann:s3cr3t@db:nonsense/chat", "malformed"),
            ("postgres://ann:s3cr3t@x@db/chat", "percent-encode"),
            ("postgres://ann:s3cr3t@db/chat?sslmode=maybe", "sslmode"),
            ("postgres://ann:s3cr3t@db", "names no database"),
            ("postgres://ann:s3cr3t@db/chat?colour=red", "malformed"),
        ];
        for (url, expected) in cases {
            let Err(StoreError::Setup(text)) = parse(url) else {
                panic!("{url} was taken");
            };
            assert!(
                text.contains(expected) && !text.contains("s3cr3t"),
                "{url}: {text}"
            );
        }
    }

    #[test]
    fn the_tls_mode_follows_the_url() {
        let cases = [
            ("", SslMode::Prefer, Trust::AnyCertificate),
            ("?sslmode=disable", SslMode::Disable, Trust::AnyCertificate),
            ("?sslmode=require", SslMode::Require, Trust::AnyCertificate),
            ("?sslmode=verify-full", SslMode::Require, Trust::Signed(None)),
            (
                "?sslrootcert=/ca.pem&sslmode=verify-full&connect_timeout=3",
                SslMode::Require,
                Trust::Signed(Some("/ca.pem".into())),
            ),
        ];
        for (query, mode, trust) in cases {
            let url = parse(&format!("postgresql://ann:x%40y@db:5433/chat{query}")).unwrap();
            assert_eq!((url.config.get_ssl_mode(), url.trust), (mode, trust), "{query}");
            assert_eq!(url.config.get_password(), Some(b"x@y".as_slice()));
        }
    }
}
