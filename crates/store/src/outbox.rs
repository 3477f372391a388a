//! The outbox: records of events for sinks outside the process, written in the transaction of their cause.
//!
//! The store keeps a record once for each sink that wants it, each with a state of its own. The caller
//! sends records to the sinks and settles them here.

use async_trait::async_trait;
use rand::RngExt as _;
use tokio::sync::watch;

use crate::{RoomId, RoomRow, StoreError};

/// The event that a record describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A message was appended. Written by [`Store::append`](crate::Store::append).
    MessageCreated,
    /// A member has not acknowledged a message. Written by [`Outbox::report_undelivered`].
    MessageUndelivered,
    /// A user came online. Written by [`Outbox::record`].
    UserOnline,
    /// A user went offline. Written by [`Outbox::record`].
    UserOffline,
    /// A room was created. Written by [`Store::open_room`](crate::Store::open_room).
    RoomCreated,
    /// A room has no online users left. Written by [`Outbox::record`].
    RoomEmptied,
    /// A user has reported a message. Written by [`Reports::report`](crate::Reports::report). The user of the
    /// record is the reporter, and its client id the id of the report. It has no seq: edits of the message do
    /// not change it.
    MessageReported,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::MessageCreated,
        Self::MessageUndelivered,
        Self::UserOnline,
        Self::UserOffline,
        Self::RoomCreated,
        Self::RoomEmptied,
        Self::MessageReported,
    ];
}

/// Which records are written. Without sinks none are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxOptions {
    /// The sinks, with unique names.
    pub sinks: Vec<Sink>,
    /// Milliseconds from a message to the first check of its acknowledgements.
    pub first_check_ms: i64,
    /// Milliseconds from a message to the second and last check. The only check if this is not later than
    /// the first.
    pub last_check_ms: i64,
    /// Rooms with more members than this cause no [`RecordKind::MessageUndelivered`].
    pub members_max: u32,
    /// Longest delay of a retry in milliseconds. A record that would be due later was written by a clock
    /// that was ahead.
    pub retry_max_ms: i64,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            first_check_ms: 5_000,
            last_check_ms: 30_000,
            members_max: 1_000,
            retry_max_ms: 3_600_000,
        }
    }
}

impl OutboxOptions {
    /// Options with one sink that wants all kinds of records.
    #[cfg(any(test, feature = "contract"))]
    pub(crate) fn to_one_sink() -> Self {
        let sink = Sink {
            name: "all".into(),
            kinds: RecordKind::ALL.to_vec(),
        };
        Self {
            sinks: vec![sink],
            ..Self::default()
        }
    }

    /// The latest time at which a retry can be due at `now`.
    pub(crate) fn latest_due(&self, now: i64) -> i64 {
        now.saturating_add(self.retry_max_ms)
    }

    /// Whether any sink wants records of this kind.
    pub(crate) fn wants(&self, kind: RecordKind) -> bool {
        self.sinks.iter().any(|sink| sink.kinds.contains(&kind))
    }
}

/// A receiver of records outside the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// The kinds of records that it receives.
    pub kinds: Vec<RecordKind>,
}

/// State of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// The record waits for its next attempt.
    Pending,
    /// The sink has received it.
    Delivered,
    /// Its attempts are used up.
    Dead,
}

impl RecordState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];
}

/// A record as one sink receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key among the records of all sinks, ascending in the order of writing.
    pub n: i64,
    /// Unique for the event; the same for all sinks and attempts.
    pub id: String,
    /// The sink.
    pub sink: String,
    /// Its kind.
    pub kind: RecordKind,
    /// Time of the event, or of the message.
    pub at: i64,
    /// Its state.
    pub state: RecordState,
    /// Failed attempts.
    pub attempts: u32,
    /// When a pending record is due, or when another one reached its state.
    pub due_at: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Name of the room, for messages and rooms.
    pub room: Option<String>,
    /// The room's epoch.
    pub epoch: Option<String>,
    /// Sequence number of the message.
    pub seq: Option<u64>,
    /// Author of the message, or the user of a presence event.
    pub user_id: Option<String>,
    /// Display name of that user.
    pub user_name: Option<String>,
    /// Client id of the message.
    pub client_id: Option<String>,
    /// The members who have not acknowledged the message, by id.
    pub recipients: Vec<String>,
    /// Body of the message, as appended.
    pub body: Option<String>,
}

/// An event outside of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// A user came online.
    UserOnline {
        /// The user.
        user: String,
        /// Display name, if known.
        name: Option<String>,
        /// Time of the event.
        at: i64,
    },
    /// A user went offline.
    UserOffline {
        /// The user.
        user: String,
        /// Display name, if known.
        name: Option<String>,
        /// When they were last online.
        at: i64,
    },
    /// The room has no online users left.
    RoomEmptied {
        /// The room.
        room: RoomId,
        /// Time of the event.
        at: i64,
    },
}

/// A user whom the outbox has recorded as online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineUser {
    /// The user.
    pub user_id: String,
    /// The display name recorded last.
    pub name: Option<String>,
}

/// A message whose acknowledgements are due for a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryCheck {
    /// Its room.
    pub room: RoomId,
    /// Its sequence number.
    pub seq: u64,
    /// Whether this is the last check.
    pub last: bool,
    /// Members since before the message who have neither read nor received it, without those reported
    /// already.
    pub waiting: Vec<String>,
}

/// Outcome of a delivery check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndeliveredReport {
    /// The message's room.
    pub room: RoomId,
    /// Its sequence number.
    pub seq: u64,
    /// Whether this was the last check.
    pub last: bool,
    /// Members to report, unless they have acknowledged the message meanwhile.
    pub users: Vec<String>,
}

/// Outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has received the record.
    Delivered,
    /// The attempt failed and will be repeated.
    Retry {
        /// When the record is due again.
        at: i64,
        /// Why it failed.
        error: String,
    },
    /// The attempt failed and was the last one.
    Dead {
        /// Why it failed.
        error: String,
    },
}

/// A finished attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Key of the record.
    pub n: i64,
    /// Outcome of the attempt.
    pub outcome: Outcome,
}

/// Number and size of a sink's records in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxCount {
    /// The sink.
    pub sink: String,
    /// The state.
    pub state: RecordState,
    /// Number of records.
    pub records: u64,
    /// Their approximate size in bytes.
    pub bytes: u64,
    /// When the oldest of them happened, in milliseconds since 1970.
    pub oldest_at: i64,
}

/// Records that one commit of a replay makes due at most, since other writes wait meanwhile.
pub(crate) const REPLAY_BATCH: u32 = 512;

/// Which dead records to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// All dead records.
    Dead,
    /// The record with this id, whatever its state. A pending one becomes due at once.
    Id(String),
}

/// How long and how many records are kept.
///
/// Beyond a limit the outbox removes delivered records first, then dead ones, then pending
/// `message.undelivered`, the oldest of each first. Of the other pending records it removes the oldest of
/// those users who have the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxRetention {
    /// Milliseconds for delivered records.
    pub delivered_ms: i64,
    /// Milliseconds for dead records.
    pub dead_ms: i64,
    /// Records in all.
    pub records: u64,
    /// Bytes in all, about.
    pub bytes: u64,
}

impl OutboxRetention {
    /// How long the records of each settled state are kept, in milliseconds.
    pub(crate) fn settled(self) -> [(RecordState, i64); 2] {
        [
            (RecordState::Delivered, self.delivered_ms),
            (RecordState::Dead, self.dead_ms),
        ]
    }
}

/// What a limit of the outbox counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Records,
    Bytes,
}

impl Measure {
    pub(crate) const ALL: [Self; 2] = [Self::Records, Self::Bytes];

    /// What one record counts, as SQL.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Records => "1",
            Self::Bytes => "bytes",
        }
    }

    pub(crate) fn limit(self, keep: OutboxRetention) -> u64 {
        match self {
            Self::Records => keep.records,
            Self::Bytes => keep.bytes,
        }
    }
}

/// The records that a full outbox removes before it cuts users' shares, as SQL conditions; and whether they
/// are settled.
pub(crate) const EVICTION_ORDER: [(&str, bool); 3] = [
    ("state = 1", true),
    ("state = 2", true),
    ("state = 0 AND kind = 1", false),
];

/// How much each user has to give up so that all shares together fit into `limit`. Shares are cut to one
/// level: a user below it loses nothing.
pub(crate) fn excess_by_user<U>(mut shares: Vec<(U, u64)>, limit: u64) -> Vec<(U, u64)> {
    shares.sort_by_key(|(_, share)| *share);
    let (mut left, mut users) = (limit, shares.len() as u64);
    let mut excess = Vec::new();
    for (user, share) in shares {
        // Those before have less than an equal part of the limit, so the rest is for those that follow.
        let level = left / users.max(1);
        let kept = share.min(level);
        (left, users) = (left - kept, users - 1);
        if share > kept {
            excess.push((user, share - kept));
        }
    }
    excess
}

/// SQL: the columns of the sink's pending records that are due by the caller's clock, or later than a correct
/// clock allows. Two ranges of one index: a filter would read all records that wait. The parameters are the
/// sink, the time, the limit and [`OutboxOptions::latest_due`].
pub(crate) fn due_sql(columns: &str) -> String {
    let range = |range: &str| {
        format!(
            "SELECT * FROM (SELECT {columns} FROM outbox WHERE state = 0 AND sink = $1 AND {range}
                ORDER BY due_at, n LIMIT $3) r"
        )
    };
    let (now, ahead) = (range("due_at <= $2"), range("due_at > $4"));
    format!("{now} UNION ALL {ahead} ORDER BY due_at, n LIMIT $3")
}

/// SQL: when the next of the sink's records becomes due. The parameters are those of [`due_sql`], without the
/// limit.
pub(crate) const NEXT_DUE: &str = "SELECT due_at FROM outbox
    WHERE state = 0 AND sink = $1 AND due_at > $2 AND due_at <= $3 ORDER BY due_at LIMIT 1";

/// SQL: the condition under which member `m` has yet to acknowledge entry `e`. Members who have blocked its
/// author need not.
pub(crate) const STILL_WAITING: &str = "m.room_id = e.room_id AND m.active = 1 AND m.delivered_seq < e.seq
    AND m.joined_at <= e.at AND m.user_id <> e.user_id
    AND NOT EXISTS (SELECT 1 FROM message_states s
        WHERE s.room_id = e.room_id AND s.seq = e.seq AND s.deleted = 1)
    AND NOT EXISTS (SELECT 1 FROM reported_recipients a
        WHERE a.room_id = e.room_id AND a.seq = e.seq AND a.user_id = m.user_id)
    AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = m.user_id AND b.blocked_id = e.user_id)";

/// What a record holds besides its kind and time.
#[derive(Default)]
pub(crate) struct RecordContent<'a> {
    pub(crate) room_id: Option<RoomId>,
    pub(crate) room: Option<&'a str>,
    pub(crate) epoch: Option<&'a str>,
    pub(crate) seq: Option<u64>,
    pub(crate) user_id: Option<&'a str>,
    pub(crate) user_name: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) recipients: &'a [String],
    pub(crate) body: Option<&'a str>,
}

impl<'a> RecordContent<'a> {
    pub(crate) fn of_room(room: &'a RoomRow) -> Self {
        Self {
            room_id: Some(room.id),
            room: Some(&room.name),
            epoch: Some(&room.epoch),
            ..Self::default()
        }
    }

    /// About the bytes that the record takes in a table and its indexes.
    pub(crate) fn bytes(&self) -> u64 {
        const ROW: usize = 200;
        const RECIPIENT: usize = 60;
        let texts = [
            self.room,
            self.epoch,
            self.user_id,
            self.user_name,
            self.client_id,
            self.body,
        ];
        let texts: usize = texts.into_iter().flatten().map(str::len).sum();
        // A recipient is in the table and in its index.
        let recipients = self.recipients.iter().map(|user| RECIPIENT + 2 * user.len());
        (ROW + texts + recipients.sum::<usize>()) as u64
    }
}

/// An id with 128 random bits.
pub(crate) fn new_record_id() -> String {
    format!("evt_{:032x}", rand::rng().random::<u128>())
}

/// What [`Outbox::trim`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxTrimmed {
    /// Settled records.
    pub settled: u64,
    /// Pending records, which are lost.
    pub pending: u64,
}

/// The outbox of a store. Promises about writes are those of [`Store`](crate::Store).
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Changes whenever a call of this process writes a record or makes one due again.
    fn changes(&self) -> watch::Receiver<()>;

    /// Writes records of events outside the log, and remembers the users who are online.
    async fn record(&self, events: Vec<LifecycleEvent>) -> Result<(), StoreError>;

    /// Users recorded as online whose ids follow `after` in byte order, `limit` at most.
    async fn online(&self, after: &str, limit: u32) -> Result<Vec<OnlineUser>, StoreError>;

    /// Pending records of a sink that are due at `now`, the longest due first, `limit` at most. Records that
    /// are due later than [`OutboxOptions::retry_max_ms`] allows are due at once. Of several
    /// processes that have the store open, one serves a sink for as long as it lives; the others get no
    /// records.
    async fn due(&self, sink: &str, now: i64, limit: u32) -> Result<Vec<Record>, StoreError>;

    /// When the next of the sink's pending records becomes due after `now`.
    async fn next_due(&self, sink: &str, now: i64) -> Result<Option<i64>, StoreError>;

    /// Stores outcomes of attempts. Ignores records that are no longer pending.
    async fn settle(&self, settled: Vec<Settled>, now: i64) -> Result<(), StoreError>;

    /// Delivery checks that are due at `now`, the longest due first. One process checks at a time, as with
    /// [`Outbox::due`].
    async fn due_checks(&self, now: i64, limit: u32) -> Result<Vec<DeliveryCheck>, StoreError>;

    /// Writes one record for each report that names members, and schedules the last check after the first
    /// one. Returns how many members the records name.
    async fn report_undelivered(&self, reports: Vec<UndeliveredReport>) -> Result<u64, StoreError>;

    /// Records in a state, or in all states, newest first.
    async fn list(&self, state: Option<RecordState>, limit: u32) -> Result<Vec<Record>, StoreError>;

    /// The records about a message, oldest first, `limit` at most.
    async fn records_of(&self, room: RoomId, seq: u64, limit: u32) -> Result<Vec<Record>, StoreError>;

    /// Makes records due at `now` and resets their attempts, in small commits. Returns how many. Leaves out
    /// records that die after the call started.
    async fn replay(&self, which: Replay, now: i64) -> Result<u64, StoreError>;

    /// Number and size of the records, by sink and state.
    async fn counts(&self) -> Result<Vec<OutboxCount>, StoreError>;

    /// Removes old and surplus records in small commits.
    async fn trim(&self, keep: OutboxRetention, now: i64) -> Result<OutboxTrimmed, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_cut_to_one_level() {
        let excess = |shares: &[(&'static str, u64)], limit| excess_by_user(shares.to_vec(), limit);
        assert_eq!(excess(&[("a", 10), ("b", 20)], 30), []);
        assert_eq!(excess(&[("a", 10), ("b", 900), ("c", 30)], 100), [("b", 840)]);
        assert_eq!(
            excess(&[("a", 90), ("b", 900), ("c", 10)], 100),
            [("a", 45), ("b", 855)]
        );
        assert_eq!(excess(&[("a", 5), ("b", 5)], 0), [("a", 5), ("b", 5)]);
        assert_eq!(excess(&[], 0), []);
    }
}
