//! The durable log: rooms, entries, members and marks; users' notifications; sessions; the outbox.
//!
//! [`Store`] is the interface; [`open`] chooses the engine by the scheme of a URL. Only this crate knows
//! SQL. It does not parse the bodies of entries.
//!
//! | module | content |
//! |---|---|
//! | `store`, `sessions` | the traits: what each call guarantees |
//! | `rows`, `catch_up`, `entering`, `notifications`, `moderation` | the values of calls |
//! | `audit`, `position` | records of the audit log, and positions in the log |
//! | `error` | errors, and whether to retry |
//! | `caller`, `fair_queue` | on whose behalf a task calls, and the turns of those who wait |
//! | `options` | options and limits, and [`open`] |
//! | `outbox` | records for sinks, written with their causes |
//! | `append`, `group_commit` | the rules of an append, and the batches of writes, for both engines |
//! | `sqlite` | the embedded engine: one writer thread, a few readers |
//! | `postgres` | the engine for several nodes |
//! | `any_certificate` | TLS to a server whose name needs no proof |
//! | `migrate` | migration from SQLite to PostgreSQL |
//! | `schema` | schema versions, and who may write a schema |
//! | `personal_data` | exports and erasures of users, for both engines |
//! | `unread`, `watermark_file`, `numbers`, `queue`, `metrics` | parts that the engines share |
//! | `contract` | the test suite of every engine |

mod any_certificate;
mod append;
mod audit;
mod caller;
mod catch_up;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod entering;
mod error;
mod fair_queue;
mod group_commit;
mod metrics;
mod migrate;
mod moderation;
mod notifications;
mod numbers;
mod open;
mod options;
mod outbox;
mod personal_data;
mod position;
mod postgres;
mod queue;
mod reports;
mod rows;
mod schema;
mod sessions;
mod sqlite;
mod store;
mod trim;
mod unread;
mod watermark_file;

pub use any_certificate::AnyCertificate;
pub use audit::{AuditEntry, AuditPage, AuditRecord};
pub use caller::Caller;
pub use catch_up::{CatchUp, CaughtUp};
pub use entering::{EnterRoom, Entered};
pub use error::{Outage, StoreError};
pub use migrate::{Migrated, Moved, Progress, migrate};
pub use moderation::{
    Block, ModerationAct, Mute, Restrictions, RoomRules, Sanction, SanctionKind, SanctionPage,
};
pub use notifications::{
    DeliveredMark, DeliveredUpto, NewNotification, Notification, NotificationList, NotificationPage,
    NotificationRetention, NotificationsRead, Posted, ReadWhich, Undelivered,
};
pub use open::{check_files, check_url, new_epochs, open, schema_state, schema_versions};
pub use options::{Options, Quotas, Retention};
pub use outbox::{
    DeliveryCheck, LifecycleEvent, OnlineUser, Outbox, OutboxCount, OutboxOptions, OutboxRetention,
    OutboxTrimmed, Outcome, Record, RecordKind, RecordState, Replay, Settled, Sink, UndeliveredReport,
};
pub use personal_data::{Erasure, ErasureStep, ExportPart, ExportRow, ExportValue, RoomsAbout};
pub use position::LogPosition;
pub use reports::{NewReport, Report, ReportPage, ReportQuota, ReportState, Reported, ReportsOf, Resolution};
pub use rows::{
    Appended, ChosenStatus, Delivered, Edit, Entry, EntryKind, History, Inbox, InboxCursor, InboxRow, Joined,
    Marked, Member, MessageState, NewEntry, Page, ProfileChange, REACTING_USERS, Range, Reaction, Reactions,
    Recorded, Rejected, Role, RoomChange, RoomId, RoomKind, RoomRow, Unread, UserRow,
};
pub use schema::{SchemaState, SchemaVersions};
pub use sessions::{
    Missed, NewSession, Resume, Resumed, SessionKey, SessionOwner, Sessions, Subscribed, SubscribedRoom,
};
pub use store::{
    AppendResult, Audit, FencingTokens, Log, LogEntry, LogHead, Members, Moderation, Notifications,
    PersonalData, Reports, Rooms, Store, Users,
};
