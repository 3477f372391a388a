//! Errors of forwarding a request to another node.

/// Why a request could not be forwarded, or no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForwardError {
    /// The directory does not list the owner.
    UnknownNode,
    /// Too many requests to the owner are open.
    Full,
    /// The owner refuses the connection.
    Unreachable,
    /// The connection broke, or the response is not valid HTTP.
    Broken,
    /// The owner did not respond in time.
    TimedOut,
    /// This node is shutting down.
    Closing,
}

impl ForwardError {
    pub(super) const ALL: [ForwardError; 6] = [
        ForwardError::UnknownNode,
        ForwardError::Full,
        ForwardError::Unreachable,
        ForwardError::Broken,
        ForwardError::TimedOut,
        ForwardError::Closing,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            ForwardError::UnknownNode => "unknown_node",
            ForwardError::Full => "full",
            ForwardError::Unreachable => "unreachable",
            ForwardError::Broken => "broken",
            ForwardError::TimedOut => "timed_out",
            ForwardError::Closing => "closing",
        }
    }
}
