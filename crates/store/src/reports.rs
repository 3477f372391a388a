//! Reports: messages that users bring to the attention of moderators.

use crate::RoomId;

/// A message that a user reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReport {
    /// The room.
    pub room_id: RoomId,
    /// The number of the message.
    pub seq: u64,
    /// The author of the message.
    pub author: String,
    /// The user who reports it.
    pub reporter: String,
    /// The kind of offence, such as `spam`.
    pub reason: String,
    /// What the reporter says about it.
    pub comment: Option<String>,
    /// JSON of the message as it is now. Later edits do not change it.
    pub message: String,
    /// When.
    pub at: i64,
    /// JSON for the outbox record.
    pub record: String,
}

/// How many reports one user may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportQuota {
    /// Counts reports from after this time.
    pub since: i64,
    /// The most of them.
    pub most: u32,
}

/// The outcome of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// The report has this id.
    New(i64),
    /// The same user reported the message before, under this id.
    Known(i64),
    /// The user has reported as much as the quota allows.
    OverQuota,
    /// There is no such room.
    NoSuchRoom,
}

/// The outcome of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportState {
    /// Nobody has decided yet.
    Open,
    /// It had no consequence.
    Dismissed,
    /// The message was deleted.
    Deleted,
    /// The author was muted in the room.
    Muted,
    /// The author was banned from the room.
    Banned,
}

impl ReportState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Dismissed,
        Self::Deleted,
        Self::Muted,
        Self::Banned,
    ];
}

/// A stored report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its number, from 1. There may be gaps.
    pub id: i64,
    /// The room.
    pub room_id: RoomId,
    /// The name of the room.
    pub room: String,
    /// [`NewReport::seq`].
    pub seq: u64,
    /// [`NewReport::author`].
    pub author: String,
    /// [`NewReport::reporter`].
    pub reporter: String,
    /// [`NewReport::reason`].
    pub reason: String,
    /// [`NewReport::comment`].
    pub comment: Option<String>,
    /// [`NewReport::message`].
    pub message: String,
    /// [`NewReport::at`].
    pub at: i64,
    /// Its outcome.
    pub state: ReportState,
    /// When a moderator resolved it.
    pub resolved_at: Option<i64>,
    /// Who resolved it.
    pub resolved_by: Option<String>,
}

/// Whose reports to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ReportsOf {
    /// Those of everybody.
    #[default]
    All,
    /// Those about messages of this user.
    Author(String),
    /// Those that this user has made.
    Reporter(String),
}

/// The reports to list, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPage {
    /// Whose reports.
    pub of: ReportsOf,
    /// Only reports in this state.
    pub state: Option<ReportState>,
    /// The page begins behind this id.
    pub after: i64,
    /// Maximum number of reports.
    pub limit: u32,
}

/// The end of an open report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The report.
    pub id: i64,
    /// Its new state.
    pub state: ReportState,
    /// Who resolves it.
    pub by: String,
    /// When.
    pub at: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, room_id, room, seq, author, reporter, reason, comment, message, at, state,
                resolved_at, resolved_by FROM reports ",
            $rest
        )
    };
}

/// The reports behind an id, in all states. SQLite numbers parameters by their first occurrence.
pub(crate) const PAGE: &str = select!("WHERE id > $1 ORDER BY id LIMIT $2");
/// The same for one state, the second parameter.
pub(crate) const PAGE_OF_STATE: &str = select!("WHERE id > $1 AND state = $2 ORDER BY id LIMIT $3");
/// The same about messages of a user, or by a user; the number of a state, or a negative one for all states.
pub(crate) const PAGE_OF_AUTHOR: &str =
    select!("WHERE author = $1 AND id > $2 AND (CAST($3 AS bigint) < 0 OR state = $3) ORDER BY id LIMIT $4");
pub(crate) const PAGE_OF_REPORTER: &str = select!(
    "WHERE reporter = $1 AND id > $2 AND (CAST($3 AS bigint) < 0 OR state = $3) ORDER BY id LIMIT $4"
);
pub(crate) const BY_ID: &str = select!("WHERE id = $1");
/// The id of a user's report of a message.
pub(crate) const KNOWN: &str = "SELECT id FROM reports WHERE room_id = $1 AND seq = $2 AND reporter = $3";
/// How many reports a user has made since a time, counted up to a number.
pub(crate) const COUNT: &str =
    "SELECT count(*) FROM (SELECT 1 FROM reports WHERE reporter = $1 AND at > $2 LIMIT $3) r";
pub(crate) const INSERT: &str =
    "INSERT INTO reports (room_id, room, seq, author, reporter, reason, comment, message, at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (room_id, seq, reporter) DO NOTHING RETURNING id";
pub(crate) const RESOLVE: &str =
    "UPDATE reports SET state = $1, resolved_at = $2, resolved_by = $3 WHERE id = $4 AND state = 0";
/// Deletes reports from before a time, at most [`crate::trim::ROWS_PER_COMMIT`].
pub(crate) const TRIM: &str = "DELETE FROM reports WHERE id IN
    (SELECT id FROM reports WHERE at < $1 ORDER BY at LIMIT 1000)";
