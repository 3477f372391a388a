//! Which of PostgreSQL's errors pass by themselves, and which don't.

use std::error::Error as _;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::{Error, error::SqlState};

use crate::{Outage, StoreError};

/// A [`StoreError`] that comes of the driver's errors by `?`, without making the driver part of the crate's face.
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
            // What it refuses while the node runs, such as a user whose password is being changed, it may take again.
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

/// Whether the server said it, and so is there and knows what it did.
pub(super) fn is_answer(error: &Error) -> bool {
    // An administrator's end of the connection is told as an error, but it is the last that is told.
    error.as_db_error().is_some() && !error.is_closed() && !ends_connection(error)
}

/// Whether the server refuses to be connected to once more.
pub(super) fn is_full(error: &Error) -> bool {
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
}

/// What then is told.
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
        // Values that don't fit their columns are a fault of ours; all else without a code is the line.
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
        // Too much at once; a lock, or the answer, took too long; a deadlock was resolved.
        "53" | "40" | "55" => Outage::Busy.into(),
        _ if *code == SqlState::QUERY_CANCELED => Outage::Busy.into(),
        "58" => Outage::Io(full(error)).into(),
        // The line; the server stops, starts, or was told to let us go; or it takes no writes any more.
        "08" | "57" => Outage::Connection(full(error)).into(),
        _ if ends_connection(error) || *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
            Outage::Connection(full(error)).into()
        }
        _ => StoreError::Internal(full(error)),
    }
}

/// Of an error while connecting: what the server refused for good says what to change.
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

/// Why the schema could not be brought up to date, and what to do about it. The driver's error lies somewhere below.
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

/// With its causes, which the driver keeps apart. None of them holds a password.
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
