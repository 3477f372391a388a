//! The certificate of the public listener: reading it at start, and again on SIGHUP.

use std::{fmt, path::Path, sync::Arc};

use parking_lot::Mutex;
use roomful_socket::Tls;
use rustls::{
    Error, InconsistentKeys, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};

use crate::{
    bounded_file::{self, CERTIFICATE_BYTES, SECRET_BYTES},
    config::{Config, ConfigError},
};

/// A certificate chain with its key.
#[derive(PartialEq, Eq)]
pub(crate) struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// TLS of a running listener, and the pair that it uses. Clones share both.
#[derive(Clone)]
pub(crate) struct Certificate {
    tls: Tls,
    pair: Arc<Mutex<Pair>>,
}

impl Certificate {
    /// Reads the configured files; `None` without TLS.
    ///
    /// # Errors
    /// If a file can't be read, or the key does not fit the certificate.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>, ConfigError> {
        let Some((pair, settings)) = read(config)? else {
            return Ok(None);
        };
        let tls = Tls::new(settings, config.http.tls.handshake_timeout.0);
        Ok(Some(Self {
            tls,
            pair: Arc::new(Mutex::new(pair)),
        }))
    }

    /// TLS for the listener.
    pub(crate) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Uses another pair for new connections. Returns whether it differs from the one before.
    pub(crate) fn replace(&self, (pair, settings): (Pair, ServerConfig)) -> bool {
        let mut current = self.pair.lock();
        if *current == pair {
            return false;
        }
        *current = pair;
        self.tls.replace(settings);
        true
    }
}

/// Reads the configured files; `None` without TLS.
///
/// # Errors
/// If a file can't be read, or the key does not fit the certificate.
pub(crate) fn read(config: &Config) -> Result<Option<(Pair, ServerConfig)>, ConfigError> {
    if !config.http.tls.is_on() {
        return Ok(None);
    }
    let (cert, key) = (&config.http.tls.cert, &config.http.tls.key);
    let wrong =
        |setting: &'static str, what: String| ConfigError::key(config.origins.of(setting), setting, what);
    let chain = read_chain(cert).map_err(|what| wrong("http.tls.cert", what))?;
    let secret =
        read_key(key).map_err(|error| wrong("http.tls.key", unreadable(key, &error, "private key")))?;
    let pair = Pair { chain, key: secret };
    let settings = settings(&pair).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            let what = format!(
                "{} does not fit the certificate in {}",
                key.display(),
                cert.display()
            );
            wrong("http.tls.key", what)
        }
        error => wrong("http.tls.cert", format!("{}: {error}", cert.display())),
    })?;
    Ok(Some((pair, settings)))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, pem::Error> {
    let text = bounded_file::read(path, SECRET_BYTES).map_err(pem::Error::Io)?;
    PrivateKeyDer::from_pem_slice(&text)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: pem::Error| unreadable(path, &error, "certificate");
    let text = bounded_file::read(path, CERTIFICATE_BYTES);
    let text = text.map_err(|error| unreadable(pem::Error::Io(error)))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if chain.is_empty() {
        return Err(unreadable(pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn unreadable(path: &Path, error: &pem::Error, what: &str) -> String {
    let cause: &dyn fmt::Display = match error {
        pem::Error::NoItemsFound => return format!("{} contains no {what} in PEM", path.display()),
        pem::Error::Io(error) => error,
        error => error,
    };
    format!("failed to read {}: {cause}", path.display())
}

fn settings(pair: &Pair) -> Result<ServerConfig, Error> {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(pair.chain.clone(), pair.key.clone_key())
}
