//! The price of each event in rate-limit tokens: one, plus its size and the work that it causes.
//!
//! A token stands for about half a millisecond of a core. The price of an answer is known only afterwards, so
//! the connection owes it, and its next event pays.

use roomful_store::{Entry, History};

use crate::events::Command;

/// Each full 16 KiB of an event's payload costs one token more.
const BYTES_IN: usize = 16 * 1024;
/// Each full 32 KiB of an answer cost one token.
const BYTES_OUT: usize = 32 * 1024;
/// Each full 10 rooms of a `chat:sync` cost one token.
const SYNCED_ROOMS: usize = 10;
/// Each full 25 rows of a `chat:inbox` answer cost one token.
const INBOX_ROWS: usize = 25;
/// Each full 25 users whose presence is looked up cost one token.
const SUBSCRIBED_USERS: usize = 25;
/// The size of an entry in an answer without its body, in bytes.
const ENTRY_BYTES: usize = 256;

/// A block, an act of moderation, or the end of one costs so many tokens more, since it commits alone.
const LONE_COMMIT: u32 = 4;

/// A leave by a former member costs so many tokens more. It ends nothing, but other nodes hear of it.
pub(crate) const NO_LEAVE: u32 = 20;

/// Tokens for an event whose payload has this many bytes, before it is decoded.
pub(crate) fn of_event(bytes: usize) -> u32 {
    1 + tokens(bytes, BYTES_IN)
}

/// Tokens for the work of a command, in addition to [`of_event`].
pub(crate) fn of_command(command: &Command) -> u32 {
    match command {
        Command::Sync(sync) => tokens(sync.rooms.len(), SYNCED_ROOMS),
        Command::PresenceSubscribe(ask) | Command::PresenceUnsubscribe(ask) => {
            tokens(ask.users.len(), SUBSCRIBED_USERS)
        }
        Command::Block(_) | Command::Unblock(_) | Command::Moderate(_) => LONE_COMMIT,
        Command::GetUsers(ask) => tokens(ask.users.len(), SUBSCRIBED_USERS),
        _ => 0,
    }
}

/// Tokens for a change of a membership after which so many users have to be compared with its user.
pub(crate) fn of_comparisons(users: usize) -> u32 {
    tokens(users, SUBSCRIBED_USERS)
}

/// Tokens for an answer of this many bytes.
pub(crate) fn of_answer(bytes: usize) -> u32 {
    tokens(bytes, BYTES_OUT)
}

/// Tokens for the rows of a `chat:inbox` answer.
pub(crate) fn of_inbox(rows: usize) -> u32 {
    tokens(rows, INBOX_ROWS)
}

/// The approximate size of a page in an answer, in bytes.
pub(crate) fn page_bytes(history: &History) -> usize {
    let bytes = |entry: &Entry| ENTRY_BYTES + entry.body.len();
    history.entries.iter().map(bytes).sum()
}

fn tokens(amount: usize, per_token: usize) -> u32 {
    u32::try_from(amount / per_token).unwrap_or(u32::MAX)
}
