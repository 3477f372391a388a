//! How connections are made and lent: with every setting that the store relies on, and each looked at before its first use.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use deadpool_postgres::{
    ClientWrapper, Connect, Hook, HookError, Manager, ManagerConfig, Pool as Deadpool, PoolConfig, PoolError,
    QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    answer_timeout::AnswerTimeout,
    conn::Conn,
    connection_permits::ConnectionPermits,
    failure::{Failure, connecting, is_full},
    generation::LogState,
    tls, url,
};
use crate::{Options, Outage, StoreError};

/// How long a server may take to accept a connection, where the URL's `connect_timeout` does not say.
const CONNECTING: Duration = Duration::from_secs(5);
/// A transaction that its node leaves alone for so long is ended by the server, so that its locks hold nobody up.
const IDLE_MS: u32 = 2_000;
/// What the answer may take beyond the server's own limit for a statement.
const SLACK: Duration = Duration::from_secs(1);

/// Makes connections by the URL and the options.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    /// Where connections are driven, whoever asks for them.
    runtime: Handle,
    /// How long a connection may take to be made, with all that is said until it can be used.
    connecting: Duration,
    answer_timeout: AnswerTimeout,
}

impl Connector {
    pub(crate) fn new(text: &str, options: &Options, runtime: Handle) -> Result<Self, StoreError> {
        let url::Url { mut config, trust } = url::parse(text)?;
        let limit = options.statement_timeout.as_millis().max(1);
        // Set with the connection itself, so that there is no moment without them. A commit counts when it is on the disk.
        let settings = format!(
            "{} -c synchronous_commit=on -c statement_timeout={limit} -c lock_timeout={limit} \
             -c idle_in_transaction_session_timeout={IDLE_MS} -c client_min_messages=warning",
            config.get_options().unwrap_or_default()
        );
        config.options(settings.trim());
        let connect = *config.get_connect_timeout().unwrap_or(&CONNECTING);
        config.connect_timeout(connect);
        // One of several hosts after the other.
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        let connecting = connect * u32::try_from(hosts).unwrap_or(u32::MAX) + SLACK;
        config.keepalives_idle(Duration::from_secs(30));
        // A line that swallows what is sent is as good as cut.
        config.tcp_user_timeout(options.statement_timeout + SLACK);
        Ok(Self {
            config,
            tls: tls::connector(&trust)?,
            runtime,
            connecting,
            answer_timeout: AnswerTimeout(options.statement_timeout + SLACK),
        })
    }

    /// A connection outside of any pool, for the schema. To be called on the store's own runtime.
    pub(crate) async fn open_connection(&self) -> Result<Client, StoreError> {
        // The driver's own limit is for the line: a server that stands still takes the line, and says nothing.
        let connected = timeout(self.connecting, self.connect_now()).await;
        let connected =
            connected.map_err(|_| Outage::Connection("no connection to PostgreSQL in time".into()))?;
        let (client, driver) = connected.map_err(|error| connecting(&error))?;
        // It ends with its client.
        drop(driver);
        Ok(client)
    }

    /// How long the server may take for an answer.
    pub(super) fn answer_timeout(&self) -> AnswerTimeout {
        self.answer_timeout
    }

    async fn connect_now(&self) -> Result<(Client, JoinHandle<()>), Error> {
        // A socket in the file system is not encrypted, and needs no certificate.
        if self.config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
            let (client, connection) = self.config.connect(NoTls).await?;
            return Ok((client, tokio::spawn(drive(connection))));
        }
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        Ok((client, tokio::spawn(drive(connection))))
    }

    /// Connections that are lent and taken back, `size` at most.
    pub(super) fn pool(
        &self,
        size: usize,
        options: &Options,
        log_state: Arc<LogState>,
    ) -> Result<Pool, StoreError> {
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_connect(
            self.config.clone(),
            self.clone(),
            ManagerConfig { recycling_method },
        );
        let timeouts = Timeouts {
            // Who has a permit need not wait.
            wait: Some(options.queue_wait),
            create: Some(self.connecting),
            recycle: Some(SLACK),
        };
        let (answer_timeout, begun) = (self.answer_timeout, Arc::clone(&log_state));
        let look = Hook::async_fn(move |client: &mut ClientWrapper, _| {
            let log_state = Arc::clone(&begun);
            Box::pin(async move {
                // The pool has no limit for this, and lends the connection's place to nobody until it is done.
                settings(client, answer_timeout).await.map_err(refused)?;
                log_state.verify(client, answer_timeout).await.map_err(refused)
            })
        });
        let config = PoolConfig {
            max_size: size,
            timeouts,
            queue_mode: QueueMode::Lifo,
        };
        let inner = Deadpool::builder(manager)
            .config(config)
            .runtime(Runtime::Tokio1)
            .post_create(look)
            .build();
        let inner = inner.map_err(|error| StoreError::Internal(error.to_string()))?;
        Ok(Pool {
            inner,
            log_state,
            permits: ConnectionPermits::new(size),
            queue_wait: options.queue_wait,
            answer_timeout: self.answer_timeout,
        })
    }
}

fn refused(Failure(error): Failure) -> HookError {
    HookError::Message(error.to_string().into())
}

/// A server may be set up to overrule what a client asks for.
async fn settings(client: &Client, answer_timeout: AnswerTimeout) -> Result<(), Failure> {
    let asked = client.query_one("SELECT current_setting('synchronous_commit')", &[]);
    let row = answer_timeout.wait(asked).await?;
    let mode: String = row.try_get(0)?;
    if mode == "on" {
        return Ok(());
    }
    Err(StoreError::Setup(format!(
        "PostgreSQL has synchronous_commit = {mode} for us, so commits would not be on the disk when they are answered; take that setting away from the user and database of store.url"
    ))
    .into())
}

impl Connect for Connector {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let connector = self.clone();
        // Whoever asks may run on a runtime that ends before the connection does, or that has no sockets.
        let connecting = self.runtime.spawn(async move { connector.connect_now().await });
        // It ends with whoever asks, whose place in the pool it is in. The pool's limit, that for a connection to be made, is
        // its limit, too.
        let mut connecting = AbortOnDrop(connecting);
        Box::pin(async move {
            match (&mut connecting.0).await {
                Ok(connected) => connected,
                // The store's runtime is gone; whoever asks gives up in time.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// A task that nobody but its owner wants.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to PostgreSQL ended");
    }
}

/// Connections that are lent.
pub(super) struct Pool {
    inner: Deadpool,
    log_state: Arc<LogState>,
    permits: ConnectionPermits,
    /// How long a call waits for a connection, or for the next one if the server gives no more.
    queue_wait: Duration,
    answer_timeout: AnswerTimeout,
}

impl Pool {
    /// Lends one, unless another database is in the place of the one that was begun with.
    pub(super) async fn get(&self) -> Result<Conn, Failure> {
        let deadline = Instant::now() + self.queue_wait;
        let mut refusal = None;
        loop {
            let permit = timeout_at(deadline, self.permits.take(Instant::now())).await;
            let Ok(permit) = permit else {
                return Err(refusal.unwrap_or_else(|| Outage::Busy.into()));
            };
            let permit = permit.map_err(|_| Outage::Closed)?;
            self.log_state.check_not_replaced()?;
            match self.inner.get().await {
                Ok(object) => return Ok(Conn::new(object, permit, self.answer_timeout)),
                // One of those that are open comes free in time, most likely.
                Err(PoolError::Backend(error)) if is_full(&error) && self.inner.status().size > 0 => {
                    self.permits.refused(permit, Instant::now());
                    refusal = Some(PoolError::Backend(error).into());
                }
                Err(error) => {
                    // The look at a new connection can't say it as what it is.
                    self.log_state.check_not_replaced()?;
                    return Err(error.into());
                }
            }
        }
    }

    /// Lends no more. Connections that are in use end when they come back.
    pub(super) fn close(&self) {
        self.inner.close();
        self.permits.close();
    }
}
