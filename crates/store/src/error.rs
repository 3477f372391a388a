//! Errors of a store, by what the caller can do about them.

/// Why a call failed. `Clone`, since one failure may answer many calls of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing changed, and the same call may succeed later: answer `unavailable` and let the client retry.
    #[error("the store is unavailable: {0}; try again later")]
    Unavailable(Outage),
    /// A fault in the data or the program. A retry does not help.
    #[error("the store failed: {0}")]
    Internal(String),
    /// The store cannot be opened as configured. The text says what to change.
    #[error("{0}")]
    Setup(String),
}

/// The cause of an [`StoreError::Unavailable`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// No space is left. Writes succeed again, without a restart, once there is space.
    #[error("the disk is full")]
    DiskFull,
    /// The disk or file system refused to read or write.
    #[error("the disk failed ({0})")]
    Io(String),
    /// The connection to the database, or its server, failed.
    #[error("its database cannot be reached ({0})")]
    Connection(String),
    /// The queue stayed full, or another process held the database, for longer than the configured wait.
    #[error("it is overloaded")]
    Busy,
    /// Nobody waited for the answer any more, see [`Caller::until`](crate::Caller::until).
    #[error("the caller has gone")]
    Abandoned,
    /// Another database took the place of the opened one. A restart works with the new one.
    #[error("the database that store.url names is another one than at this node's start; restart this node")]
    Replaced,
    /// The node holds no lease to write with, see [`Log::fence`](crate::Log::fence), or another run owns the
    /// erasure, see [`PersonalData::take_over_erasure`](crate::PersonalData::take_over_erasure).
    #[error("this node has lost its lease")]
    Fenced,
    /// [`Store::close`](crate::Store::close) was called.
    #[error("it is closed")]
    Closed,
}

impl From<Outage> for StoreError {
    fn from(outage: Outage) -> Self {
        Self::Unavailable(outage)
    }
}
