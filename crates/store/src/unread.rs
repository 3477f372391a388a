//! Counting unread messages without reading them: running numbers, and counts for blocks of sequence numbers.
//!
//! Each entry stores how many messages its room had up to it, so the messages of a span are a difference of
//! two numbers. The same holds for the messages of one author. Deleted messages and mentions are counted for
//! blocks of two sizes: a count reads single rows up to the end of the smallest block, then small blocks up
//! to the end of the large one, then large blocks.

use std::ops::RangeInclusive;

use crate::RoomId;

/// The sizes of blocks. SQL statements name them, too.
pub(crate) const BLOCK_SIZES: [u64; 2] = [128, 16_384];

/// The last number of the block of this size that holds `seq`. A size is a power of two.
pub(crate) const fn block_end(seq: u64, size: u64) -> u64 {
    seq | (size - 1)
}

/// A room, as far as the counts of unread messages depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoomTotals {
    pub(crate) room: RoomId,
    /// The oldest entry that is kept.
    pub(crate) first: u64,
    /// The newest entry.
    pub(crate) head: u64,
    /// Messages ever appended.
    pub(crate) messages: u64,
    /// Messages that users deleted.
    pub(crate) deletions: u64,
}

impl RoomTotals {
    /// The entries that a member with this read mark has not read.
    pub(crate) fn unread_span(&self, mark: u64) -> RangeInclusive<u64> {
        self.first.max(mark.saturating_add(1))..=self.head
    }
}
