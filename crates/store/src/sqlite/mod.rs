//! The embedded engine: one file, one writer, a few readers.
//!
//! | file | what |
//! |---|---|
//! | `writer`, `batch` | the writer thread, its queue, and a transaction for all that came meanwhile |
//! | `readers` | the reader threads |
//! | `append`, `changes`, `rooms`, `members`, `users`, `revocations`, `retention`, `probe` | what a write does, and the queries of its noun |
//! | `entries`, `history`, `inbox` | entries as they are now, and pages of them |
//! | `positions` | the order of all entries |
//! | `recovery`, `sessions` | sessions that may be taken up again |
//! | `notifications` | users' notifications, and what their devices were given |
//! | `generation` | whether the file is the one that was left, told by a small file beside it |
//! | `outbox/` | records for sinks outside |
//! | `connection`, `column`, `failure` | the file's settings and schema, values, errors |

mod append;
mod batch;
mod column;
pub(crate) mod connection;
mod entries;
mod failure;
mod generation;
mod history;
mod inbox;
mod members;
mod notifications;
mod outbox;
mod positions;
mod probe;
mod readers;
mod recovery;
mod retention;
mod revocations;
mod rooms;
mod sessions;
#[cfg(test)]
mod tests;
mod users;
mod writer;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use async_trait::async_trait;
use rusqlite::Connection;

use self::{readers::Readers, writer::Writer};
use crate::{
    ChosenStatus, Delivered, DeliveredMark, DeliveredUpto, Entry, History, Inbox, InboxCursor, Joined,
    Marked, Member, NewNotification, NotificationList, NotificationPage, NotificationRetention,
    NotificationsRead, Options, Outbox, OutboxOptions, Page, Posted, ReadWhich, Retention, Role, RoomChange,
    RoomId, RoomRow, Store, StoreError, Undelivered, Unread, UserRow, metrics::Metrics,
};

/// A store in one SQLite file.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: Readers,
    metrics: Arc<Metrics>,
    page_bytes: usize,
    notifications: NotificationRetention,
    outbox: OutboxOptions,
    epoch: String,
    /// The newest committed position in the order of all entries.
    pos: Arc<AtomicU64>,
}

/// Opens the file, see [`crate::open`].
pub(crate) fn open(path: &str, options: Options) -> Result<SqliteStore, StoreError> {
    let path = file(path)?;
    let metrics = Arc::new(Metrics::new());
    let mut conn = connection::writer(path)?;
    let watermark = if options.guest {
        None
    } else {
        Some(generation::begin(&mut conn, path, false)?.watermark)
    };
    let crate::LogHead { epoch, position } =
        sessions::position(&conn).map_err(|error| failure::from_sqlite(&error))?;
    let pos = Arc::new(AtomicU64::new(position.0));
    let writer = Writer::start(conn, watermark, &options, metrics.clone(), Arc::clone(&pos))?;
    let readers = Readers::start(path, &options)?;
    Ok(SqliteStore {
        writer,
        readers,
        metrics,
        page_bytes: options.page_bytes,
        notifications: options.notifications,
        outbox: options.outbox,
        epoch,
        pos,
    })
}

/// Gives new epochs to the log in the file, see [`crate::new_epochs`].
pub(crate) fn new_epochs(path: &str) -> Result<u64, StoreError> {
    let path = file(path)?;
    let mut conn = connection::writer(path)?;
    Ok(generation::begin(&mut conn, path, true)?
        .renewed
        .unwrap_or_default())
}

fn file(path: &str) -> Result<&Path, StoreError> {
    if path.is_empty() || path.starts_with(':') {
        return Err(StoreError::Setup(format!(
            "`sqlite:{path}` names no file; use a path such as sqlite:/var/lib/roomful/roomful.db"
        )));
    }
    Ok(Path::new(path))
}

impl SqliteStore {
    async fn write<W: writer::Write>(&self, write: W) -> Result<W::Answer, StoreError> {
        self.counted(self.writer.write(write).await)
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.counted(self.readers.read(query).await)
    }

    fn counted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answer.inspect_err(|error| self.metrics.failed(error))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn open_room(&self, name: &str, create: bool, at: i64) -> Result<Option<RoomRow>, StoreError> {
        let name = name.to_owned();
        let wanted = name.clone();
        match self.read(move |conn| rooms::find(conn, &wanted)).await? {
            None if create => Ok(Some(self.write(rooms::Create { name, at }).await?)),
            found => Ok(found),
        }
    }

    async fn room(&self, id: RoomId) -> Result<Option<RoomRow>, StoreError> {
        self.read(move |conn| rooms::get(conn, id)).await
    }

    async fn put_room(&self, name: &str, change: RoomChange, at: i64) -> Result<(RoomRow, bool), StoreError> {
        let name = name.to_owned();
        self.write(rooms::Put { name, change, at }).await
    }

    async fn delete_room(&self, room: RoomId) -> Result<bool, StoreError> {
        // The history first, in bites; what follows then has little left to remove at once.
        let limits = Retention {
            max_entries: u64::MAX,
            max_age_ms: 0,
        };
        let cutoff = i64::MAX;
        while self.write(retention::Trim { room, limits, cutoff }).await?.more {}
        self.write(rooms::Delete(room)).await
    }

    async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        let after = after.map(str::to_owned);
        self.read(move |conn| rooms::all(conn, after.as_deref(), limit))
            .await
    }

    async fn join(&self, room: RoomId, user: &str, at: i64) -> Result<Option<Joined>, StoreError> {
        let user = user.to_owned();
        let known = user.clone();
        let query = move |conn: &Connection| {
            let Some(room) = rooms::get(conn, room)? else {
                return Ok(None);
            };
            let member = members::active(conn, room.id, &known)?;
            Ok(member.map(|member| Joined {
                room,
                member,
                newly: false,
            }))
        };
        // Most joins are of those who come back after a reconnect: they cost no commit.
        match self.read(query).await? {
            None => {
                let entrance = members::Entrance::Joins;
                self.write(members::Join {
                    room,
                    user,
                    at,
                    entrance,
                })
                .await
            }
            joined => Ok(joined),
        }
    }

    async fn put_member(
        &self,
        room: RoomId,
        user: &str,
        role: Option<Role>,
        at: i64,
    ) -> Result<Option<Joined>, StoreError> {
        self.write(members::Join {
            room,
            user: user.to_owned(),
            at,
            entrance: members::Entrance::IsPut(role),
        })
        .await
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let after = after.map(str::to_owned);
        self.read(move |conn| members::all(conn, room, after.as_deref(), limit))
            .await
    }

    async fn count_members(&self, room: RoomId) -> Result<u64, StoreError> {
        self.read(move |conn| members::count(conn, room)).await
    }

    async fn leave(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
        self.write(members::Leave {
            room,
            user: user.to_owned(),
        })
        .await
    }

    async fn member(&self, room: RoomId, user: &str) -> Result<Option<Member>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| members::active(conn, room, &user)).await
    }

    async fn rooms_of(&self, user: &str, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| rooms::of_user(conn, &user, limit)).await
    }

    async fn sharing_a_room(&self, user: &str, others: &[String]) -> Result<Vec<String>, StoreError> {
        let (user, others) = (user.to_owned(), others.to_vec());
        self.read(move |conn| members::sharing_a_room(conn, &user, others))
            .await
    }

    async fn inbox(&self, user: &str, limit: u32, after: Option<InboxCursor>) -> Result<Inbox, StoreError> {
        let (user, page_bytes) = (user.to_owned(), self.page_bytes);
        self.read(move |conn| inbox::page(conn, &user, limit, after, page_bytes))
            .await
    }

    async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
        self.read(move |conn| entries::get(conn, room, seq)).await
    }

    async fn history(&self, room: RoomId, page: Page) -> Result<Option<History>, StoreError> {
        let page_bytes = self.page_bytes;
        self.read(move |conn| history::page(conn, room, page, page_bytes))
            .await
    }

    async fn mark_read(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
        at: i64,
    ) -> Result<Option<Marked>, StoreError> {
        let write = members::MarkRead {
            room,
            user: user.to_owned(),
            seq,
            at,
        };
        let moved = self.write(write).await?;
        let Some(members::Moved { read_seq, advanced }) = moved else {
            return Ok(None);
        };
        // Counted by a reader: it may take a while, and the writer has others to serve.
        let user = user.to_owned();
        let unread = self
            .read(move |conn| members::count_unread(conn, room, &user, read_seq))
            .await?;
        Ok(Some(Marked {
            read_seq,
            advanced,
            unread,
        }))
    }

    async fn mark_room_delivered(
        &self,
        room: RoomId,
        user: &str,
        seq: u64,
    ) -> Result<Option<Delivered>, StoreError> {
        self.write(members::MarkDelivered {
            room,
            user: user.to_owned(),
            seq,
        })
        .await
    }

    async fn unread(&self, room: RoomId, user: &str) -> Result<Option<Unread>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| match members::active(conn, room, &user)? {
            Some(member) => members::count_unread(conn, room, &user, member.read_seq).map(Some),
            None => Ok(None),
        })
        .await
    }

    async fn see_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError> {
        self.write(users::See {
            user: user.to_owned(),
            name: name.map(str::to_owned),
            at: last_seen,
        })
        .await
    }

    async fn set_status(
        &self,
        user: &str,
        status: ChosenStatus,
        text: Option<&str>,
        at: i64,
    ) -> Result<(), StoreError> {
        self.write(users::SetStatus {
            user: user.to_owned(),
            status,
            text: text.map(str::to_owned),
            at,
        })
        .await
    }

    async fn users(&self, ids: &[String]) -> Result<Vec<UserRow>, StoreError> {
        let ids = ids.to_vec();
        self.read(move |conn| {
            ids.iter()
                .filter_map(|id| users::get(conn, id).transpose())
                .collect()
        })
        .await
    }

    async fn revoke(&self, user: &str, before: i64) -> Result<(), StoreError> {
        let user = user.to_owned();
        self.write(revocations::Revoke { user, before }).await
    }

    async fn revoked(&self, user: &str) -> Result<Option<i64>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| revocations::get(conn, &user)).await
    }

    async fn forget_revocations(&self, cutoff: i64) -> Result<u64, StoreError> {
        self.write(revocations::Forget { cutoff }).await
    }

    async fn notify(&self, notification: NewNotification) -> Result<Posted, StoreError> {
        self.write(notifications::Post {
            notification,
            max_per_user: self.notifications.max_per_user,
        })
        .await
    }

    async fn notifications(
        &self,
        user: &str,
        page: NotificationPage,
    ) -> Result<Option<NotificationList>, StoreError> {
        let (user, page_bytes) = (user.to_owned(), self.page_bytes);
        self.read(move |conn| notifications::list(conn, &user, &page, page_bytes))
            .await
    }

    async fn read_notifications(
        &self,
        user: &str,
        which: ReadWhich,
        at: i64,
    ) -> Result<Option<NotificationsRead>, StoreError> {
        let user = user.to_owned();
        self.write(notifications::Read { user, which, at }).await
    }

    async fn undelivered(
        &self,
        user: &str,
        device: &str,
        after: DeliveredUpto,
        limit: u32,
        max_bytes: usize,
    ) -> Result<Undelivered, StoreError> {
        let (user, device) = (user.to_owned(), device.to_owned());
        self.read(move |conn| notifications::undelivered(conn, &user, &device, after, limit, max_bytes))
            .await
    }

    async fn mark_delivered(&self, marks: Vec<DeliveredMark>, at: i64) -> Result<(), StoreError> {
        let devices_per_user = self.notifications.devices_per_user;
        self.write(notifications::MarkDelivered {
            marks,
            at,
            devices_per_user,
        })
        .await
    }

    async fn trim_notifications(&self, limits: NotificationRetention, now: i64) -> Result<u64, StoreError> {
        let cutoff = now.saturating_sub(limits.max_age_ms);
        let mut total = 0;
        // Nothing to do is the rule, and costs no commit.
        while self
            .read(move |conn| notifications::oldest(conn, cutoff))
            .await?
            .is_some()
        {
            let bite = self.write(notifications::Trim { cutoff }).await?;
            total += bite.removed;
            if !bite.more {
                break;
            }
        }
        Ok(total)
    }

    async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError> {
        let cutoff = now.saturating_sub(limits.max_age_ms);
        let (mut total, mut last) = (0, RoomId::MIN);
        loop {
            let due = self
                .read(move |conn| retention::due(conn, last, limits, cutoff))
                .await?;
            let Some(&end) = due.last() else { return Ok(total) };
            for room in due {
                loop {
                    let bite = self.write(retention::Trim { room, limits, cutoff }).await?;
                    total += bite.removed;
                    if !bite.more {
                        break;
                    }
                }
            }
            last = end;
        }
    }

    fn identity(&self) -> &str {
        // One process has the file, so it need not be for good.
        &self.epoch
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.write(probe::Beat).await?;
        self.read(probe::read).await.map(drop)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        (!self.outbox.sinks.is_empty()).then_some(self as &dyn Outbox)
    }

    async fn close(&self) {
        // The writer's connection goes last, since a reader's can't tidy the write-ahead log away.
        self.readers.close().await;
        self.writer.close().await;
    }
}
