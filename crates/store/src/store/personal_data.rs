//! Personal data: exporting and erasing all that is stored about a user.

use async_trait::async_trait;

use crate::{
    AppendResult, Erasure, ErasureStep, ExportPart, ExportRow, NewEntry, RoomId, RoomsAbout, StoreError,
};

/// The data of single users, over all tables.
#[async_trait]
pub trait PersonalData: Send + Sync {
    /// The rooms after `after`, by id, that hold anything about a user.
    async fn rooms_about(&self, user: &str, after: RoomId) -> Result<RoomsAbout, StoreError>;

    /// The rows of a part about a user whose keys follow `after`, by key, about `limit` of them.
    async fn export(
        &self,
        user: &str,
        part: ExportPart,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ExportRow>, StoreError>;

    /// Notes that a user is to be erased, and revokes their tokens. Answers the erasure that is to be carried
    /// out: an earlier one of the same user keeps its alias. If another run owns that, nothing changes.
    async fn begin_erasure(&self, erasure: Erasure) -> Result<Erasure, StoreError>;

    /// Gives an erasure to the run `to`, if the run `from` owns it. From then on, all other calls of `from`
    /// about the erasure fail with [`crate::Outage::Fenced`] and change nothing. Answers false if `from` does
    /// not own it.
    async fn take_over_erasure(&self, user: &str, from: &str, to: &str) -> Result<bool, StoreError>;

    /// The erasures that have begun and not ended.
    async fn erasures(&self) -> Result<Vec<Erasure>, StoreError>;

    /// Carries out one commit's worth of a step, from the key `from` on. Answers the key to go on from;
    /// `None` at the end of the step. Steps may be repeated. Fails with [`crate::Outage::Fenced`] if another
    /// run owns the erasure, or if it has ended.
    async fn erase(&self, erasure: &Erasure, step: ErasureStep, from: i64)
    -> Result<Option<i64>, StoreError>;

    /// Appends a control entry, which may name the user. Fails like [`Self::erase`], so that no such entry
    /// follows the step that removes them.
    async fn append_in_erasure(
        &self,
        erasure: &Erasure,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError>;

    /// Forgets an erasure after its last step. Fails like [`Self::erase`].
    async fn end_erasure(&self, erasure: &Erasure) -> Result<(), StoreError>;

    /// Removes what deleted rows leave in unused parts of the database file, if the engine does not do so by
    /// itself and the file is at most [`compact_up_to`](crate::Options::compact_up_to) bytes. Other writes
    /// wait meanwhile. Answers false if the file is larger.
    async fn compact(&self) -> Result<bool, StoreError> {
        Ok(true)
    }
}
