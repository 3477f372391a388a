//! Bugs planted on purpose, to prove that the torture program finds bugs of their kind. Each has one hook, where the
//! real thing would be; none of it is compiled without the feature `planted-bugs`.

use std::sync::LazyLock;

/// A bug that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Writes are answered, and only then committed.
    AckBeforeCommit,
    /// Now and then an entry is delivered to nobody.
    SkipDelivery,
    /// A retry is stored once more.
    DuplicateOnRetry,
}

/// Whether this bug is the one that `ROOMFUL_PLANTED` names.
pub fn is(bug: Bug) -> bool {
    static PLANTED: LazyLock<Option<Bug>> =
        LazyLock::new(|| match std::env::var("ROOMFUL_PLANTED").ok()?.as_str() {
            "ack-before-commit" => Some(Bug::AckBeforeCommit),
            "skip-delivery" => Some(Bug::SkipDelivery),
            "duplicate-on-retry" => Some(Bug::DuplicateOnRetry),
            _ => None,
        });
    *PLANTED == Some(bug)
}
