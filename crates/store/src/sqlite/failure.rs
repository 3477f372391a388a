//! Mapping of SQLite's errors to store errors: which are transient, and which are not.

use rusqlite::{Error, ErrorCode};

use crate::{Outage, StoreError};

pub(super) fn from_sqlite(error: &Error) -> StoreError {
    let Error::SqliteFailure(failure, _) = error else {
        return StoreError::Internal(error.to_string());
    };
    match failure.code {
        ErrorCode::DiskFull => Outage::DiskFull.into(),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory => Outage::Busy.into(),
        // Systems often remount a failing file system read-only, which causes ReadOnly or CannotOpen.
        ErrorCode::SystemIoFailure
        | ErrorCode::ReadOnly
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::FileLockingProtocolFailed => Outage::Io(error.to_string()).into(),
        _ => StoreError::Internal(error.to_string()),
    }
}
