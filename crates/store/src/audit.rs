//! The audit log: who changed what, and when.

/// A change that an API key or a moderator made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditRecord {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The moderator, or the API key as `key:NAME`.
    pub actor: String,
    /// The call, such as `PUT /rooms/{room}` or `chat:moderate`.
    pub action: String,
    /// The room that it concerns.
    pub room: Option<String>,
    /// The user whom it concerns.
    pub user_id: Option<String>,
    /// Status of the answer, as in HTTP.
    pub status: u16,
    /// JSON of the changed state, as it was before. Neither secrets nor texts of messages.
    pub before: Option<String>,
    /// JSON of the changed state, as it is now. Neither secrets nor texts of messages.
    pub after: Option<String>,
}

/// A stored [`AuditRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1, ascending in the order of commits. There may be gaps.
    pub id: i64,
    /// The record.
    pub record: AuditRecord,
}

/// The entries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// Only entries with a greater id, the oldest first. Without it the newest come first.
    pub after: Option<i64>,
    /// Only entries with a smaller id.
    pub before: Option<i64>,
    /// Only entries of this actor.
    pub actor: Option<String>,
    /// Only entries of this action.
    pub action: Option<String>,
    /// Maximum number of entries.
    pub limit: u32,
}

impl AuditPage {
    /// The statement that reads the page. Its parameters: both bounds, the actor and the action, empty for
    /// all, and the limit.
    pub(crate) fn sql(&self) -> &'static str {
        if self.after.is_some() {
            OLDEST_FIRST
        } else {
            NEWEST_FIRST
        }
    }

    /// The bounds of the ids, exclusive.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        (self.after.unwrap_or_default(), self.before.unwrap_or(i64::MAX))
    }
}

macro_rules! page {
    ($order:literal) => {
        concat!(
            "SELECT id, at, actor, action, room, user_id, status, before, after FROM audit
             WHERE id > $1 AND id < $2 AND ($3 = '' OR actor = $3) AND ($4 = '' OR action = $4)
             ORDER BY id ",
            $order,
            " LIMIT $5"
        )
    };
}

const OLDEST_FIRST: &str = page!("ASC");
const NEWEST_FIRST: &str = page!("DESC");

/// Deletes old entries among the first ones, at most [`crate::trim::ROWS_PER_COMMIT`].
pub(crate) const TRIM: &str =
    "DELETE FROM audit WHERE at < $1 AND id IN (SELECT id FROM audit ORDER BY id LIMIT 1000)";
