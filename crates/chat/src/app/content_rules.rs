//! The app's use of the content rules.

use super::App;
use crate::{error::ChatError, room::Room, types::UserId};

impl App {
    /// Applies the content rules to a text that `user` wants to write in `room`. Masks it in place.
    ///
    /// # Errors
    /// `refused` if a rule refuses the text.
    pub(crate) fn apply_rules(&self, room: &Room, user: &UserId, text: &mut String) -> Result<(), ChatError> {
        let rules = &self.config.content_rules;
        rules.apply(&self.metrics, (room.name.as_str(), user), text)
    }
}
