//! The notification server: posts notifications, sends each device of a user those that it has not got, and
//! saves its delivered mark.
//!
//! The rules are in `tracker`; this is the shell with sockets, store and clock. A notification is stored,
//! queued for the sockets, arrives, and is marked as delivered, in this order. So a posted notification
//! survives a crash, and one that was in flight when a connection or the server died may be sent again, under
//! the same id.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use ::metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use roomful_socket::{Class, DeliveryMark, Namespace, Prepared, Sent, Socket};
use roomful_store::{DeliveredUpto, NewNotification, Notification, Posted, ReadWhich, Store};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::posting::{check, new_id};
use crate::{
    clock::Clock,
    cluster::{Cluster, UserMessage},
    config::ChatConfig,
    detached::run_to_completion,
    error::ChatError,
    events::notification::{NotificationView, RECEIVE, UNREAD, Unread},
    keyed_mutex::KeyedMutex,
    log::control::Control,
    notifications::tracker::{Device, NextPage, NotificationTracker, Page},
    session::Session,
    types::{Limits, Notice, Notified, Notify, UserId},
};

/// The answer to a user who names a notification that they don't have.
pub(crate) const NOT_FOUND: ChatError =
    ChatError::NotFound("you have no notification with this id; it may have been removed for its age");

/// The notifications of a page that is fetched for a device, and the bytes of their bodies.
const PAGE: u32 = 50;
const PAGE_BYTES: usize = 32 * 1024;
/// The most devices that notifications are read for at a time: a mass reconnect leaves the store's readers
/// to other calls.
const READERS: usize = 64;
/// The first and the longest pause after the store failed, in milliseconds.
pub(super) const RETRY_MS: std::ops::RangeInclusive<i64> = 100..=5_000;
/// A serial that no session has.
const NO_SESSION: u64 = 0;
/// Locks for reading; two readings of one user never run at the same time.
const READING_LOCKS: usize = 256;

/// The notifications of all users.
pub(crate) struct NotificationServer {
    pub(super) tracker: Mutex<NotificationTracker<Socket, DeliveryMark>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    namespace: Namespace,
    /// The other nodes, if there are any.
    cluster: Option<Arc<Cluster>>,
    limits: Limits,
    /// The device of all sockets that name none; they share one copy.
    unnamed_device: Device,
    /// Permits for posts.
    posts: Arc<Semaphore>,
    readers: Semaphore,
    /// Locked for a user from a reading to its event, so that counts are sent in their order.
    reading: KeyedMutex,
    /// Locked while marks are saved.
    pub(super) saving: tokio::sync::Mutex<()>,
    /// Sockets that are gone and whose connection is not over yet.
    pub(super) leaving: TaskTracker,
    /// There are marks to save.
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
            unnamed_device: Device::from(""),
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
    pub(crate) fn unnamed_device(&self) -> Device {
        Arc::clone(&self.unnamed_device)
    }

    // ---- sockets come and go

    /// A socket connects: sends it the `greeting`, and then the notifications that its device has not got. A
    /// client that has seen the greeting misses none that is posted from then on, even if another socket of
    /// the device gets it.
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

    /// A socket is gone. Notifications in flight over it go to the device's other sockets or to its next one,
    /// but only when the connection is over: until then the client may confirm them.
    pub(crate) fn disconnect(self: &Arc<Self>, me: &Arc<Session>, socket: &Socket) {
        let (server, me, socket) = (Arc::clone(self), Arc::clone(me), socket.clone());
        self.leaving.spawn(async move {
            socket.wait_closed().await;
            server.remove_socket(&me);
        });
    }

    fn remove_socket(self: &Arc<Self>, me: &Session) {
        let mut tracker = self.tracker.lock();
        let starts = tracker.disconnect(&me.user, &me.device, me.serial, Socket::is_delivered);
        drop(tracker);
        if starts {
            self.start_reader(Arc::clone(&me.user), Arc::clone(&me.device));
        }
        self.unsaved.notify_one();
    }

    // ---- posting

    /// Posts a notification: stores it for all its users, then sends it to those who are connected.
    ///
    /// # Errors
    /// See [`ChatServer::notify`](crate::ChatServer::notify).
    pub(crate) async fn post(self: &Arc<Self>, notify: Notify) -> Result<Notified, ChatError> {
        check(&notify, &self.limits)?;
        let Ok(permit) = Arc::clone(&self.posts).try_acquire_owned() else {
            return Err(ChatError::Unavailable(
                "the server has too many notifications to store",
            ));
        };
        let server = Arc::clone(self);
        run_to_completion(async move {
            let posted = server.post_now(notify).await;
            drop(permit);
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
            from,
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
            tracing::error!(%error, "failed to encode a notification");
            ChatError::Internal
        })?;
        let new = NewNotification {
            id: id.clone(),
            users: user_ids,
            body,
            at,
            from,
        };
        let (at, places, duplicate) = match self.store.notify(new).await? {
            Posted::New { places } => (at, places, false),
            Posted::Duplicate { at, places } => (at, places, true),
            Posted::Conflict => return Err(ChatError::NotificationConflict(id)),
        };
        self.posted.increment(u64::from(!duplicate));
        // In a cluster also if it was posted before: the node that did it may have died before it announced
        // it.
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
            // If this fails, the notification stays posted, and posting it again announces it.
            cluster.command(&control).await?;
        }
        Ok(Notified { id, at, duplicate })
    }

    /// A notification is stored, with a number for each of its users: sends it to those who are connected
    /// here.
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
            .inspect_err(|error| tracing::error!(%error, "failed to encode a notification"))
            .ok()
    }

    fn send(&self, socket: &Socket, frame: &Prepared) -> Option<DeliveryMark> {
        let queued = socket.send_prepared(frame, Class::Durable) == Sent::Queued;
        self.delivered.increment(u64::from(queued));
        // After queueing it: a ping that goes out in between must not confirm it.
        queued.then(|| socket.delivery_mark())
    }

    // ---- catching up

    fn start_reader(self: &Arc<Self>, user: UserId, device: Device) {
        tokio::spawn(Arc::clone(self).catch_up(user, device));
    }

    /// Fetches the notifications that a device has not got, page by page as its newest socket has room.
    async fn catch_up(self: Arc<Self>, user: UserId, device: Device) {
        let mut pause = *RETRY_MS.start();
        loop {
            let Some(next) = self.tracker.lock().next_page(&user, &device) else {
                return;
            };
            next.socket.has_room().await;
            match self.fetch(&user, &device, &next).await {
                Ok(page) => {
                    pause = *RETRY_MS.start();
                    let send = |socket: &Socket, frame: &Option<Prepared>| {
                        // A notification that can't be encoded must not hold up the others.
                        match frame {
                            Some(frame) => self.send(socket, frame),
                            None => Some(socket.delivery_mark()),
                        }
                    };
                    let goes_on = self.tracker.lock().deliver_page(&user, &device, &page, send);
                    self.unsaved.notify_one();
                    if !goes_on {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to read the notifications of a user, retrying");
                    self.clock.sleep(pause).await;
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
        // The semaphore is never closed.
        let _permit = self.readers.acquire().await;
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

    /// The user has read notifications. Their other sockets get the number of unread ones.
    ///
    /// # Errors
    /// `not_found` if the user has no such notification; `unavailable` and `internal` if the store failed.
    pub(crate) async fn read(&self, me: &Session, which: ReadWhich) -> Result<Unread, ChatError> {
        let _one_reading = self.reading.lock(&me.user).await;
        let now = self.clock.now_ms();
        let read = self.store.read_notifications(&me.user, which, now).await?;
        let read = read.ok_or(NOT_FOUND)?;
        let unread = Unread { unread: read.unread };
        if read.changed {
            self.emit_unread(&me.user, me.serial, unread);
            if let Some(cluster) = &self.cluster {
                cluster.publish_to_user(&me.user, &UserMessage::NotificationsUnread(read.unread));
            }
        }
        Ok(unread)
    }

    /// The user has read notifications on another node.
    pub(crate) fn apply_remote_read(&self, user: &UserId, unread: u64) {
        self.emit_unread(user, NO_SESSION, Unread { unread });
    }

    fn emit_unread(&self, user: &UserId, except: u64, unread: Unread) {
        match self.namespace.prepare(UNREAD, &unread) {
            Ok(frame) => {
                let class = Class::Latest(self.hasher.hash_one((UNREAD, user)));
                self.tracker.lock().each_socket_except(user, except, |socket| {
                    socket.send_prepared(&frame, class);
                });
            }
            Err(error) => tracing::error!(%error, "failed to encode an event"),
        }
    }
}

impl Drop for NotificationServer {
    fn drop(&mut self) {
        // The saving task has to notice.
        self.unsaved.notify_one();
    }
}

/// The content of a stored notification; `None`, with an error in the log, if this version can't decode it.
pub(crate) fn notice(row: &Notification) -> Option<Notice> {
    serde_json::from_str(&row.body)
        .inspect_err(|error| tracing::error!(%error, id = ?row.id, "failed to decode a stored notification"))
        .ok()
}
