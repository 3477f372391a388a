//! The invariants, each as its violation.

use super::{MarkKind, Name};

/// A violated invariant, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant names its fields")]
pub enum Violation {
    /// An acknowledged message is in the log at the sequence number of its ack.
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
    /// Acks, deliveries and pages agree with the log.
    #[error("{room}: {by} shows another entry at {seq} than before")]
    Differs { room: Name, seq: u64, by: Name },
    /// A (room, user, client id) has one sequence number.
    #[error("{room}: {user}'s {client_id} is at {first} and at {second}")]
    TwoSeqs {
        room: Name,
        user: Name,
        client_id: Name,
        first: u64,
        second: u64,
    },
    /// At most one ack of a (room, user, client id) says that the message is new.
    #[error("{room}: {user}'s {client_id} was acknowledged as new twice, at {seq}")]
    NewTwice {
        room: Name,
        user: Name,
        client_id: Name,
        seq: u64,
    },
    /// A device gets each entry after its join once and in order.
    #[error("{room}: {device} received {got} instead of {expected}")]
    Run {
        room: Name,
        device: Name,
        expected: u64,
        got: u64,
    },
    /// A device gets entries only of rooms that it has joined.
    #[error("{room}: {device} received {seq} without a subscription")]
    Uninvited { room: Name, device: Name, seq: u64 },
    /// A subscribed device has all entries when no operation is in flight.
    #[error("{room}: {device} has seen up to {seen}, and the log ends at {head}")]
    Behind {
        room: Name,
        device: Name,
        seen: u64,
        head: u64,
    },
    /// Every entry that a client has seen is in the log.
    #[error("{room}: {by} showed {seq}, but the log ends at {head}")]
    Unlogged {
        room: Name,
        seq: u64,
        by: Name,
        head: u64,
    },
    /// Every entry in the log was sent by a client.
    #[error("{room}: no client sent the entry at {seq}")]
    Invented { room: Name, seq: u64 },
    /// A refused message is not in the log.
    #[error("{room}: {user}'s {client_id} was refused but is in the log at {seq}")]
    RefusedButStored {
        room: Name,
        user: Name,
        client_id: Name,
        seq: u64,
    },
    /// Without retention there is no reason for `reset`.
    #[error("{room}: {device} has all entries up to {since} of {head}, but the join says reset")]
    NeedlessReset {
        room: Name,
        device: Name,
        since: u64,
        head: u64,
    },
    /// A log keeps its epoch.
    #[error("{room}: the epoch was {before} and is {after}")]
    EpochChanged { room: Name, before: Name, after: Name },
    /// A notification comes at most once per connection.
    #[error("{device} received the notification {id} twice on one connection")]
    NotifiedTwice { device: Name, id: Name },
    /// An acknowledged notification reaches every device of its recipients.
    #[error("{device} never received the notification {id}")]
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
    /// Events about a mark only report growth.
    #[error("{room}: {device} got {user}'s {kind:?} mark at {before}, and then at {after}")]
    NewsWentBack {
        room: Name,
        device: Name,
        user: Name,
        kind: MarkKind,
        before: u64,
        after: u64,
    },
}

/// Where the log has a message.
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
