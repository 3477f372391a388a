//! A user's id.

use std::sync::Arc;

/// A user's id, the token's `sub`. All connections of a user share one copy.
pub type UserId = Arc<str>;
