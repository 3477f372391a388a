//! The parts of a `postgres://` URL that the driver does not handle: how to encrypt and verify the
//! connection.

use std::path::PathBuf;

use tokio_postgres::{
    Config,
    config::{SslMode, TargetSessionAttrs},
};

use crate::StoreError;

/// Whether the server must prove its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trust {
    /// Any certificate is accepted: the connection is encrypted, but the server may be an impostor.
    Anybody,
    /// The certificate must be valid for the server's name, and be signed by an authority of the system or
    /// of a file.
    Signed(Option<PathBuf>),
}

pub(super) struct Url {
    pub(super) config: Config,
    pub(super) trust: Trust,
}

pub(super) fn parse(url: &str) -> Result<Url, StoreError> {
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
    // The driver's message may contain a part of the URL, and so of the password.
    let mut config = parsed.map_err(|_| {
        setup("it can't be read; write postgres://user:password@host/database, with %-escapes for special characters")
    })?;
    let (ssl, trust) = match mode {
        "disable" => (SslMode::Disable, Trust::Anybody),
        "prefer" | "allow" => (SslMode::Prefer, Trust::Anybody),
        "require" if root.is_none() => (SslMode::Require, Trust::Anybody),
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

fn setup(what: &str) -> StoreError {
    StoreError::Setup(format!("store.url: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let cases = [
            ("postgres://ann:s3cr3t@db:nonsense/chat", "can't be read"),
            ("postgres://ann:s3cr3t@db/chat?sslmode=maybe", "sslmode"),
            ("postgres://ann:s3cr3t@db", "names no database"),
            ("postgres://ann:s3cr3t@db/chat?colour=red", "can't be read"),
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
    fn the_line_is_secured_as_asked() {
        let cases = [
            ("", SslMode::Prefer, Trust::Anybody),
            ("?sslmode=disable", SslMode::Disable, Trust::Anybody),
            ("?sslmode=require", SslMode::Require, Trust::Anybody),
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
