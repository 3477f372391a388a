//! The connector: opens a connection to one Redis server with TLS, credentials, RESP3 and a time limit.
//!
//! It also turns errors of the Redis library into texts that are safe to log.

use std::{fs, sync::Arc};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates,
    aio::{AsyncPushSender, MultiplexedConnection},
    io::tcp::TcpSettings,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::timeout;

use super::url::{RedisUrl, ServerAddr};
use crate::{BusError, Options};

/// Longest error text in characters, since the text of a server goes to the log.
const MAX_TEXT: usize = 300;

#[derive(Clone)]
pub(crate) struct Connector {
    credentials: RedisConnectionInfo,
    tls: bool,
    certificates: Option<TlsCertificates>,
    timeout: std::time::Duration,
}

impl Connector {
    pub(crate) fn new(url: &RedisUrl, options: &Options) -> Result<Self, BusError> {
        let certificates = read_ca_file(url, options)?;
        if url.tls {
            // The Redis library uses the provider of the process. One that is installed already serves as
            // well.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let connector = Self {
            credentials: resp3(&url.credentials),
            tls: url.tls,
            certificates,
            timeout: options.timeout,
        };
        // Building a client parses the certificates, so a bad file fails here and not at the first
        // connection.
        connector
            .client(&ServerAddr::Tcp {
                host: "localhost".into(),
                port: 1,
            })
            .map_err(|error| match options.ca_file {
                Some(_) => BusError::CaFile(text(&error)),
                None => BusError::Config(text(&error)),
            })?;
        Ok(connector)
    }

    /// A connector for servers with other credentials.
    pub(crate) fn with_credentials(&self, credentials: &RedisConnectionInfo) -> Self {
        Self {
            credentials: resp3(credentials),
            ..self.clone()
        }
    }

    /// Connects and authenticates. `push` receives pushed messages and the end of the connection.
    pub(crate) async fn connect(
        &self,
        addr: &ServerAddr,
        push: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<MultiplexedConnection, BusError> {
        // `in_time` limits this call and each command, so the library's own limits are off.
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        if let Some(push) = push {
            config = config.set_push_sender(push);
        }
        let client = self.client(addr).map_err(|error| bus_error(&error))?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        self.in_time(connecting).await.map_err(|error| bus_error(&error))
    }

    /// Waits for an answer within [`Options::timeout`].
    pub(crate) async fn in_time<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        timeout(self.timeout, answer).await.unwrap_or_else(|_| {
            Err(RedisError::from(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("no answer within {:?}", self.timeout),
            )))
        })
    }

    fn client(&self, addr: &ServerAddr) -> RedisResult<Client> {
        let addr = match addr {
            ServerAddr::Unix(path) => ConnectionAddr::Unix(path.clone()),
            ServerAddr::Tcp { host, port } if self.tls => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            ServerAddr::Tcp { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
        };
        let info = addr
            .into_connection_info()?
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(self.credentials.clone());
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }
}

fn read_ca_file(url: &RedisUrl, options: &Options) -> Result<Option<TlsCertificates>, BusError> {
    let Some(path) = &options.ca_file else {
        return Ok(None);
    };
    if !url.tls {
        return Err(BusError::CaFile(
            "a CA file requires TLS: begin the URL with rediss".into(),
        ));
    }
    let root = fs::read(path)
        .map_err(|error| BusError::CaFile(format!("failed to read {}: {error}", path.display())))?;
    if CertificateDer::pem_slice_iter(&root).next().is_none() {
        return Err(BusError::CaFile(format!(
            "{} contains no PEM certificate",
            path.display()
        )));
    }
    Ok(Some(TlsCertificates {
        client_tls: None,
        root_cert: Some(root),
    }))
}

/// Sets RESP3, which carries pushed messages and answers on one connection, and skips `CLIENT SETINFO`,
/// which would need another permission.
fn resp3(credentials: &RedisConnectionInfo) -> RedisConnectionInfo {
    credentials
        .clone()
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name()
}

pub(crate) fn bus_error(error: &RedisError) -> BusError {
    if is_authentication(error) {
        return BusError::Authentication(text(error));
    }
    BusError::Unavailable(text(error))
}

fn is_authentication(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("WRONGPASS" | "NOAUTH"))
}

/// The error in one line, without the command.
pub(crate) fn text(error: &RedisError) -> String {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "Redis refused the user or the password".to_owned();
    }
    // A pipeline repeats the error for each of its commands; the first one says it all.
    let errors = error.clone().into_server_errors();
    let line = match errors.as_deref().and_then(<[_]>::first) {
        Some((_, error)) => format!("{} {}", error.code(), error.details().unwrap_or_default()),
        None => match error.code() {
            Some(code) => format!("{code} {}", error.detail().unwrap_or_default()),
            None => error.to_string(),
        },
    };
    line.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(MAX_TEXT)
        .collect()
}

/// True if another server is, or will be, the right one for the command.
pub(crate) fn is_wrong_server(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
        )
    )
}
