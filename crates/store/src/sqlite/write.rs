//! The changes that the writer thread applies.

use super::batch::Batch;

pub(super) use crate::group_commit::Weight;

/// A change to the database. It may be applied more than once, each time after a rollback of the time before.
pub(super) trait Write: Send + 'static {
    type Answer: Send + 'static;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Self::Answer>;

    fn weight(&self) -> Weight {
        Weight::SMALL
    }

    /// See [`crate::group_commit::Job::is_bulk`].
    fn is_bulk(&self) -> bool {
        false
    }
}
