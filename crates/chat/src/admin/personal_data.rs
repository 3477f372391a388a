//! Backend calls that export and erase all that is stored about a user.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};

use super::user_id;
use crate::{
    detached::run_to_completion,
    error::ChatError,
    personal_data::{Export, erase, resume},
    server::ChatServer,
};

pub use crate::personal_data::Erased;

impl ChatServer {
    /// All that is stored about a user, as lines of JSON, in chunks of a bounded size. The stream reads each
    /// chunk when its consumer asks for it, so it may miss or contain later changes. It is empty for an
    /// unknown user.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id; `unavailable` and `internal` if the store failed, also in the
    /// stream.
    pub async fn export_user(
        &self,
        user: &str,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, ChatError>> + Send + use<>, ChatError> {
        let mut export = Export::of(&self.app, user_id(user)?);
        let first = export.next_chunk().await?;
        let rest = stream::try_unfold(export, |mut export| async move {
            let chunk = export.next_chunk().await?;
            Ok(chunk.map(|chunk| (chunk, export)))
        });
        Ok(stream::iter(first.map(Ok)).chain(rest))
    }

    /// Erases a user: revokes their tokens, closes their connections, ends their memberships, and removes
    /// them from everything stored. Their messages are deleted, or with `anonymise` stay under a random
    /// id. Returns when all is done. A repeated call is harmless, and a restart after a crash continues it.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id; `unavailable` and `internal` if the store failed: repeat the
    /// call.
    pub async fn erase_user(&self, user: &str, anonymise: bool) -> Result<Erased, ChatError> {
        let (app, user) = (Arc::clone(&self.app), user_id(user)?);
        run_to_completion(async move { erase(&app, &user, anonymise).await }).await
    }

    /// Finishes the erasures that a crash or a failure of the store has interrupted. Call it once, after the
    /// start. It never returns: drop it before the store closes.
    pub async fn resume_erasures(&self) {
        resume(&self.app).await;
    }
}
