//! The app's use of the content rules.

use roomful_store::{EntryKind, Recorded};

use super::App;
use crate::{error::ChatError, room::Room, types::UserId};

impl App {
    /// Applies the content rules to a text that `user` wants to write in `room`. Masks it in place. Returns
    /// the entry if it is the text of a retry whose first attempt is stored: the rules may have been stricter
    /// since.
    ///
    /// # Errors
    /// `refused` if a rule refuses the text; `conflict` if the client id belongs to another kind of entry.
    pub(crate) async fn apply_rules(
        &self,
        room: &Room,
        (user, client_id): (&UserId, Option<&str>),
        of: (EntryKind, Option<u64>),
        text: &mut String,
    ) -> Result<Option<Recorded>, ChatError> {
        let rules = &self.config.content_rules;
        let judged = rules.apply(&self.metrics, (room.name.as_str(), user), text);
        if let Ok(false) = judged {
            return Ok(None);
        }
        let stored = self.stored(room, user, client_id, of).await?;
        if stored.is_none() {
            judged?;
        }
        Ok(stored)
    }
}
