//! Forwarding of [`Notifications`].

use async_trait::async_trait;
use roomful_store::{
    DeliveredMark, DeliveredUpto, NewNotification, NotificationList, NotificationPage, NotificationRetention,
    Notifications, NotificationsRead, Posted, ReadWhich, StoreError, Undelivered,
};

use super::{HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Notifications for HookedStore<H> {
    async fn notify(&self, notification: NewNotification) -> Result<Posted, StoreError> {
        self.inner.notify(notification).await
    }

    async fn notifications(
        &self,
        user: &str,
        page: NotificationPage,
    ) -> Result<Option<NotificationList>, StoreError> {
        self.inner.notifications(user, page).await
    }

    async fn read_notifications(
        &self,
        user: &str,
        which: ReadWhich,
        at: i64,
    ) -> Result<Option<NotificationsRead>, StoreError> {
        self.inner.read_notifications(user, which, at).await
    }

    async fn undelivered(
        &self,
        user: &str,
        device: &str,
        after: DeliveredUpto,
        limit: u32,
        max_bytes: usize,
    ) -> Result<Undelivered, StoreError> {
        self.inner
            .undelivered(user, device, after, limit, max_bytes)
            .await
    }

    async fn mark_delivered(&self, marks: Vec<DeliveredMark>, at: i64) -> Result<(), StoreError> {
        self.inner.mark_delivered(marks, at).await
    }

    async fn trim_notifications(&self, limits: NotificationRetention, now: i64) -> Result<u64, StoreError> {
        self.inner.trim_notifications(limits, now).await
    }
}
