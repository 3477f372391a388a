//! Notifications: posting, listing, reading, and marks of devices.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    conn::Conn,
    failure::Failure,
    value::{Columns as _, num, plain, text},
};
use crate::{
    DeliveredMark, DeliveredUpto, NewNotification, Notification, NotificationList, NotificationPage,
    NotificationRetention, Notifications, NotificationsRead, Posted, ReadWhich, StoreError, Undelivered,
};

/// Notifications that one commit of a trim removes; a few milliseconds.
const TRIM_BATCH: i64 = 64;

// ---- posting

/// Posts a notification to its recipients. Their oldest surplus ones are removed.
pub(super) async fn post(conn: &Conn, new: &NewNotification, max_per_user: u64) -> Result<Posted, Failure> {
    // Sorted by id: posts to the same users wait for each other here, without deadlocks.
    const HEADS: &str = "INSERT INTO notified_users AS u (user_id, head)
        SELECT user_id, 1 FROM unnest($1::text[]) WITH ORDINALITY t (user_id, at)
        WHERE NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = t.user_id AND b.blocked_id = $2)
        ORDER BY at
        ON CONFLICT (user_id) DO UPDATE SET head = u.head + 1 RETURNING u.user_id, u.head";
    // The key is assigned under those locks, so that keys ascend with the numbers of each user.
    const POST: &str = "INSERT INTO notifications (id, at, body, users) VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO NOTHING RETURNING key";
    const GIVE: &str = "INSERT INTO user_notifications (user_id, seq, notification)
        SELECT user_id, seq, $3 FROM unnest($1::text[], $2::bigint[]) t (user_id, seq)";
    const SURPLUS: &str =
        "DELETE FROM user_notifications n USING unnest($1::text[], $2::bigint[]) t (user_id, last)
        WHERE n.user_id = t.user_id AND n.seq <= t.last RETURNING n.notification";
    // Notifications without recipients.
    const ORPHANS: &str = "DELETE FROM notifications n WHERE n.key = ANY($1)
        AND NOT EXISTS (SELECT 1 FROM user_notifications u WHERE u.notification = n.key)";
    let mut users: Vec<_> = new.users.iter().map(String::as_str).collect();
    users.sort_unstable();
    users.dedup();
    let names = users.join("\n");
    if let Some(known) = compare(conn, new, &names).await? {
        return Ok(known);
    }
    let ids: Vec<_> = users.iter().map(|user| text(user)).collect();
    conn.begin().await?;
    let from = text(new.from.as_deref().unwrap_or_default());
    let heads = conn.rows(HEADS, &[&ids, &from]).await?;
    let post = [text(&new.id), text(&new.body), text(&names)];
    let key = conn.row(POST, &[&post[0], &new.at, &post[1], &post[2]]).await?;
    let Some(key) = key else {
        // Another call posted it meanwhile.
        conn.roll_back().await?;
        let known = compare(conn, new, &names).await?;
        return known.ok_or_else(|| crate::Outage::Busy.into());
    };
    let mut given: Vec<(String, u64)> = Vec::with_capacity(heads.len());
    for row in &heads {
        given.push((row.try_get(0)?, row.num(1)?));
    }
    let (owners, seqs): (Vec<&str>, Vec<i64>) = given.iter().map(|(user, seq)| (&**user, num(*seq))).unzip();
    conn.run(GIVE, &[&owners, &seqs, &key.int(0)?]).await?;
    let surplus = given
        .iter()
        .map(|(user, seq)| (&**user, num(seq.saturating_sub(max_per_user))));
    let (owners, lasts): (Vec<&str>, Vec<i64>) = surplus.filter(|(_, last)| *last > 0).unzip();
    if !owners.is_empty() {
        let gone = conn.rows(SURPLUS, &[&owners, &lasts]).await?;
        let gone = gone.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, _>>()?;
        conn.run(ORPHANS, &[&gone]).await?;
    }
    conn.commit().await?;
    let mut places: Vec<_> = given.into_iter().map(|(user, seq)| (plain(user), seq)).collect();
    places.sort_unstable();
    Ok(Posted::New { places })
}

/// The outcome of a post whose id is known already.
async fn compare(conn: &Conn, new: &NewNotification, users: &str) -> Result<Option<Posted>, Failure> {
    const SQL: &str = "SELECT key, at, body = $2 AND users = $3 FROM notifications WHERE id = $1";
    const PLACES: &str =
        "SELECT user_id, seq FROM user_notifications WHERE notification = $1 ORDER BY user_id";
    let known = conn
        .row(SQL, &[&text(&new.id), &text(&new.body), &text(users)])
        .await?;
    let Some(known) = known else { return Ok(None) };
    if !known.flag(2)? {
        return Ok(Some(Posted::Conflict));
    }
    let rows = conn.rows(PLACES, &[&known.int(0)?]).await?;
    let places = rows.iter().map(|row| Ok((row.text(0)?, row.num(1)?)));
    Ok(Some(Posted::Duplicate {
        at: known.int(1)?,
        places: places.collect::<Result<_, Failure>>()?,
    }))
}

// ---- listing and reading

/// `None` if `before` names none of the user's notifications.
pub(super) async fn list(
    conn: &Conn,
    user: &str,
    page: &NotificationPage,
    max_bytes: usize,
) -> Result<Option<NotificationList>, Failure> {
    const SQL: &str = "SELECT u.seq, n.id, n.body, n.at, u.read_at
        FROM user_notifications u JOIN notifications n ON n.key = u.notification
        WHERE u.user_id = $1 AND u.seq < $2 AND (u.read_at IS NULL OR NOT $3) ORDER BY u.seq DESC LIMIT $4";
    conn.begin_snapshot();
    let before = match &page.before {
        None => Some(u64::MAX),
        Some(id) => find(conn, user, id).await?,
    };
    let Some(before) = before else {
        conn.end_snapshot()?;
        return Ok(None);
    };
    // One more than requested tells whether there are more.
    let limit = i64::from(page.limit) + 1;
    let rows = conn
        .rows(SQL, &[&text(user), &num(before), &page.unread_only, &limit])
        .await?;
    let unread = count_unread(conn, user).await?;
    conn.end_snapshot()?;
    let (notifications, more) = take(&rows, page.limit, max_bytes)?;
    Ok(Some(NotificationList {
        notifications,
        more,
        unread,
    }))
}

/// Rows up to a count and a size, at least one unless the limit is 0; and whether there are more.
fn take(rows: &[Row], limit: u32, max_bytes: usize) -> Result<(Vec<Notification>, bool), Failure> {
    let (mut taken, mut bytes) = (Vec::new(), 0usize);
    for row in rows {
        let next = Notification {
            seq: row.num(0)?,
            id: row.text(1)?,
            body: row.text(2)?,
            at: row.int(3)?,
            read_at: row.opt_int(4)?,
        };
        bytes = bytes.saturating_add(next.body.len());
        let full = taken.len() as u64 >= u64::from(limit);
        if full || (bytes > max_bytes && !taken.is_empty()) {
            return Ok((taken, true));
        }
        taken.push(next);
    }
    Ok((taken, false))
}

/// The number of a notification with one of its recipients.
async fn find(conn: &Conn, user: &str, id: &str) -> Result<Option<u64>, Failure> {
    const SQL: &str = "SELECT u.seq FROM notifications n
        JOIN user_notifications u ON u.notification = n.key AND u.user_id = $1 WHERE n.id = $2";
    let row = conn.row(SQL, &[&text(user), &text(id)]).await?;
    row.map(|row| row.num(0)).transpose()
}

async fn count_unread(conn: &Conn, user: &str) -> Result<u64, Failure> {
    let sql = "SELECT count(*) FROM user_notifications WHERE user_id = $1 AND read_at IS NULL";
    conn.one(sql, &[&text(user)]).await?.num(0)
}

pub(super) async fn read(
    conn: &Conn,
    user: &str,
    which: &ReadWhich,
    at: i64,
) -> Result<Option<NotificationsRead>, Failure> {
    const ONE: &str = "UPDATE user_notifications SET read_at = $2
        WHERE user_id = $1 AND read_at IS NULL AND seq = $3";
    const ALL: &str = "UPDATE user_notifications SET read_at = $2 WHERE user_id = $1 AND read_at IS NULL";
    let changed = match which {
        ReadWhich::All => conn.run(ALL, &[&text(user), &at]).await?,
        ReadWhich::One(id) => {
            let Some(seq) = find(conn, user, id).await? else {
                return Ok(None);
            };
            conn.run(ONE, &[&text(user), &at, &num(seq)]).await?
        }
    };
    Ok(Some(NotificationsRead {
        unread: count_unread(conn, user).await?,
        changed: changed > 0,
    }))
}

// ---- marks of devices

/// The last number of a user's notifications, and the mark of a device.
pub(super) struct Ends {
    pub(super) head: u64,
    pub(super) delivered: u64,
}

/// The ends for each user and device.
pub(super) async fn ends(conn: &Conn, of: Vec<(String, String)>) -> Result<Vec<Ends>, Failure> {
    const SQL: &str = "SELECT coalesce(u.head, 0), coalesce(d.delivered, 0)
        FROM unnest($1::text[], $2::text[]) WITH ORDINALITY t (user_id, device, at)
        LEFT JOIN notified_users u ON u.user_id = t.user_id
        LEFT JOIN notified_devices d ON d.user_id = t.user_id AND d.device = t.device ORDER BY t.at";
    let (users, devices): (Vec<_>, Vec<_>) =
        of.iter().map(|(user, device)| (text(user), text(device))).unzip();
    let rows = conn.rows(SQL, &[&users, &devices]).await?;
    let ends = |row: &Row| {
        Ok(Ends {
            head: row.num(0)?,
            delivered: row.num(1)?,
        })
    };
    rows.iter().map(ends).collect()
}

/// The notifications of a user after `after`, whose last number is at least `head`.
pub(super) async fn undelivered(
    conn: &Conn,
    user: &str,
    after: u64,
    head: u64,
    limit: u32,
    max_bytes: usize,
) -> Result<Undelivered, Failure> {
    const SQL: &str = "SELECT u.seq, n.id, n.body, n.at, u.read_at
        FROM user_notifications u JOIN notifications n ON n.key = u.notification
        WHERE u.user_id = $1 AND u.seq > $2 ORDER BY u.seq LIMIT $3";
    let rows = conn
        .rows(SQL, &[&text(user), &num(after), &(i64::from(limit) + 1)])
        .await?;
    let (notifications, more) = take(&rows, limit, max_bytes)?;
    let upto = match notifications.last() {
        // There may be newer notifications by now.
        Some(last) if more => last.seq,
        _ if more => after,
        Some(last) => head.max(last.seq),
        None => head,
    };
    Ok(Undelivered {
        notifications,
        more,
        upto,
    })
}

pub(super) async fn mark_delivered(
    conn: &Conn,
    marks: &[DeliveredMark],
    at: i64,
    devices_per_user: u32,
) -> Result<(), Failure> {
    const MARK: &str =
        "INSERT INTO notified_devices AS d (user_id, device, delivered, at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (user_id, device) DO UPDATE
        SET delivered = greatest(d.delivered, excluded.delivered), at = greatest(d.at, excluded.at)";
    // Keeps the device just marked, whatever the clock says.
    const FORGET: &str = "DELETE FROM notified_devices WHERE user_id = $1 AND device IN (
        SELECT device FROM notified_devices WHERE user_id = $1 AND device <> $2
        ORDER BY at DESC, device OFFSET $3)";
    if marks.is_empty() {
        return Ok(());
    }
    // All nodes lock in this order, which prevents deadlocks. The sort keeps the order of repeated marks.
    let mut marks: Vec<_> = marks.iter().collect();
    marks.sort_by(|a, b| (&a.user_id, &a.device).cmp(&(&b.user_id, &b.device)));
    conn.begin().await?;
    for DeliveredMark { user_id, device, seq } in marks {
        let (user, device) = (text(user_id), text(device));
        conn.run(MARK, &[&user, &device, &num(*seq), &at]).await?;
        conn.run(FORGET, &[&user, &device, &(i64::from(devices_per_user) - 1)])
            .await?;
    }
    conn.commit().await
}

// ---- retention

pub(super) struct Trimmed {
    /// Number of removed notifications.
    pub(super) removed: u64,
    /// Whether there may be more to remove.
    pub(super) more: bool,
}

/// Removes notifications from before `cutoff`, one commit's worth. Only a prefix is removed, so that the
/// numbers of users stay dense even if clocks jump.
pub(super) async fn trim(conn: &Conn, cutoff: i64) -> Result<Trimmed, Failure> {
    const KEYS: &str = "SELECT key, at < $1 FROM notifications ORDER BY key LIMIT $2";
    let rows = conn.rows(KEYS, &[&cutoff, &TRIM_BATCH]).await?;
    let mut keys = Vec::new();
    for row in &rows {
        if !row.flag(1)? {
            break;
        }
        keys.push(row.int(0)?);
    }
    if keys.is_empty() {
        return Ok(Trimmed {
            removed: 0,
            more: false,
        });
    }
    conn.begin().await?;
    conn.run(
        "DELETE FROM user_notifications WHERE notification = ANY($1)",
        &[&keys],
    )
    .await?;
    let removed = conn
        .run("DELETE FROM notifications WHERE key = ANY($1)", &[&keys])
        .await?;
    conn.commit().await?;
    let more = i64::try_from(keys.len()) == Ok(TRIM_BATCH);
    Ok(Trimmed { removed, more })
}

#[async_trait]
impl Notifications for PostgresStore {
    async fn notify(&self, notification: NewNotification) -> Result<Posted, StoreError> {
        let most = self.shared.options.notifications.max_per_user;
        self.checked(post(&self.conn().await?, &notification, most).await)
    }

    async fn notifications(
        &self,
        user: &str,
        page: NotificationPage,
    ) -> Result<Option<NotificationList>, StoreError> {
        let page_bytes = self.shared.options.page_bytes;
        self.checked(list(&self.conn().await?, user, &page, page_bytes).await)
    }

    async fn read_notifications(
        &self,
        user: &str,
        which: ReadWhich,
        at: i64,
    ) -> Result<Option<NotificationsRead>, StoreError> {
        self.checked(read(&self.conn().await?, user, &which, at).await)
    }

    async fn undelivered(
        &self,
        user: &str,
        device: &str,
        after: DeliveredUpto,
        limit: u32,
        max_bytes: usize,
    ) -> Result<Undelivered, StoreError> {
        let of = (user.to_owned(), device.to_owned());
        let ends = self.counted(self.batched_calls.notification_ends.ask(of).await)?;
        let after = match after {
            DeliveredUpto::Seq(seq) => seq,
            DeliveredUpto::Stored => ends.delivered,
        };
        if after >= ends.head {
            return Ok(Undelivered {
                notifications: Vec::new(),
                more: false,
                upto: after,
            });
        }
        let conn = self.conn().await?;
        self.checked(undelivered(&conn, user, after, ends.head, limit, max_bytes).await)
    }

    async fn mark_delivered(&self, marks: Vec<DeliveredMark>, at: i64) -> Result<(), StoreError> {
        let devices = self.shared.options.notifications.devices_per_user;
        self.checked(mark_delivered(&self.conn().await?, &marks, at, devices).await)
    }

    async fn trim_notifications(&self, limits: NotificationRetention, now: i64) -> Result<u64, StoreError> {
        let cutoff = self
            .no_later_than_database(now)
            .await?
            .saturating_sub(limits.max_age_ms);
        let mut total = 0;
        loop {
            let trimmed = self.checked(trim(&self.conn().await?, cutoff).await)?;
            total += trimmed.removed;
            if !trimmed.more {
                return Ok(total);
            }
        }
    }
}
