//! Backend calls for the records of webhooks and streams.

use roomful_store::{Record, RecordState, Replay};

use crate::{error::ChatError, server::ChatServer};

impl ChatServer {
    /// The records in a state, or in all states, newest first. None if the store keeps no records.
    ///
    /// # Errors
    /// `unavailable` if the store cannot answer.
    pub async fn records(&self, state: Option<RecordState>, limit: u32) -> Result<Vec<Record>, ChatError> {
        match self.app.store.outbox() {
            Some(outbox) => Ok(outbox.list(state, limit).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Makes records due now, with their attempts reset. Returns how many.
    ///
    /// # Errors
    /// `not_found` for an id without a record.
    pub async fn replay(&self, which: Replay) -> Result<u64, ChatError> {
        let needs_one = matches!(which, Replay::Id(_));
        let again = match self.app.store.outbox() {
            Some(outbox) => outbox.replay(which, self.app.clock.now_ms()).await?,
            None => 0,
        };
        if needs_one && again == 0 {
            return Err(ChatError::NotFound("there is no record of this id"));
        }
        Ok(again)
    }
}
