//! Why a run could not be carried to its end. A broken law is no error but a finding.

/// The one error of the torture program.
#[derive(Debug, thiserror::Error)]
pub enum TortureError {
    /// A client or the server failed where nothing was broken on purpose.
    #[error(transparent)]
    Testkit(#[from] roomful_testkit::Error),
    /// The binary was not found.
    #[error(
        "there is no server at {0}: build it first (cargo build -p roomful), or name one with ROOMFUL_BIN"
    )]
    NoBinary(std::path::PathBuf),
    /// The disk that is to fill up could not be made, filled or freed.
    #[error("the disk that fills up: {0}")]
    Disk(String),
    /// Clocks can't be made wrong.
    #[error("clocks are made wrong by libfaketime, which is not installed")]
    NoFaketime,
    /// Nodes can't be given namespaces of their own here.
    #[error("nodes in network namespaces: {0}")]
    Namespaces(String),
    /// The network between the nodes could not be made, cut or mended.
    #[error("the network of the nodes: {0}")]
    Network(String),
    /// The server answered something that no client can make sense of.
    #[error("the server's answer to {what} makes no sense: {answer}")]
    Nonsense {
        /// To what.
        what: &'static str,
        /// What it was.
        answer: serde_json::Value,
    },
}
