//! The durable log: rooms with their entries and members, users, notifications and sessions.
//!
//! [`Store`] is the interface of both databases, and [`open`] picks one by the scheme of a URL. The store
//! does not read the bodies of entries. Only this crate knows SQL.
//!
//! | module | content |
//! |---|---|
//! | `store` | [`Store`] and its parts, one trait for each noun |
//! | `rows`, `position`, `notifications`, `sessions`, `outbox` | the values that go in and come out |
//! | `error` | what can fail, and whether a retry helps |
//! | `options` | every limit, and [`open`] |
//! | `append` | the rules of an append, as pure values |
//! | `group_commit`, `queue` | how writes that wait are committed together |
//! | `sqlite` | the embedded store: one writer thread, a few reader threads |
//! | `postgres` | the store for several nodes: appends in batches, everything else on a pool |
//! | `migrate` | copying a store from SQLite to PostgreSQL |
//! | `numbers`, `watermark_file`, `metrics` | what both stores share |
//! | `contract` | the test suite that both stores pass |

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
pub use options::{Options, Retention, check_files, check_url, new_epochs, open};
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
pub use sessions::{Missed, NewSession, Resume, Resumed, SessionKey, SessionOwner, Sessions, SubscribedRoom};
pub use store::{
    AppendResult, FencingTokens, Log, LogEntry, LogHead, Members, Notifications, Rooms, Store, Users,
};
