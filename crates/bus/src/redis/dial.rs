//! A connection to one server of Redis: TLS, sign-in, RESP3, and a bound in time. And why one failed, in words that may
//! be logged.

use std::{fs, sync::Arc};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates,
    aio::{AsyncPushSender, MultiplexedConnection},
    io::tcp::TcpSettings,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::time::timeout;

use super::target::{Place, Target};
use crate::{BusError, Options};

/// How long an error's text may be, in characters: what a server says ends in logs.
const TEXT: usize = 300;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Dialer {
    sign_in: RedisConnectionInfo,
    tls: bool,
    certificates: Option<TlsCertificates>,
    patience: std::time::Duration,
}

impl Dialer {
    pub(crate) fn new(target: &Target, options: &Options) -> Result<Self, BusError> {
        let mut certificates = None;
        if let Some(path) = &options.ca_file {
            if !target.tls {
                return Err(BusError::CaFile(
                    "a CA file is for TLS: the URL must begin with rediss".into(),
                ));
            }
            let root = fs::read(path)
                .map_err(|error| BusError::CaFile(format!("{} can't be read: {error}", path.display())))?;
            if CertificateDer::pem_slice_iter(&root).next().is_none() {
                return Err(BusError::CaFile(format!(
                    "there is no certificate in {}",
                    path.display()
                )));
            }
            certificates = Some(TlsCertificates {
                client_tls: None,
                root_cert: Some(root),
            });
        }
        if target.tls {
            // The library takes the process's provider. If there is one already, it is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let dialer = Self {
            sign_in: resp3(&target.sign_in),
            tls: target.tls,
            certificates,
            patience: options.timeout,
        };
        // Says now what is wrong with the certificates.
        dialer
            .client(&Place::Tcp {
                host: "localhost".into(),
                port: 1,
            })
            .map_err(|error| match options.ca_file {
                Some(_) => BusError::CaFile(text(&error)),
                None => BusError::Setup(text(&error)),
            })?;
        Ok(dialer)
    }

    /// The same for servers to which one signs in otherwise.
    pub(crate) fn signing_in(&self, sign_in: &RedisConnectionInfo) -> Self {
        Self {
            sign_in: resp3(sign_in),
            ..self.clone()
        }
    }

    /// Connects and signs in. `push` gets what comes unasked, and the end of the connection.
    pub(crate) async fn connect(
        &self,
        place: &Place,
        push: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<MultiplexedConnection, BusError> {
        // One clock for all, below and with each command.
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        if let Some(push) = push {
            config = config.set_push_sender(push);
        }
        let client = self.client(place).map_err(|error| trouble(&error))?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        self.in_time(connecting).await.map_err(|error| trouble(&error))
    }

    /// Waits for Redis, but not for ever.
    pub(crate) async fn in_time<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        timeout(self.patience, answer).await.unwrap_or_else(|_| {
            Err(RedisError::from(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                format!("no answer within {:?}", self.patience),
            )))
        })
    }

    fn client(&self, place: &Place) -> RedisResult<Client> {
        let addr = match place {
            Place::Unix(path) => ConnectionAddr::Unix(path.clone()),
            Place::Tcp { host, port } if self.tls => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            Place::Tcp { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
        };
        let info = addr
            .into_connection_info()?
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(self.sign_in.clone());
        match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
            None => Client::open(info),
        }
    }
}

/// RESP3, so that messages and answers share a connection; and no `CLIENT SETINFO`, a right that nothing else needs.
fn resp3(sign_in: &RedisConnectionInfo) -> RedisConnectionInfo {
    sign_in
        .clone()
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name()
}

/// The error as others see it.
pub(crate) fn trouble(error: &RedisError) -> BusError {
    if is_sign_in(error) {
        return BusError::SignIn(text(error));
    }
    BusError::Unavailable(text(error))
}

fn is_sign_in(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("WRONGPASS" | "NOAUTH"))
}

/// In one line, and without what was sent.
pub(crate) fn text(error: &RedisError) -> String {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return "Redis refused the user or the password".to_owned();
    }
    // A pipeline tells it for each of its commands.
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
        .take(TEXT)
        .collect()
}

/// Whether the server is not, or not yet, the one to ask.
pub(crate) fn is_elsewhere(error: &RedisError) -> bool {
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
