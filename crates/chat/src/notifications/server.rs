//! The notification server: posts notifications, gives each device of a user what it has not been given, and saves
//! how far it has come.
//!
//! The rules of who is given what stand in `notification_tracker`; here are the sockets, the store and the clock. The
//! order is store, queue, arrive, mark: what was posted survives a crash, and what was on its way when a connection or the
//! server died may be given again, under the same id.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use ::metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use rand::RngExt as _;
use roomful_socket::{Class, DeliveryMark, Namespace, Prepared, Sent, Socket};
use roomful_store::{DeliveredUpto, NewNotification, Notification, Posted, ReadWhich, Store};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    admin::to_its_end,
    clock::Clock,
    cluster::{Cluster, UserBusMessage},
    config::ChatConfig,
    error::ChatError,
    events::notification::{ID_CHARS, NotificationView, RECEIVE, UNREAD, Unread},
    keyed_mutex::KeyedMutex,
    log::control::Control,
    middleware::auth::is_user_id,
    notifications::tracker::{Device, NextPage, NotificationTracker, Page},
    session::Session,
    types::UserId,
    types::{Limits, Notice, Notified, Notify},
};

/// What a user is told who names a notification that they don't have.
pub(crate) const NOT_FOUND: ChatError =
    ChatError::NotFound("you have no notification with this id; it may have been removed for its age");

/// The longest `kind` and `title`, in characters.
const KIND_CHARS: usize = 64;
const TITLE_CHARS: usize = 256;
/// The notifications, and the bytes of their bodies, that are fetched for a device at a time.
const PAGE: u32 = 50;
const PAGE_BYTES: usize = 32 * 1024;
/// How many devices are fetched for at a time, so that a crowd that comes back leaves room for other reads.
const READERS: usize = 64;
/// How long to wait after the store failed, at first and at most, in milliseconds.
pub(super) const RETRY_MS: std::ops::RangeInclusive<i64> = 100..=5_000;
/// No session has this serial.
const NOBODY: u64 = 0;
/// Locks for reading; two readings of one user never run at the same time.
const READING_LOCKS: usize = 256;

/// Everybody's notifications.
pub(crate) struct NotificationServer {
    pub(super) tracker: Mutex<NotificationTracker<Socket, DeliveryMark>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    namespace: Namespace,
    /// The other nodes, if there are any.
    cluster: Option<Arc<Cluster>>,
    limits: Limits,
    /// The device of all sockets that named none; one copy for all.
    nameless: Device,
    /// One place for each post that may be under way.
    posts: Arc<Semaphore>,
    readers: Semaphore,
    /// Held from a reading to its announcement, so that counts are announced in their order.
    reading: KeyedMutex,
    /// Held while marks are saved.
    pub(super) saving: tokio::sync::Mutex<()>,
    /// Sockets that are gone, but whose connection is not over.
    pub(super) leaving: TaskTracker,
    /// Tells the saving task that there are marks.
    pub(super) unsaved: Arc<tokio::sync::Notify>,
    hasher: RandomState,
    posted: Counter,
    delivered: Counter,
    pub(super) waiting_marks: Gauge,
}

impl NotificationServer {
    pub(crate) fn new(
        config: &ChatConfig,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        namespace: &Namespace,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        Self {
            cluster,
            tracker: Mutex::new(NotificationTracker::new(config.unsaved_marks)),
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            namespace: namespace.clone(),
            limits: config.limits,
            nameless: Device::from(""),
            posts: Arc::new(Semaphore::new(config.notices_in_flight as usize)),
            readers: Semaphore::new(READERS),
            reading: KeyedMutex::new(READING_LOCKS),
            saving: tokio::sync::Mutex::default(),
            leaving: TaskTracker::new(),
            unsaved: Arc::default(),
            hasher: RandomState::new(),
            posted: counter!("roomful_notifications_posted_total"),
            delivered: counter!("roomful_notifications_delivered_total"),
            waiting_marks: gauge!("roomful_notification_marks_waiting"),
        }
    }

    /// The device of sockets that name none.
    pub(crate) fn nameless(&self) -> Device {
        Arc::clone(&self.nameless)
    }

    // ---- sockets come and go

    /// A socket is in: what its device missed is on its way. The `greeting` goes out first; whoever has seen it misses
    /// nothing that is posted from then on, also if another socket of the same device is given it.
    pub(crate) fn connect(self: &Arc<Self>, me: &Session, socket: &Socket, greeting: Option<&Prepared>) {
        let mut tracker = self.tracker.lock();
        if let Some(greeting) = greeting {
            socket.send_prepared(greeting, Class::Durable);
        }
        let behind = tracker.connect(&me.user, &me.device, me.serial, socket.clone());
        drop(tracker);
        if behind {
            self.start_reader(Arc::clone(&me.user), Arc::clone(&me.device));
        }
    }

    /// A socket is gone. What it carried and may not have arrived goes to the device's other sockets, or to its next;
    /// but only when the connection is over: until then the client's goodbye may tell that it has got it.
    pub(crate) fn disconnect(self: &Arc<Self>, me: &Arc<Session>, socket: &Socket) {
        let (server, me, socket) = (Arc::clone(self), Arc::clone(me), socket.clone());
        self.leaving.spawn(async move {
            socket.wait_closed().await;
            server.lose(&me);
        });
    }

    fn lose(self: &Arc<Self>, me: &Session) {
        let mut tracker = self.tracker.lock();
        let starts = tracker.disconnect(&me.user, &me.device, me.serial, Socket::is_delivered);
        drop(tracker);
        if starts {
            self.start_reader(Arc::clone(&me.user), Arc::clone(&me.device));
        }
        self.unsaved.notify_one();
    }

    // ---- posting

    /// Posts a notification: stored for all its users, then given to those who are here.
    pub(crate) async fn post(self: &Arc<Self>, notify: Notify) -> Result<Notified, ChatError> {
        check(&notify, &self.limits)?;
        let Ok(place) = Arc::clone(&self.posts).try_acquire_owned() else {
            return Err(ChatError::Unavailable(
                "the server has too many notifications to store",
            ));
        };
        let server = Arc::clone(self);
        to_its_end(async move {
            let posted = server.post_now(notify).await;
            drop(place);
            posted
        })
        .await
    }

    async fn post_now(self: &Arc<Self>, notify: Notify) -> Result<Notified, ChatError> {
        let Notify {
            user_ids,
            kind,
            title,
            body,
            data,
            id,
        } = notify;
        let id = id.unwrap_or_else(new_id);
        let at = self.clock.now_ms();
        let notice = Notice {
            kind,
            title,
            body,
            data,
        };
        let body = serde_json::to_string(&notice).map_err(|error| {
            tracing::error!(%error, "a notification can't be encoded");
            ChatError::Internal
        })?;
        let new = NewNotification {
            id: id.clone(),
            users: user_ids,
            body,
            at,
        };
        let (at, places, duplicate) = match self.store.notify(new).await? {
            Posted::New { places } => (at, places, false),
            Posted::Duplicate { at, places } => (at, places, true),
            Posted::Conflict => return Err(ChatError::NotificationConflict(id)),
        };
        self.posted.increment(u64::from(!duplicate));
        // Also if it was posted before: the node where that was done may have ended in between.
        if self.cluster.is_some() || !duplicate {
            self.announce(&id, &notice, at, places.clone());
        }
        if let Some(cluster) = &self.cluster {
            let id = id.clone();
            let control = Control::Notified {
                id,
                notice,
                at,
                places,
            };
            // If that fails it is posted all the same, and posting it again tells them.
            cluster.command(&control).await?;
        }
        Ok(Notified { id, at, duplicate })
    }

    /// A notification is stored, as these users' so and so many-th: it goes to those of them who are here.
    pub(crate) fn announce(self: &Arc<Self>, id: &str, notice: &Notice, at: i64, places: Vec<(String, u64)>) {
        let Some(frame) = self.frame(id, notice, at, None) else {
            return;
        };
        for (user, seq) in places {
            let user = UserId::from(user);
            let send = |socket: &Socket| self.send(socket, &frame);
            let behind = self.tracker.lock().announce(&user, seq, send);
            for device in behind {
                self.start_reader(Arc::clone(&user), device);
            }
        }
        self.unsaved.notify_one();
    }

    fn frame(&self, id: &str, notice: &Notice, at: i64, read_at: Option<i64>) -> Option<Prepared> {
        let view = NotificationView {
            id,
            notice: Cow::Borrowed(notice),
            at,
            read_at,
        };
        self.namespace
            .prepare(RECEIVE, &view)
            .inspect_err(|error| tracing::error!(%error, "a notification can't be encoded"))
            .ok()
    }

    fn send(&self, socket: &Socket, frame: &Prepared) -> Option<DeliveryMark> {
        let queued = socket.send_prepared(frame, Class::Durable) == Sent::Queued;
        self.delivered.increment(u64::from(queued));
        // After it was queued: a ping that goes out in between must not stand for it.
        queued.then(|| socket.delivery_mark())
    }

    // ---- catching up

    fn start_reader(self: &Arc<Self>, user: UserId, device: Device) {
        tokio::spawn(Arc::clone(self).catch_up(user, device));
    }

    /// Fetches what a device has not been given, page by page as its newest socket has room.
    async fn catch_up(self: Arc<Self>, user: UserId, device: Device) {
        let mut pause = *RETRY_MS.start();
        loop {
            let Some(next) = self.tracker.lock().next_page(&user, &device) else {
                return;
            };
            next.seat.has_room().await;
            match self.fetch(&user, &device, &next).await {
                Ok(page) => {
                    pause = *RETRY_MS.start();
                    let send = |socket: &Socket, frame: &Option<Prepared>| {
                        // What can't be encoded must not keep the others from going out.
                        match frame {
                            Some(frame) => self.send(socket, frame),
                            None => Some(socket.delivery_mark()),
                        }
                    };
                    let goes_on = self.tracker.lock().give(&user, &device, &page, send);
                    self.unsaved.notify_one();
                    if !goes_on {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a user's notifications can't be read; trying again");
                    self.clock
                        .sleep_until(self.clock.now_ms().saturating_add(pause))
                        .await;
                    pause = pause.saturating_mul(2).min(*RETRY_MS.end());
                }
            }
        }
    }

    async fn fetch(
        &self,
        user: &UserId,
        device: &Device,
        next: &NextPage<Socket>,
    ) -> Result<Page<Option<Prepared>>, ChatError> {
        // An error would mean that the semaphore was closed, which nobody does.
        let _place = self.readers.acquire().await;
        let after = next.after.map_or(DeliveredUpto::Stored, DeliveredUpto::Seq);
        let missed = self
            .store
            .undelivered(user, device, after, PAGE, PAGE_BYTES)
            .await?;
        let frame = |row: Notification| {
            let frame = notice(&row).and_then(|notice| self.frame(&row.id, &notice, row.at, row.read_at));
            (row.seq, frame)
        };
        Ok(Page {
            frames: missed.notifications.into_iter().map(frame).collect(),
            upto: missed.upto,
            more: missed.more,
        })
    }

    // ---- reading

    /// The user has read something; their other sockets hear how many are left.
    pub(crate) async fn read(&self, me: &Session, which: ReadWhich) -> Result<Unread, ChatError> {
        let _one_reading = self.reading.lock(&me.user).await;
        let now = self.clock.now_ms();
        let read = self.store.read_notifications(&me.user, which, now).await?;
        let read = read.ok_or(NOT_FOUND)?;
        let unread = Unread { unread: read.unread };
        if read.changed {
            self.tell_unread(&me.user, me.serial, unread);
            if let Some(cluster) = &self.cluster {
                cluster.tell_user(&me.user, &UserBusMessage::NotificationsUnread(read.unread));
            }
        }
        Ok(unread)
    }

    /// The user has read something on another node.
    pub(crate) fn read_elsewhere(&self, user: &UserId, unread: u64) {
        self.tell_unread(user, NOBODY, Unread { unread });
    }

    fn tell_unread(&self, user: &UserId, except: u64, unread: Unread) {
        match self.namespace.prepare(UNREAD, &unread) {
            Ok(frame) => {
                let class = Class::Latest(self.hasher.hash_one((UNREAD, user)));
                self.tracker.lock().tell(user, except, |socket| {
                    socket.send_prepared(&frame, class);
                });
            }
            Err(error) => tracing::error!(%error, "an event can't be encoded"),
        }
    }
}

impl Drop for NotificationServer {
    fn drop(&mut self) {
        // The saving task shall notice.
        self.unsaved.notify_one();
    }
}

/// What a stored notification says; `None`, with a line in the log, if this version can't read it.
pub(crate) fn notice(row: &Notification) -> Option<Notice> {
    serde_json::from_str(&row.body)
        .inspect_err(|error| tracing::error!(%error, id = ?row.id, "a stored notification can't be read"))
        .ok()
}

/// Whether a notification may be posted at all.
fn check(notify: &Notify, limits: &Limits) -> Result<(), ChatError> {
    let wrong = |what: String| Err(ChatError::InvalidRequest(what));
    let most = limits.notification_users;
    let users = &notify.user_ids;
    if users.is_empty() || users.len() > most || !users.iter().all(|user| is_user_id(user)) {
        return wrong(format!(
            "userIds must be a list of 1 to {most} user ids of 1 to 128 characters"
        ));
    }
    if !(1..=KIND_CHARS).contains(&notify.kind.chars().count()) {
        return wrong(format!("kind must be 1 to {KIND_CHARS} characters long"));
    }
    if notify.title.chars().count() > TITLE_CHARS {
        return wrong(format!("title must be at most {TITLE_CHARS} characters long"));
    }
    let id = notify.id.as_deref();
    if id.is_some_and(|id| !(1..=ID_CHARS).contains(&id.chars().count()) || id.chars().any(char::is_control))
    {
        return wrong(format!(
            "id must be 1 to {ID_CHARS} characters long, none of them a control character"
        ));
    }
    let too_large = |what: &str, most: usize| {
        Err(ChatError::PayloadTooLarge(format!(
            "{what} is larger than {most} bytes"
        )))
    };
    if notify.body.len() > limits.notification_body_bytes {
        return too_large("body", limits.notification_body_bytes);
    }
    let data = notify.data.as_ref().map_or(0, |data| data.to_string().len());
    if data > limits.notification_data_bytes {
        return too_large("data", limits.notification_data_bytes);
    }
    Ok(())
}

/// An id for a notification whose poster gave none: 120 random bits, in letters and digits.
fn new_id() -> String {
    let mut rng = rand::rng();
    (0..24)
        .map(|_| char::from_digit(rng.random_range(0..32), 32).unwrap_or('0'))
        .collect()
}
