//! The rules of an append, written once for both stores: a store loads the rows that a batch touches,
//! [`Plan`] decides about each entry, and the store writes what the plan says.
//!
//! | file | what |
//! |---|---|
//! | `touched` | which rows a batch touches |
//! | `plan` | deduplication, numbering, edits, deletes, reactions and limits; a pure value |
//! | `guards` | what moderation forbids the authors |
//! | `moderation` | the statements of moderation, in both dialects |
//! | `dedup` | the dedup record of an entry, and how a retry compares with it |
//! | `room_bounds` | the first and the newest entry of a room while a transaction changes them |
//! | `usage` | the daily quota of bytes |
//! | `mutations` | the statements that edits, deletes, reactions and retention take, in both dialects |

mod dedup;
mod guards;
mod moderation;
mod mutations;
mod plan;
mod room_bounds;
#[cfg(test)]
mod tests;
mod touched;
mod usage;

pub(crate) use self::{
    dedup::{DedupKey, DedupRecord, RECORDED, RecordedText, fingerprint, is_erased},
    guards::{Ends, Guards, RoomGuard, authors, members, mentions},
    moderation::{
        ALL_SANCTIONS_OF, BLOCKS, FORGET_SANCTIONS, MAY_ENTER, MESSAGES_OF, MODERATORS, MUTES, SANCTIONS,
        SANCTIONS_OF, room_deleted, statements,
    },
    mutations::{
        ERASE_ALL_EDITS, ERASE_EDITS, FORGET_USAGE, Param, Statement, forget_dedup, mutation, removal, sweep,
    },
    plan::{Limits, Loaded, Plan, PlannedEntry, Target},
    room_bounds::{RoomBounds, Sweep},
    touched::{Author, Touched},
    usage::{Allowances, Reservations, day_of},
};
