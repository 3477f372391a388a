//! Errors that end a run early. A violation is a finding, not an error.

/// The error type of the torture program.
#[derive(Debug, thiserror::Error)]
pub enum TortureError {
    /// A client or the server failed without an injected fault.
    #[error(transparent)]
    Testkit(#[from] roomful_testkit::Error),
    /// The server binary does not exist.
    #[error("no server at {0}: build it (cargo build -p roomful), or set ROOMFUL_BIN")]
    NoBinary(std::path::PathBuf),
    /// Making, filling or freeing the small disk failed.
    #[error("the small disk: {0}")]
    Disk(String),
    /// Clock skew is not available.
    #[error("clock skew needs libfaketime, which is not installed")]
    NoFaketime,
    /// The attackers of an overload run failed.
    #[error("overload: {0}")]
    Overload(String),
    /// The process of the devices with the client package failed.
    #[error("devices with the client package: {0}")]
    Package(String),
    /// Network namespaces are not available.
    #[error("network namespaces: {0}")]
    Namespaces(String),
    /// Making, cutting or healing the network between the nodes failed.
    #[error("the network between the nodes: {0}")]
    Network(String),
    /// A client cannot interpret the server's answer.
    #[error("cannot interpret the server's answer to {what}: {answer}")]
    Nonsense {
        /// The request.
        what: &'static str,
        /// The answer.
        answer: serde_json::Value,
    },
}
