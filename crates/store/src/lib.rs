//! The durable log: rooms, their entries, members and read marks; and users' notifications.
//!
//! [`Store`] is the seam, [`open`] picks the engine by the scheme of a URL. What an entry's body means is the
//! caller's business: nothing here reads it. Only this crate knows SQL.
//!
//! | read | for |
//! |---|---|
//! | `store` | the trait: what each call promises |
//! | `rows`, `notifications` | the values that go in and come out |
//! | `error` | what can go wrong, and whether to retry |
//! | `options` | every bound, and [`open`] |
//! | `outbox` | records for sinks outside, written with their causes |
//! | `sqlite` | the embedded engine: one writer thread with group commit, a few readers |
//! | `postgres` | the engine for several nodes: appends in flights, all else on a pool |
//! | `migrate` | from SQLite to PostgreSQL, with all that clients know |
//! | `numbers`, `known`, `tail`, `beside`, `queue`, `metrics` | what the engines share |
//! | `contract` | the suite every engine has to pass |

mod append;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod error;
mod group_commit;
mod metrics;
mod migrate;
mod notifications;
mod numbers;
mod options;
mod outbox;
#[cfg(feature = "planted-bugs")]
pub mod planted;
mod position;
mod postgres;
mod queue;
mod rows;
mod schema;
mod sessions;
mod sqlite;
mod store;
mod watermark_file;

pub use error::{Outage, StoreError};
pub use migrate::{Migrated, Moved, Progress, migrate};
pub use notifications::{
    DeliveredMark, DeliveredUpto, NewNotification, Notification, NotificationList, NotificationPage,
    NotificationRetention, NotificationsRead, Posted, ReadWhich, Undelivered,
};
pub use options::{
    Options, Retention, check_files, check_url, new_epochs, open, schema_state, schema_versions,
};
pub use outbox::{
    DeliveryCheck, LifecycleEvent, OnlineUser, Outbox, OutboxCount, OutboxOptions, OutboxRetention,
    OutboxTrimmed, Outcome, Record, RecordKind, RecordState, Replay, Settled, Sink, UndeliveredReport,
};
pub use position::LogPosition;
pub use rows::{
    Appended, ChosenStatus, Delivered, Edit, Entry, EntryKind, History, Inbox, InboxCursor, InboxRow, Joined,
    Marked, Member, MessageState, NewEntry, Page, REACTING_USERS, Range, Reactions, Rejected, Role,
    RoomChange, RoomId, RoomKind, RoomRow, Unread, UserRow,
};
pub use schema::{SchemaState, SchemaVersions};
pub use sessions::{
    AppendResult, FencingTokens, LogEntry, LogHead, Missed, NewSession, Resume, Resumed, SessionKey,
    SessionOwner, Sessions, SubscribedRoom,
};
pub use store::Store;
