//! Why a session was not recovered.

/// The cause of a refused recovery. The client gets a new session instead, and syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the offset does not belong to this log")]
    ForeignOffset,
    #[error("another connection is recovering it")]
    AlreadyRecovering,
    #[error("the end of the session is not stored yet")]
    EndNotStored,
    #[error("the previous connection did not end in time")]
    StillConnected,
    #[error("the session is unknown, expired, incomplete, or belongs to another user")]
    UnknownSession,
    #[error("the session has too many rooms")]
    TooManyRooms,
    #[error("the token does not allow one of its rooms")]
    RoomNotAllowed,
    #[error("one of its rooms was deleted")]
    RoomDeleted,
    #[error("the log was restored during the recovery")]
    LogRestored,
    #[error("it missed too many events, retention removed some of them, or its rooms changed meanwhile")]
    TooManyMissed,
    #[error("the missed events are too large")]
    MissedTooLarge,
    #[error("a stored row is malformed")]
    Malformed,
    #[error("the store failed")]
    StoreFailed,
    #[error("the server failed")]
    ServerFailed,
}

impl Refusal {
    pub(crate) const ALL: [Self; 14] = [
        Self::ForeignOffset,
        Self::AlreadyRecovering,
        Self::EndNotStored,
        Self::StillConnected,
        Self::UnknownSession,
        Self::TooManyRooms,
        Self::RoomNotAllowed,
        Self::RoomDeleted,
        Self::LogRestored,
        Self::TooManyMissed,
        Self::MissedTooLarge,
        Self::Malformed,
        Self::StoreFailed,
        Self::ServerFailed,
    ];

    /// The label `cause` of the counter.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ForeignOffset => "foreign_offset",
            Self::AlreadyRecovering => "already_recovering",
            Self::EndNotStored => "end_not_stored",
            Self::StillConnected => "still_connected",
            Self::UnknownSession => "unknown_session",
            Self::TooManyRooms => "too_many_rooms",
            Self::RoomNotAllowed => "room_not_allowed",
            Self::RoomDeleted => "room_deleted",
            Self::LogRestored => "log_restored",
            Self::TooManyMissed => "too_many_missed",
            Self::MissedTooLarge => "missed_too_large",
            Self::Malformed => "malformed",
            Self::StoreFailed => "store_failed",
            Self::ServerFailed => "server_failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_own_counter() {
        let labels: std::collections::HashSet<_> = Refusal::ALL.map(Refusal::label).into();
        assert_eq!(labels.len(), Refusal::ALL.len());
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index, "{refusal:?}");
        }
    }
}
