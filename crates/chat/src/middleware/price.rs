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
/// Each full 10 mentions of a message cost one token: the commit checks each for a block and writes two rows.
const MENTIONS: usize = 10;
/// Each full 100 connections that a change of a user's status goes to cost one token.
const ANNOUNCED: usize = 100;
/// The size of an entry in an answer without its body, in bytes.
const ENTRY_BYTES: usize = 256;

/// Additional tokens for a block or its end: it commits two rows, and changes who sees whose presence.
const BLOCK: u32 = 1;
/// Additional tokens for a `chat:moderate`. It takes the time of two to four sends: a ban commits the
/// sanction, the end of the membership and a record of the audit log.
const MODERATE: u32 = 2;

/// Additional tokens for a leave by a former member. It ends nothing, but the other nodes get a message.
pub(crate) const NO_LEAVE: u32 = 20;

/// Tokens for an event whose payload has this many bytes, before it is decoded.
pub(crate) fn of_event(bytes: usize) -> u32 {
    1 + tokens(bytes, BYTES_IN)
}

/// Tokens for the work of a command, in addition to [`of_event`].
pub(crate) fn of_command(command: &Command) -> u32 {
    match command {
        Command::Send(send) => tokens(send.draft.mentions.len(), MENTIONS),
        Command::Sync(sync) => tokens(sync.rooms.len(), SYNCED_ROOMS),
        Command::PresenceSubscribe(ask) | Command::PresenceUnsubscribe(ask) => {
            tokens(ask.users.len(), SUBSCRIBED_USERS)
        }
        Command::Block(_) | Command::Unblock(_) => BLOCK,
        Command::Moderate(_) => MODERATE,
        Command::GetUsers(ask) => tokens(ask.users.len(), SUBSCRIBED_USERS),
        _ => 0,
    }
}

/// Tokens for a change of a membership, after which this many users have to be compared with the member.
pub(crate) fn of_comparisons(users: usize) -> u32 {
    tokens(users, SUBSCRIBED_USERS)
}

/// Tokens for a change of a status that goes to this many connections of others.
pub(crate) fn of_announcement(connections: usize) -> u32 {
    tokens(connections, ANNOUNCED)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_prices_are_the_charged_ones() {
        let documented = include_str!("../../../../docs/events.md");
        let (_, table) = documented.split_once("### What an event costs").unwrap();
        let (table, _) = table.split_once("\n### ").unwrap();
        for price in [
            format!("| each full {} KiB of its payload | 1 more |", BYTES_IN / 1024),
            format!("each full {} KiB in the answer | 1, paid", BYTES_OUT / 1024),
            format!("| `chat:send_message`: each full {MENTIONS} mentions | 1 more |"),
            format!("| `chat:sync`: each full {SYNCED_ROOMS} rooms | 1 more |"),
            format!("`user:get`: each full {SUBSCRIBED_USERS} users | 1 more |"),
            format!("each full {SUBSCRIBED_USERS} users whom the user's connections are subscribed to"),
            format!("| `chat:inbox`: each full {INBOX_ROWS} rooms in the answer | 1, paid"),
            format!("`presence:set_status` that changes the status: each full {ANNOUNCED} connections"),
            format!("| `user:block`, `user:unblock` | {BLOCK} more |"),
            format!("| `chat:moderate` | {MODERATE} more |"),
            format!("| `chat:leave` of a room that the user has left already | {NO_LEAVE} more |"),
        ] {
            assert!(table.contains(&price), "docs/events.md lacks {price:?}");
        }
        let rows = table.lines().filter(|line| line.starts_with("| ")).count();
        assert_eq!(
            rows,
            1 + 12,
            "a title, and one row for each price and the basic one"
        );
    }
}
