//! The app's use of the content rules.

use roomful_store::{EntryKind, Recorded};

use super::{App, Sender};
use crate::{error::ChatError, room::Room};

impl App {
    /// Applies the content rules to a text that its sender wants to write in `room`. Masks it in place.
    /// Returns the entry if it is the text of a retry whose first attempt is stored: the rules may have been
    /// stricter since.
    ///
    /// # Errors
    /// `refused` if a rule refuses the text; `conflict` if the client id belongs to another kind of entry.
    pub(crate) async fn apply_rules(
        &self,
        room: &Room,
        sender: Sender<'_>,
        of: (EntryKind, Option<u64>),
        text: &mut String,
    ) -> Result<Option<Recorded>, ChatError> {
        let rules = &self.config.content_rules;
        let judged = rules.apply(&self.metrics, (room.name.as_str(), sender.user), text);
        if let Ok(false) = judged {
            return Ok(None);
        }
        let stored = self.stored(room, sender, of).await?;
        if stored.is_none() {
            judged?;
        }
        Ok(stored)
    }
}
