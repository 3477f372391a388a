//! Forwarding of [`Users`].

use async_trait::async_trait;
use roomful_store::{ChosenStatus, ProfileChange, StoreError, UserRow, Users};

use super::{Call, HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Users for HookedStore<H> {
    async fn touch_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError> {
        self.inner.touch_user(user, name, last_seen).await
    }

    async fn set_status(
        &self,
        user: &str,
        status: ChosenStatus,
        text: Option<&str>,
        at: i64,
    ) -> Result<(), StoreError> {
        self.before(Call::SetStatus)
            .await?
            .set_status(user, status, text, at)
            .await
    }

    async fn put_profile(&self, user: &str, change: &ProfileChange, at: i64) -> Result<UserRow, StoreError> {
        self.inner.put_profile(user, change, at).await
    }

    async fn take_profile(
        &self,
        user: &str,
        name: Option<&str>,
        avatar: Option<&str>,
        issued_at: i64,
    ) -> Result<UserRow, StoreError> {
        self.inner.take_profile(user, name, avatar, issued_at).await
    }

    async fn users(&self, ids: &[String]) -> Result<Vec<UserRow>, StoreError> {
        self.before(Call::Users).await?.users(ids).await
    }

    async fn revoke(&self, user: &str, before: i64) -> Result<(), StoreError> {
        self.inner.revoke(user, before).await
    }

    async fn revoked(&self, user: &str) -> Result<Option<i64>, StoreError> {
        self.inner.revoked(user).await
    }

    async fn forget_revocations(&self, cutoff: i64) -> Result<u64, StoreError> {
        self.inner.forget_revocations(cutoff).await
    }
}
