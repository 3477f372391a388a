//! What can go wrong in a store, sorted by what the caller can do about it.

/// Why a call did not succeed. One failure may answer many calls of a batch, hence `Clone`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed, and the same call may succeed later: answer `unavailable` and let the client retry.
    #[error("the store is unavailable: {0}; try again later")]
    Unavailable(Outage),
    /// A fault in the data or in the program. Retrying the same call won't help.
    #[error("the store failed: {0}")]
    Internal(String),
    /// The store could not be opened as configured. The text says what to change.
    #[error("{0}")]
    Setup(String),
}

/// The cause of an [`StoreError::Unavailable`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// No space is left for the data. Writes succeed again, without a restart, when there is room.
    #[error("the disk is full")]
    DiskFull,
    /// The disk or file system refused to read or write.
    #[error("the disk does not answer as it should ({0})")]
    Io(String),
    /// The line to the database, or its server, is not what it should be.
    #[error("its database can't be reached ({0})")]
    Connection(String),
    /// The queue stayed full, or another process held the database, for longer than the configured wait.
    #[error("it has more to do than it can take")]
    Busy,
    /// Another database was put in the place of the one that was opened. Whoever opens the store anew works in that one.
    #[error(
        "the database that store.url names is another one than when this node started; restart this node"
    )]
    Replaced,
    /// The node has no right to write now, see [`Log::fence`](crate::Log::fence).
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
