//! An attempt of a user to do something, and how it ended.

use std::fmt;

use roomful_testkit::history::{Name, Outcome, Stored};

/// What the user tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To connect.
    Connect,
    /// To join the room.
    Join,
    /// To send the message with this client id.
    Send(Name),
    /// To edit a message of their own.
    Edit,
    /// To react to a message.
    React,
}

impl Action {
    /// True if it adds something to the room's log.
    pub(super) fn writes(&self) -> bool {
        matches!(self, Self::Send(_) | Self::Edit | Self::React)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("a connection"),
            Self::Join => f.write_str("a join"),
            Self::Send(client_id) => write!(f, "the message {client_id}"),
            Self::Edit => f.write_str("an edit"),
            Self::React => f.write_str("a reaction"),
        }
    }
}

/// One attempt. The ordinals come from [`Recorder::tick`](roomful_testkit::history::Recorder::tick).
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) action: Action,
    /// The time before the request.
    pub(super) begun: u64,
    /// The time after the answer, or when the user gave up waiting for it.
    pub(super) ended: u64,
    /// What the server stored, if the attempt stores anything.
    pub(super) outcome: Outcome<Option<Stored>>,
}

impl Attempt {
    pub(super) fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }

    /// True if the server says that an earlier attempt had stored it.
    pub(super) fn is_duplicate(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(Some(stored)) if stored.duplicate)
    }

    /// The seq of a message that was stored.
    pub(super) fn message(&self) -> Option<u64> {
        match (&self.action, &self.outcome) {
            (Action::Send(_), Outcome::Ok(Some(stored))) => Some(stored.seq),
            _ => None,
        }
    }

    /// The code of the refusal, unless it is transient.
    pub(super) fn refusal(&self) -> Option<&Name> {
        match &self.outcome {
            Outcome::Failed(code) if !is_transient(code) => Some(code),
            _ => None,
        }
    }
}

/// True for the codes of a server that cannot do it now.
pub(super) fn is_transient(code: &str) -> bool {
    matches!(
        code,
        "unavailable" | "internal" | "rate_limited" | "token_expired"
    )
}
