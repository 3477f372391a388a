//! The outbox: records of what happened, written in the transaction of their cause, for sinks outside of the process.
//!
//! A record is kept once for each sink that wants it, and each of these has a state of its own. What is sent, and how,
//! is the caller's business; here are the records, when each is due, and what became of it.

use async_trait::async_trait;
use rand::RngExt as _;
use tokio::sync::watch;

use crate::{RoomId, RoomRow, StoreError};

/// What a record tells.
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
    /// Nobody is in a room any more. Written by [`Outbox::record`].
    RoomEmptied,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::MessageCreated,
        Self::MessageUndelivered,
        Self::UserOnline,
        Self::UserOffline,
        Self::RoomCreated,
        Self::RoomEmptied,
    ];
}

/// Which records are written. Without sinks none are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxOptions {
    /// Who wants them. Names are unique.
    pub sinks: Vec<Sink>,
    /// Milliseconds from a message to the first look at who has not acknowledged it.
    pub first_check_ms: i64,
    /// Milliseconds from a message to the second and last look. If this is not later than the first, there is only this.
    pub last_check_ms: i64,
    /// Rooms with more members than this make no [`RecordKind::MessageUndelivered`].
    pub members_max: u32,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            first_check_ms: 5_000,
            last_check_ms: 30_000,
            members_max: 1_000,
        }
    }
}

impl OutboxOptions {
    /// Whether any sink wants records of this kind.
    pub(crate) fn wants(&self, kind: RecordKind) -> bool {
        self.sinks.iter().any(|sink| sink.kinds.contains(&kind))
    }
}

/// Somebody outside who wants records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Its name, under which its records wait.
    pub name: String,
    /// What it wants.
    pub kinds: Vec<RecordKind>,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// It waits for its next attempt.
    Pending,
    /// Its sink has it.
    Delivered,
    /// It was given up.
    Dead,
}

impl RecordState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];
}

/// A record as one sink gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key among all records of all sinks, in the order in which they were written.
    pub n: i64,
    /// Unique for what happened, and the same for all sinks and attempts.
    pub id: String,
    /// Whom it is for.
    pub sink: String,
    /// What it tells.
    pub kind: RecordKind,
    /// When it happened; for a message, when it was said.
    pub at: i64,
    /// What became of it.
    pub state: RecordState,
    /// Failed attempts.
    pub attempts: u32,
    /// When it is due, if pending; else when it came into its state.
    pub due_at: i64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// The room, for messages and rooms.
    pub room: Option<String>,
    /// The room's epoch.
    pub epoch: Option<String>,
    /// The message's place.
    pub seq: Option<u64>,
    /// The message's author, or the user who came or went.
    pub user_id: Option<String>,
    /// Their name.
    pub user_name: Option<String>,
    /// The author's key for the message.
    pub client_id: Option<String>,
    /// The members who have not acknowledged the message, by id.
    pub recipients: Vec<String>,
    /// The message's body as it was appended.
    pub body: Option<String>,
}

/// Something that happened outside of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// A user came online.
    UserOnline {
        /// Who.
        user: String,
        /// Their name, if known.
        name: Option<String>,
        /// When.
        at: i64,
    },
    /// A user went offline.
    UserOffline {
        /// Who.
        user: String,
        /// Their name, if known.
        name: Option<String>,
        /// When they were last there.
        at: i64,
    },
    /// Nobody is in the room any more.
    RoomEmptied {
        /// Which.
        room: RoomId,
        /// When.
        at: i64,
    },
}

/// A user of whom it was told that they are online.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineUser {
    /// Who.
    pub user_id: String,
    /// The name last told.
    pub name: Option<String>,
}

/// A message that is due for a look at who has acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryCheck {
    /// Its room.
    pub room: RoomId,
    /// Its place.
    pub seq: u64,
    /// Whether this is the last look.
    pub last: bool,
    /// Members who were there when it was said, have neither read nor received it, and were not alerted yet.
    pub waiting: Vec<String>,
}

/// What a look at a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndeliveredReport {
    /// The message's room.
    pub room: RoomId,
    /// Its place.
    pub seq: u64,
    /// Whether this was the last look.
    pub last: bool,
    /// Who gets a record, unless they have acknowledged it meanwhile.
    pub users: Vec<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has it.
    Delivered,
    /// It failed, and comes again.
    Retry {
        /// When.
        at: i64,
        /// Why it failed.
        error: String,
    },
    /// It failed, and is given up.
    Dead {
        /// Why it failed.
        error: String,
    },
}

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The record.
    pub n: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// How many records a sink has in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxCount {
    /// The sink.
    pub sink: String,
    /// The state.
    pub state: RecordState,
    /// How many.
    pub records: u64,
    /// About how many bytes they take.
    pub bytes: u64,
}

/// Which dead records to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// All dead ones.
    Dead,
    /// The one with this id, whatever its state; pending ones are due at once.
    Id(String),
}

/// How long and how many records are kept.
///
/// Beyond a limit the outbox removes delivered records first, then dead ones, then pending `message.undelivered`, the
/// oldest of each first. Of the other pending records it removes the oldest of those users who have the most.
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

/// The records that a full outbox removes before it cuts users' shares, as SQL conditions; and whether they are settled.
pub(crate) const EVICTION_ORDER: [(&str, bool); 3] = [
    ("state = 1", true),
    ("state = 2", true),
    ("state = 0 AND kind = 1", false),
];

/// How much each user has to give up so that all shares together fit into `limit`. Shares are cut to one level: nobody
/// loses anything who has less than others keep.
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
    /// Records that were settled.
    pub settled: u64,
    /// Records that were still to be delivered: they are lost.
    pub pending: u64,
}

/// The outbox of a store. Promises about writes are those of [`Store`](crate::Store).
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Changes whenever a record was written or is to be tried again by a call of this process.
    fn changes(&self) -> watch::Receiver<()>;

    /// Writes records of what happened outside of the log, and remembers who is online.
    async fn record(&self, events: Vec<LifecycleEvent>) -> Result<(), StoreError>;

    /// Users of whom it was told that they are online, the first ones by name after `after`, `limit` at most.
    async fn online(&self, after: &str, limit: u32) -> Result<Vec<OnlineUser>, StoreError>;

    /// Pending records of a sink which are due at `now`, the longest due first, `limit` at most. Where several processes
    /// have the store open, a sink is served by one of them at a time, for as long as that lives: the others get none.
    async fn due(&self, sink: &str, now: i64, limit: u32) -> Result<Vec<Record>, StoreError>;

    /// When the first of the sink's pending records is due that are not yet at `now`.
    async fn next_due(&self, sink: &str, now: i64) -> Result<Option<i64>, StoreError>;

    /// Notes what became of attempts. Records that are no longer pending stay as they are.
    async fn settle(&self, settled: Vec<Settled>, now: i64) -> Result<(), StoreError>;

    /// Messages which are due at `now` for a look at who has acknowledged them, the longest due first. One process looks at
    /// a time, as with [`Outbox::due`].
    async fn due_checks(&self, now: i64, limit: u32) -> Result<Vec<DeliveryCheck>, StoreError>;

    /// Writes the records that looks came to. After the first look a message is due for the last one; after that it is
    /// done with. Answers how many members got a record.
    async fn report_undelivered(&self, reports: Vec<UndeliveredReport>) -> Result<u64, StoreError>;

    /// Records in a state, or all, the newest first.
    async fn list(&self, state: Option<RecordState>, limit: u32) -> Result<Vec<Record>, StoreError>;

    /// Makes records due at `now` as if they had never been tried. Answers how many.
    async fn replay(&self, which: Replay, now: i64) -> Result<u64, StoreError>;

    /// How many records there are.
    async fn counts(&self) -> Result<Vec<OutboxCount>, StoreError>;

    /// Removes what is over its time or too much, in small commits.
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
