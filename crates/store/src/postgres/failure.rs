//! Mapping of PostgreSQL's errors to store errors: which are transient, and which are not.

use std::error::Error as _;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::{Error, error::SqlState};

use crate::{Outage, StoreError};

/// A [`StoreError`] with conversions from the driver's errors, which stay out of the crate's interface.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) StoreError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Outage> for Failure {
    fn from(outage: Outage) -> Self {
        Self(outage.into())
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(from_postgres(&error))
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self(match error {
            PoolError::Timeout(TimeoutType::Wait) => Outage::Busy.into(),
            PoolError::Timeout(_) => Outage::Connection("no connection to PostgreSQL in time".into()).into(),
            // A refusal at run time may be transient, such as while the password of the user changes.
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                match connecting(&error) {
                    StoreError::Setup(text) => Outage::Connection(text).into(),
                    other => other,
                }
            }
            PoolError::PostCreateHook(HookError::Message(text)) => {
                Outage::Connection(text.into_owned()).into()
            }
            PoolError::Closed => Outage::Closed.into(),
            PoolError::NoRuntimeSpecified => StoreError::Internal("the pool has no runtime".into()),
        })
    }
}

/// Whether the error is an answer of the server after which the connection works.
pub(super) fn is_answer(error: &Error) -> bool {
    // A connection that an administrator terminates ends with an error answer, but it is closed.
    error.as_db_error().is_some() && !error.is_closed() && !ends_connection(error)
}

/// Whether the server refuses further connections.
pub(super) fn is_full(error: &Error) -> bool {
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
}

/// The outage that says so.
fn few(said: &str) -> Outage {
    Outage::Connection(format!(
        "PostgreSQL takes no more connections; raise its max_connections or the CONNECTION LIMIT of user or \
         database, or lower store.pool: {said}"
    ))
}

fn ends_connection(error: &Error) -> bool {
    error
        .code()
        .is_some_and(|code| matches!(&code.code()[..2], "57" | "08") && *code != SqlState::QUERY_CANCELED)
        || error.code() == Some(&SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT)
}

pub(super) fn from_postgres(error: &Error) -> StoreError {
    let Some(code) = error.code() else {
        // Values that do not fit their columns are our fault; other errors without a code come from the
        // connection.
        let text = full(error);
        return if error.is_closed()
            || error
                .source()
                .is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
        {
            Outage::Connection(text).into()
        } else {
            StoreError::Internal(text)
        };
    };
    if *code == SqlState::DISK_FULL {
        return Outage::DiskFull.into();
    }
    if is_full(error) {
        return few(&full(error)).into();
    }
    match &code.code()[..2] {
        // Overload, a timeout of a lock or statement, or a resolved deadlock.
        "53" | "40" | "55" => Outage::Busy.into(),
        _ if *code == SqlState::QUERY_CANCELED => Outage::Busy.into(),
        "58" => Outage::Io(full(error)).into(),
        // The connection failed, the server starts or stops, or it accepts no writes.
        "08" | "57" => Outage::Connection(full(error)).into(),
        _ if ends_connection(error) || *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            Outage::Connection(full(error)).into()
        }
        _ => StoreError::Internal(full(error)),
    }
}

/// Maps an error while connecting. A permanent refusal says what to change.
pub(super) fn connecting(error: &Error) -> StoreError {
    match error.code().map(|code| &code.code()[..2]) {
        Some("28") => StoreError::Setup(format!(
            "PostgreSQL refuses the user or password of store.url: {}",
            full(error)
        )),
        Some("3D") => StoreError::Setup(format!(
            "the database of store.url does not exist; create it: {}",
            full(error)
        )),
        Some(_) => from_postgres(error),
        None => Outage::Connection(format!(
            "cannot connect to PostgreSQL as store.url says: {}",
            full(error)
        ))
        .into(),
    }
}

/// Maps an error of the migration runner, which wraps the driver's error.
pub(super) fn migrating(error: &(dyn std::error::Error + 'static)) -> StoreError {
    let mut cause = Some(error);
    let said = loop {
        match cause.map(|cause| (cause.downcast_ref::<Error>(), cause.source())) {
            Some((Some(said), _)) => break Some(said),
            Some((None, below)) => cause = below,
            None => break None,
        }
    };
    let text = said.map_or_else(|| error.to_string(), full);
    StoreError::Setup(
        if said.and_then(Error::code) == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            format!(
                "the user of store.url cannot create tables: {text}; make it the owner of the database, or \
                 GRANT USAGE, CREATE ON SCHEMA public to it"
            )
        } else {
            format!("cannot upgrade the schema of the database: {text}")
        },
    )
}

/// The error with its causes, which the driver reports separately. None holds a password.
fn full(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
