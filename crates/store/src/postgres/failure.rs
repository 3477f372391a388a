//! PostgreSQL's errors as errors of the store: transient or not.

use std::error::Error as _;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::{Error, error::SqlState};

use crate::{Outage, StoreError};

/// A [`StoreError`] to which `?` converts the driver's errors. Private, so that the driver is not part of
/// the API.
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
            // A refusal while the node runs may be transient, for example while the password is being
            // changed.
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

/// True if the server sent this error, so that the outcome of the statement is known.
pub(super) fn is_answer(error: &Error) -> bool {
    // The server also reports that it ends the connection as an error, but the connection is unusable after
    // it.
    error.as_db_error().is_some() && !error.is_closed() && !ends_connection(error)
}

/// True if the server refuses further connections.
pub(super) fn is_full(error: &Error) -> bool {
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
}

/// The outage for such a refusal.
fn few(said: &str) -> Outage {
    Outage::Connection(format!(
        "PostgreSQL takes no more connections; raise its max_connections or the CONNECTION LIMIT of user or database, or \
         lower store.pool: {said}"
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
        // A value that does not fit its column is a bug; every other error without a code is about the
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
        // Out of resources, a lock or statement timeout, or a deadlock.
        "53" | "40" | "55" => Outage::Busy.into(),
        _ if *code == SqlState::QUERY_CANCELED => Outage::Busy.into(),
        "58" => Outage::Io(full(error)).into(),
        // A failed connection, a server that starts or stops, or one that accepts no writes any more.
        "08" | "57" => Outage::Connection(full(error)).into(),
        _ if ends_connection(error) || *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            Outage::Connection(full(error)).into()
        }
        _ => StoreError::Internal(full(error)),
    }
}

/// The error of a failed connection attempt. If a retry cannot help, it says what to change.
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

/// The error of a failed migration, and what to do about it. The driver's error is among its sources.
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
                "the user of store.url may not make the tables of the database: {text}; make it the database's owner, or \
             GRANT USAGE, CREATE ON SCHEMA public to it"
            )
        } else {
            format!(
                "the database's schema cannot be brought up to date (was it written by a newer version?): {text}"
            )
        },
    )
}

/// The error with its sources, which the driver does not print. None of them contains a password.
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
