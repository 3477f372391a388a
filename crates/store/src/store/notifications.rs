//! Notifications of users: posting, listing, reading and delivering them.

use async_trait::async_trait;

use crate::{
    DeliveredMark, DeliveredUpto, NewNotification, NotificationList, NotificationPage, NotificationRetention,
    NotificationsRead, Posted, ReadWhich, StoreError, Undelivered,
};

/// The notifications of all users.
#[async_trait]
pub trait Notifications: Send + Sync {
    /// Posts a notification to its recipients in one commit. Recipients who then exceed their limit lose
    /// the oldest ones.
    async fn notify(&self, notification: NewNotification) -> Result<Posted, StoreError>;

    /// A page of the user's notifications. `None` if `before` names none of them.
    async fn notifications(
        &self,
        user: &str,
        page: NotificationPage,
    ) -> Result<Option<NotificationList>, StoreError>;

    /// Marks one or all of the user's notifications as read. `None` if they have none with this id.
    async fn read_notifications(
        &self,
        user: &str,
        which: ReadWhich,
        at: i64,
    ) -> Result<Option<NotificationsRead>, StoreError>;

    /// The notifications that a device of the user has not received: at most `limit` of them with
    /// `max_bytes` of bodies, but at least one if there is one.
    async fn undelivered(
        &self,
        user: &str,
        device: &str,
        after: DeliveredUpto,
        limit: u32,
        max_bytes: usize,
    ) -> Result<Undelivered, StoreError>;

    /// Stores how far devices have received their notifications, in one commit.
    async fn mark_delivered(&self, marks: Vec<DeliveredMark>, at: i64) -> Result<(), StoreError>;

    /// Deletes notifications that are too old at the time `now`, in small commits that let other writes
    /// through. Answers how many it deleted.
    async fn trim_notifications(&self, limits: NotificationRetention, now: i64) -> Result<u64, StoreError>;
}
