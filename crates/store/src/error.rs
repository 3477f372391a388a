//! The errors of a store, sorted by what the caller can do about them.

/// Why a call failed. `Clone`, since one failure may answer many calls of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed, and the same call may succeed later: answer `unavailable` and let the client
    /// retry.
    #[error("the store is unavailable: {0}; try again later")]
    Unavailable(Outage),
    /// A fault in the data or in the program. A retry of the same call fails again.
    #[error("the store failed: {0}")]
    Internal(String),
    /// The store cannot be opened as configured. The text says what to change.
    #[error("{0}")]
    Setup(String),
}

/// The cause of an [`StoreError::Unavailable`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// The disk has no space left. Writes succeed again, without a restart, once there is space.
    #[error("the disk is full")]
    DiskFull,
    /// The disk or file system failed to read or write.
    #[error("the disk failed ({0})")]
    Io(String),
    /// The connection to the database failed, or its server did.
    #[error("its database cannot be reached ({0})")]
    Connection(String),
    /// The queue stayed full, or another process locked the database, for longer than the configured wait.
    #[error("it is overloaded")]
    Busy,
    /// Another database took the place of the one that was opened. The store works again once it is reopened.
    #[error(
        "the database that store.url names is another one than when this node started; restart this node"
    )]
    Replaced,
    /// The node may not write now, see [`Log::fence`](crate::Log::fence).
    #[error("this node may not write now")]
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
