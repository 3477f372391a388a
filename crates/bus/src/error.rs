//! What can go wrong on the bus.

/// Why the bus could not do as it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// It can't be reached, or did not answer in time. What was asked may have happened all the same.
    #[error("the bus can't be reached: {0}")]
    Unavailable(String),
    /// It lets nobody in with the user and the password that it was given, or wants some. That may pass, as when a password is
    /// being changed.
    #[error("the bus refuses the user or the password: {0}")]
    SignIn(String),
    /// The member's lease has ended: it must join again under another id before it may write.
    #[error("this member's lease has ended")]
    Lapsed,
    /// A setting can't be meant.
    #[error("{0}")]
    Setup(String),
    /// [`Options::ca_file`](crate::Options::ca_file) can't be used.
    #[error("{0}")]
    CaFile(String),
}
