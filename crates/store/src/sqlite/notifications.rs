//! Notifications: posting, listing, reading, and marks of devices.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteStore,
    batch::Batch,
    column::Seq,
    guards::has_blocked,
    write::{Weight, Write},
};
use crate::{
    DeliveredMark, DeliveredUpto, NewNotification, Notification, NotificationList, NotificationPage,
    NotificationRetention, Notifications, NotificationsRead, Posted, ReadWhich, StoreError, Undelivered,
};

/// Rows that one commit of a trim removes, and at most one notification's more; a few milliseconds.
const TRIM_BATCH: usize = 256;

// ---- posting

/// A notification to more users lets other writes go first.
const FEW_USERS: usize = 32;

pub(super) struct Post {
    pub(super) notification: NewNotification,
    /// See [`NotificationRetention`](crate::NotificationRetention).
    pub(super) max_per_user: u64,
}

impl Write for Post {
    type Answer = Posted;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Posted> {
        const SQL: &str = "INSERT INTO notifications (id, at, body, users) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (id) DO NOTHING";
        let conn = batch.conn;
        let NewNotification {
            id,
            users,
            body,
            at,
            from,
        } = &self.notification;
        let mut users: Vec<_> = users.iter().map(String::as_str).collect();
        users.sort_unstable();
        users.dedup();
        let names = users.join("\n");
        if conn.prepare_cached(SQL)?.execute(params![id, at, body, names])? == 0 {
            return compare(conn, &self.notification, &names);
        }
        let key = conn.last_insert_rowid();
        if let Some(from) = from {
            users = without_blockers(conn, from, users)?;
        }
        let place = |user: &str| Ok((user.to_owned(), self.give(conn, user, key)?));
        let places = users.into_iter().map(place).collect::<rusqlite::Result<_>>()?;
        Ok(Posted::New { places })
    }

    fn weight(&self) -> Weight {
        let NewNotification { id, users, body, .. } = &self.notification;
        Weight {
            writes: users.len().max(1),
            bytes: size_of::<Self>()
                + id.len()
                + body.len()
                + users
                    .iter()
                    .map(|user| size_of::<String>() + user.len())
                    .sum::<usize>(),
        }
    }

    fn is_bulk(&self) -> bool {
        self.notification.users.len() > FEW_USERS
    }
}

impl Post {
    /// Gives the notification to one recipient and removes their oldest surplus ones.
    fn give(&self, conn: &Connection, user: &str, key: i64) -> rusqlite::Result<u64> {
        let seq = conn
            .prepare_cached(
                "INSERT INTO notified_users (user_id, head) VALUES (?1, 1)
                 ON CONFLICT (user_id) DO UPDATE SET head = head + 1 RETURNING head",
            )?
            .query_row([user], |row| Ok(row.get::<_, Seq>(0)?.0))?;
        conn.prepare_cached(
            "INSERT INTO user_notifications (user_id, seq, notification) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![user, Seq(seq), key])?;
        if let Some(last) = seq.checked_sub(self.max_per_user).filter(|last| *last > 0) {
            let gone: Vec<i64> = conn
                .prepare_cached(
                    "DELETE FROM user_notifications WHERE user_id = ?1 AND seq <= ?2 RETURNING notification",
                )?
                .query_map(params![user, Seq(last)], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            gone.into_iter().try_for_each(|key| forget_orphan(conn, key))?;
        }
        Ok(seq)
    }
}

/// Those of the users who have not blocked `from`.
fn without_blockers<'u>(
    conn: &Connection,
    from: &str,
    users: Vec<&'u str>,
) -> rusqlite::Result<Vec<&'u str>> {
    let mut open = Vec::with_capacity(users.len());
    for user in users {
        if !has_blocked(conn, user, from)? {
            open.push(user);
        }
    }
    Ok(open)
}

fn compare(conn: &Connection, new: &NewNotification, users: &str) -> rusqlite::Result<Posted> {
    const SQL: &str = "SELECT key, at, body = ?2 AND users = ?3 FROM notifications WHERE id = ?1";
    const PLACES: &str =
        "SELECT user_id, seq FROM user_notifications WHERE notification = ?1 ORDER BY user_id";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let known = conn
        .prepare_cached(SQL)?
        .query_row(params![new.id, new.body, users], read)?;
    let (key, at, same): (i64, i64, bool) = known;
    if !same {
        return Ok(Posted::Conflict);
    }
    let place = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Seq>(1)?.0));
    let mut places = conn.prepare_cached(PLACES)?;
    let places = places.query_map([key], place)?.collect::<rusqlite::Result<_>>()?;
    Ok(Posted::Duplicate { at, places })
}

/// Removes a notification without recipients.
fn forget_orphan(conn: &Connection, key: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "DELETE FROM notifications WHERE key = ?1
         AND NOT EXISTS (SELECT 1 FROM user_notifications WHERE notification = ?1)",
    )?
    .execute([key])
    .map(drop)
}

// ---- listing and reading

/// `None` if `before` names none of the user's notifications.
pub(super) fn list(
    conn: &Connection,
    user: &str,
    page: &NotificationPage,
    max_bytes: usize,
) -> rusqlite::Result<Option<NotificationList>> {
    const SQL: &str = "SELECT u.seq, n.id, n.body, n.at, u.read_at
        FROM user_notifications u JOIN notifications n ON n.key = u.notification
        WHERE u.user_id = ?1 AND u.seq < ?2 AND (u.read_at IS NULL OR NOT ?3) ORDER BY u.seq DESC LIMIT ?4";
    let before = match &page.before {
        None => u64::MAX,
        Some(id) => match find(conn, user, id)? {
            Some(seq) => seq,
            None => return Ok(None),
        },
    };
    let mut query = conn.prepare_cached(SQL)?;
    // One more than requested tells whether there are more.
    let rows = query.query(params![
        user,
        Seq(before),
        page.unread_only,
        i64::from(page.limit) + 1
    ])?;
    let (notifications, more) = take(rows, page.limit, max_bytes)?;
    Ok(Some(NotificationList {
        notifications,
        more,
        unread: count_unread(conn, user)?,
    }))
}

/// Reads rows up to a count and a size, at least one unless the limit is 0; and whether there are more.
fn take(
    mut rows: rusqlite::Rows<'_>,
    limit: u32,
    max_bytes: usize,
) -> rusqlite::Result<(Vec<Notification>, bool)> {
    let (mut taken, mut bytes) = (Vec::new(), 0usize);
    while let Some(row) = rows.next()? {
        let next = notification(row)?;
        bytes = bytes.saturating_add(next.body.len());
        let full = taken.len() as u64 >= u64::from(limit);
        if full || (bytes > max_bytes && !taken.is_empty()) {
            return Ok((taken, true));
        }
        taken.push(next);
    }
    Ok((taken, false))
}

fn notification(row: &Row<'_>) -> rusqlite::Result<Notification> {
    Ok(Notification {
        seq: row.get::<_, Seq>(0)?.0,
        id: row.get(1)?,
        body: row.get(2)?,
        at: row.get(3)?,
        read_at: row.get(4)?,
    })
}

/// The number of a notification with one of its recipients.
fn find(conn: &Connection, user: &str, id: &str) -> rusqlite::Result<Option<u64>> {
    conn.prepare_cached(
        "SELECT u.seq FROM notifications n
         JOIN user_notifications u ON u.notification = n.key AND u.user_id = ?1 WHERE n.id = ?2",
    )?
    .query_row([user, id], |row| Ok(row.get::<_, Seq>(0)?.0))
    .optional()
}

fn count_unread(conn: &Connection, user: &str) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT count(*) FROM user_notifications WHERE user_id = ?1 AND read_at IS NULL")?
        .query_row([user], |row| Ok(row.get::<_, Seq>(0)?.0))
}

pub(super) struct Read {
    pub(super) user: String,
    pub(super) which: ReadWhich,
    pub(super) at: i64,
}

impl Write for Read {
    type Answer = Option<NotificationsRead>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Self::Answer> {
        const ONE: &str = "UPDATE user_notifications SET read_at = ?2
            WHERE user_id = ?1 AND read_at IS NULL AND seq = ?3";
        const ALL: &str = "UPDATE user_notifications SET read_at = ?2 WHERE user_id = ?1 AND read_at IS NULL";
        let (conn, Self { user, which, at }) = (batch.conn, self);
        let changed = match which {
            ReadWhich::All => conn.prepare_cached(ALL)?.execute(params![user, at])?,
            ReadWhich::One(id) => {
                let Some(seq) = find(conn, user, id)? else {
                    return Ok(None);
                };
                conn.prepare_cached(ONE)?.execute(params![user, at, Seq(seq)])?
            }
        };
        Ok(Some(NotificationsRead {
            unread: count_unread(conn, user)?,
            changed: changed > 0,
        }))
    }
}

// ---- marks of devices

pub(super) fn undelivered(
    conn: &Connection,
    user: &str,
    device: &str,
    after: DeliveredUpto,
    limit: u32,
    max_bytes: usize,
) -> rusqlite::Result<Undelivered> {
    const MARK: &str = "SELECT delivered FROM notified_devices WHERE user_id = ?1 AND device = ?2";
    const HEAD: &str = "SELECT head FROM notified_users WHERE user_id = ?1";
    const SQL: &str = "SELECT u.seq, n.id, n.body, n.at, u.read_at
        FROM user_notifications u JOIN notifications n ON n.key = u.notification
        WHERE u.user_id = ?1 AND u.seq > ?2 ORDER BY u.seq LIMIT ?3";
    let number = |row: &Row<'_>| Ok(row.get::<_, Seq>(0)?.0);
    let head = conn.prepare_cached(HEAD)?.query_row([user], number).optional()?;
    let head = head.unwrap_or_default();
    let after = match after {
        DeliveredUpto::Seq(seq) => seq,
        DeliveredUpto::Stored => conn
            .prepare_cached(MARK)?
            .query_row([user, device], number)
            .optional()?
            .unwrap_or_default(),
    };
    if after >= head {
        return Ok(Undelivered {
            notifications: Vec::new(),
            more: false,
            upto: after,
        });
    }
    let mut query = conn.prepare_cached(SQL)?;
    let rows = query.query(params![user, Seq(after), i64::from(limit) + 1])?;
    let (notifications, more) = take(rows, limit, max_bytes)?;
    let upto = match notifications.last() {
        Some(last) if more => last.seq,
        _ if more => after,
        _ => head,
    };
    Ok(Undelivered {
        notifications,
        more,
        upto,
    })
}

pub(super) struct MarkDelivered {
    pub(super) marks: Vec<DeliveredMark>,
    pub(super) at: i64,
    pub(super) devices_per_user: u32,
}

impl Write for MarkDelivered {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const MARK: &str =
            "INSERT INTO notified_devices (user_id, device, delivered, at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (user_id, device) DO UPDATE
            SET delivered = max(delivered, excluded.delivered), at = max(at, excluded.at)";
        const FORGET: &str = "DELETE FROM notified_devices WHERE user_id = ?1 AND device IN (
            SELECT device FROM notified_devices WHERE user_id = ?1 AND device <> ?2
            ORDER BY at DESC, device LIMIT -1 OFFSET ?3)";
        let conn = batch.conn;
        for DeliveredMark { user_id, device, seq } in &self.marks {
            conn.prepare_cached(MARK)?
                .execute(params![user_id, device, Seq(*seq), self.at])?;
            // Keeps the device just marked, whatever the clock says.
            conn.prepare_cached(FORGET)?.execute(params![
                user_id,
                device,
                self.devices_per_user.saturating_sub(1)
            ])?;
        }
        Ok(())
    }

    fn weight(&self) -> Weight {
        let bytes =
            |mark: &DeliveredMark| size_of::<DeliveredMark>() + mark.user_id.len() + mark.device.len();
        Weight {
            writes: self.marks.len(),
            bytes: self.marks.iter().map(bytes).sum(),
        }
    }
}

// ---- retention

/// Removes old notifications, one commit's worth.
pub(super) struct Trim {
    /// Notifications from before this time are old.
    pub(super) cutoff: i64,
}

pub(super) struct Trimmed {
    /// Number of removed notifications.
    pub(super) removed: u64,
    /// Whether there may be more to remove.
    pub(super) more: bool,
}

impl Write for Trim {
    type Answer = Trimmed;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Trimmed> {
        let (mut removed, mut rows) = (0, 0);
        // Only a prefix is removed, so that the numbers of users stay dense even if the clock jumps.
        while rows < TRIM_BATCH {
            let Some(key) = oldest(batch.conn, self.cutoff)? else {
                return Ok(Trimmed { removed, more: false });
            };
            rows += 1 + batch
                .conn
                .prepare_cached("DELETE FROM user_notifications WHERE notification = ?1")?
                .execute([key])?;
            batch
                .conn
                .prepare_cached("DELETE FROM notifications WHERE key = ?1")?
                .execute([key])?;
            removed += 1;
            batch.erased = true;
        }
        Ok(Trimmed { removed, more: true })
    }
}

/// The oldest notification, if it is from before `cutoff`.
pub(super) fn oldest(conn: &Connection, cutoff: i64) -> rusqlite::Result<Option<i64>> {
    const SQL: &str =
        "SELECT key FROM (SELECT key, at FROM notifications ORDER BY key LIMIT 1) WHERE at < ?1";
    conn.prepare_cached(SQL)?
        .query_row([cutoff], |row| row.get(0))
        .optional()
}

#[async_trait]
impl Notifications for SqliteStore {
    async fn notify(&self, notification: NewNotification) -> Result<Posted, StoreError> {
        self.write(Post {
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
        self.read(move |conn| list(conn, &user, &page, page_bytes)).await
    }

    async fn read_notifications(
        &self,
        user: &str,
        which: ReadWhich,
        at: i64,
    ) -> Result<Option<NotificationsRead>, StoreError> {
        let user = user.to_owned();
        self.write(Read { user, which, at }).await
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
        self.read(move |conn| undelivered(conn, &user, &device, after, limit, max_bytes))
            .await
    }

    async fn mark_delivered(&self, marks: Vec<DeliveredMark>, at: i64) -> Result<(), StoreError> {
        let devices_per_user = self.notifications.devices_per_user;
        self.write(MarkDelivered {
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
        while self.read(move |conn| oldest(conn, cutoff)).await?.is_some() {
            let trimmed = self.write(Trim { cutoff }).await?;
            total += trimmed.removed;
            if !trimmed.more {
                break;
            }
        }
        Ok(total)
    }
}
