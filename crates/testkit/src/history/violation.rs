//! The laws, by the ways in which they can be broken.

use super::{MarkKind, Name};

/// A law that was broken, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant names its fields")]
pub enum Violation {
    /// Acknowledged means in the log, at the place that the ack named.
    #[error("{room}: {user}'s {client_id} was acknowledged as {seq}, but the log has it {found}")]
    LostAck {
        room: Name,
        user: Name,
        client_id: Name,
        seq: u64,
        found: Place,
    },
    /// An acknowledged edit, deletion or reaction is in the log.
    #[error("{room}: {lost} acknowledged edits, deletions or reactions are not in the log")]
    LostChange { room: Name, lost: usize },
    /// A log is numbered 1, 2, 3, …
    #[error("{room}: the log has {got} where {expected} must be")]
    Hole { room: Name, expected: u64, got: u64 },
    /// Acks, deliveries and pages agree with the log on what stands where.
    #[error("{room}: {by} shows something else at {seq} than was shown there before")]
    Differs { room: Name, seq: u64, by: Name },
    /// A (room, user, client id) has one place.
    #[error("{room}: {user}'s {client_id} is at {first} and at {second}")]
    TwoSeqs {
        room: Name,
        user: Name,
        client_id: Name,
        first: u64,
        second: u64,
    },
    /// Of all acks of a (room, user, client id), one at most says that it is new.
    #[error("{room}: {user}'s {client_id} was acknowledged as new twice, at {seq}")]
    NewTwice {
        room: Name,
        user: Name,
        client_id: Name,
        seq: u64,
    },
    /// A device sees each entry behind its join, in order, once.
    #[error("{room}: {device} was given {got} where {expected} must come")]
    Run {
        room: Name,
        device: Name,
        expected: u64,
        got: u64,
    },
    /// A device is sent entries only where it has joined.
    #[error("{room}: {device} was given {seq} without being subscribed")]
    Uninvited { room: Name, device: Name, seq: u64 },
    /// Who is subscribed when all is quiet has everything.
    #[error("{room}: {device} has seen up to {seen}, and the log ends at {head}")]
    Behind {
        room: Name,
        device: Name,
        seen: u64,
        head: u64,
    },
    /// What was shown to anybody is in the log.
    #[error("{room}: {by} showed {seq}, but the log ends at {head}")]
    Unlogged {
        room: Name,
        seq: u64,
        by: Name,
        head: u64,
    },
    /// What is in the log was sent by somebody.
    #[error("{room}: nobody sent what the log has at {seq}")]
    Invented { room: Name, seq: u64 },
    /// What was refused for good is not in the log.
    #[error("{room}: {user}'s {client_id} was refused and is in the log at {seq}")]
    RefusedButStored {
        room: Name,
        user: Name,
        client_id: Name,
        seq: u64,
    },
    /// As long as everything is kept there is no reason to say `reset`.
    #[error("{room}: {device} has all up to {since}, the log ends at {head}, and still the join says reset")]
    NeedlessReset {
        room: Name,
        device: Name,
        since: u64,
        head: u64,
    },
    /// A log keeps its epoch for as long as it is the same log.
    #[error("{room}: the epoch was {before} and is {after}")]
    EpochChanged { room: Name, before: Name, after: Name },
    /// A notification comes once over a connection.
    #[error("{device} was given the notification {id} twice over one connection")]
    NotifiedTwice { device: Name, id: Name },
    /// A notification that was acknowledged reaches every device of whom it is for.
    #[error("{device} was never given the notification {id}")]
    NeverNotified { device: Name, id: Name },
    /// A mark only grows.
    #[error("{room}: {user}'s {kind:?} mark stood at {before}, and later at {after}")]
    MarkWentBack {
        room: Name,
        user: Name,
        kind: MarkKind,
        before: u64,
        after: u64,
    },
    /// News of a mark only tell that it has grown.
    #[error("{room}: {device} heard of {user}'s {kind:?} mark at {before}, and then at {after}")]
    NewsWentBack {
        room: Name,
        device: Name,
        user: Name,
        kind: MarkKind,
        before: u64,
        after: u64,
    },
}

/// Where the log has a message, if it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    Nowhere,
    /// Here.
    At(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nowhere => f.write_str("nowhere"),
            Self::At(seq) => write!(f, "at {seq}"),
        }
    }
}
