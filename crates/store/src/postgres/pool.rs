//! Connecting and pooling: connections with the settings the store relies on, verified before their first
//! use.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use deadpool_postgres::{
    ClientWrapper, Connect, Hook, HookError, Manager, ManagerConfig, Pool as Deadpool, PoolConfig, PoolError,
    QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use metrics::{Histogram, histogram};
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
use crate::{Options, Outage, StoreError, metrics::Metrics};

/// Default time limit for a server to accept a connection; the URL's `connect_timeout` overrides it.
const CONNECTING: Duration = Duration::from_secs(5);
/// The server ends a transaction that is idle for this long, so that a paused node does not hold its locks.
const IDLE_MS: u32 = 2_000;
/// Additional time for an answer beyond the server's limit for a statement.
const SLACK: Duration = Duration::from_secs(1);

/// Opens connections as the URL and the options say.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    /// Runtime that drives all connections.
    runtime: Handle,
    /// Time limit for opening a connection, handshake included.
    connecting: Duration,
    answer_timeout: AnswerTimeout,
}

impl Connector {
    pub(crate) fn new(text: &str, options: &Options, runtime: Handle) -> Result<Self, StoreError> {
        let url::Url { mut config, trust } = url::parse(text)?;
        let limit = options.statement_timeout.as_millis().max(1);
        // Startup options apply from the first statement on. A commit counts once it is on disk.
        let settings = format!(
            "{} -c synchronous_commit=on -c statement_timeout={limit} -c lock_timeout={limit} \
             -c idle_in_transaction_session_timeout={IDLE_MS} -c client_min_messages=warning",
            config.get_options().unwrap_or_default()
        );
        config.options(settings.trim());
        let connect = *config.get_connect_timeout().unwrap_or(&CONNECTING);
        config.connect_timeout(connect);
        // The driver tries several hosts one after the other.
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        let connecting = connect * u32::try_from(hosts).unwrap_or(u32::MAX) + SLACK;
        config.keepalives_idle(Duration::from_secs(30));
        // A connection that acknowledges nothing counts as cut.
        config.tcp_user_timeout(options.statement_timeout + SLACK);
        Ok(Self {
            config,
            tls: tls::connector(&trust)?,
            runtime,
            connecting,
            answer_timeout: AnswerTimeout(options.statement_timeout + SLACK),
        })
    }

    /// Opens a connection outside of any pool. Call it on the store's own runtime.
    pub(crate) async fn open_connection(&self) -> Result<Client, StoreError> {
        // The driver's limit covers TCP only: a frozen server still accepts connections.
        let connected = timeout(self.connecting, self.connect_now()).await;
        let connected =
            connected.map_err(|_| Outage::Connection("no connection to PostgreSQL in time".into()))?;
        let (client, driver) = connected.map_err(|error| connecting(&error))?;
        // The driver task ends with its client.
        drop(driver);
        Ok(client)
    }

    /// Time limit for an answer of the server.
    pub(super) fn answer_timeout(&self) -> AnswerTimeout {
        self.answer_timeout
    }

    async fn connect_now(&self) -> Result<(Client, JoinHandle<()>), Error> {
        // A Unix socket needs no encryption and no certificate.
        if self.config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
            let (client, connection) = self.config.connect(NoTls).await?;
            return Ok((client, tokio::spawn(drive(connection))));
        }
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        Ok((client, tokio::spawn(drive(connection))))
    }

    /// A pool of `size` connections at most.
    pub(super) fn pool(
        &self,
        size: usize,
        options: &Options,
        log_state: Arc<LogState>,
        metrics: Arc<Metrics>,
    ) -> Result<Pool, StoreError> {
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_connect(
            self.config.clone(),
            self.clone(),
            ManagerConfig { recycling_method },
        );
        let timeouts = Timeouts {
            // A caller with a permit does not wait here.
            wait: Some(options.queue_wait),
            create: Some(self.connecting),
            recycle: Some(SLACK),
        };
        let (answer_timeout, begun) = (self.answer_timeout, Arc::clone(&log_state));
        let look = Hook::async_fn(move |client: &mut ClientWrapper, _| {
            let log_state = Arc::clone(&begun);
            Box::pin(async move {
                // The pool sets no time limit for this hook, so both calls have their own.
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
            permits: ConnectionPermits::new(size, options.queue_reads_per_user, metrics),
            queue_wait: options.queue_wait,
            answer_timeout: self.answer_timeout,
            wait_seconds: histogram!("roomful_store_pool_wait_seconds"),
        })
    }
}

fn refused(Failure(error): Failure) -> HookError {
    HookError::Message(error.to_string().into())
}

/// Checks settings that a server can force against the startup options.
async fn settings(client: &Client, answer_timeout: AnswerTimeout) -> Result<(), Failure> {
    let asked = client.query_one("SELECT current_setting('synchronous_commit')", &[]);
    let row = answer_timeout.wait(asked).await?;
    let mode: String = row.try_get(0)?;
    if mode == "on" {
        return Ok(());
    }
    Err(StoreError::Setup(format!(
        "PostgreSQL forces synchronous_commit = {mode}, so commits would not be on disk when they are \
         answered; remove that setting from the user and database of store.url"
    ))
    .into())
}

impl Connect for Connector {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let connector = self.clone();
        // The caller's runtime may end before the connection, or lack I/O.
        let connecting = self.runtime.spawn(async move { connector.connect_now().await });
        // The task ends with the caller. The pool's time limit for creating a connection applies to it.
        let mut connecting = AbortOnDrop(connecting);
        Box::pin(async move {
            match (&mut connecting.0).await {
                Ok(connected) => connected,
                // The store's runtime has ended; the caller times out.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// A task that ends with its owner.
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
        tracing::debug!(%error, "a connection to PostgreSQL failed");
    }
}

/// A pool of connections.
pub(super) struct Pool {
    inner: Deadpool,
    log_state: Arc<LogState>,
    permits: ConnectionPermits,
    /// How long a call waits for a connection.
    queue_wait: Duration,
    answer_timeout: AnswerTimeout,
    wait_seconds: Histogram,
}

impl Pool {
    /// Takes a connection. Fails once another database was found in place of this one.
    pub(super) async fn get(&self) -> Result<Conn, Failure> {
        let start = Instant::now();
        let conn = self.checkout(start + self.queue_wait).await;
        self.wait_seconds.record(start.elapsed());
        conn
    }

    async fn checkout(&self, deadline: Instant) -> Result<Conn, Failure> {
        let mut refusal = None;
        loop {
            let permit = timeout_at(deadline, self.permits.take(Instant::now())).await;
            let Ok(permit) = permit else {
                return Err(refusal.unwrap_or_else(|| Outage::Busy.into()));
            };
            let permit = permit?;
            self.log_state.check_not_replaced()?;
            match self.inner.get().await {
                Ok(object) => return Ok(Conn::new(object, permit, self.answer_timeout)),
                // Wait for one of the open connections instead.
                Err(PoolError::Backend(error)) if is_full(&error) && self.inner.status().size > 0 => {
                    self.permits.refused(permit, Instant::now());
                    refusal = Some(PoolError::Backend(error).into());
                }
                Err(error) => {
                    // The hook reports a replaced database only as text.
                    self.log_state.check_not_replaced()?;
                    return Err(error.into());
                }
            }
        }
    }

    /// Closes the pool. Connections in use close when they are returned.
    pub(super) fn close(&self) {
        self.inner.close();
        self.permits.close();
    }
}
