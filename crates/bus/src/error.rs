//! The error type of the bus.

/// Why a call to the bus failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The bus is unreachable or did not answer in time. The call may have taken effect.
    #[error("the bus is unreachable: {0}")]
    Unavailable(String),
    /// The bus refuses the user or the password, or requires one. This can pass, for example while a
    /// password changes.
    #[error("the bus refuses the user or the password: {0}")]
    Authentication(String),
    /// The member's lease has expired. The node must join under a new id before it can write.
    #[error("the lease of this member has expired")]
    Expired,
    /// The URL or an option is invalid.
    #[error("{0}")]
    Config(String),
    /// The file of CA certificates in `Options::ca_file` is unusable.
    #[error("{0}")]
    CaFile(String),
}
