//! Users: profiles, chosen statuses and revoked tokens.

use async_trait::async_trait;

use crate::{ChosenStatus, ProfileChange, StoreError, UserRow};

/// The users that have been seen.
#[async_trait]
pub trait Users: Send + Sync {
    /// Stores a user's name and when they were last seen. Without a name the stored one stays; `last_seen`
    /// only grows.
    async fn touch_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError>;

    /// Stores the status that the user chose, until they choose again. Counts as seen at the time `at`.
    async fn set_status(
        &self,
        user: &str,
        status: ChosenStatus,
        text: Option<&str>,
        at: i64,
    ) -> Result<(), StoreError>;

    /// Changes a profile for the app's backend, at the time `at`. Answers the user after it.
    async fn put_profile(&self, user: &str, change: &ProfileChange, at: i64) -> Result<UserRow, StoreError>;

    /// Stores the name and picture of a token, unless the backend has set the profile after `issued_at`. What
    /// the token does not have stays. Answers the user after it.
    async fn take_profile(
        &self,
        user: &str,
        name: Option<&str>,
        avatar: Option<&str>,
        issued_at: i64,
    ) -> Result<UserRow, StoreError>;

    /// These users in the order asked for, without those never seen.
    async fn users(&self, ids: &[String]) -> Result<Vec<UserRow>, StoreError>;

    /// Revokes the user's tokens that were issued before `before`. The latest such time counts.
    async fn revoke(&self, user: &str, before: i64) -> Result<(), StoreError>;

    /// The time before which the user's tokens are revoked, if there is one.
    async fn revoked(&self, user: &str) -> Result<Option<i64>, StoreError>;

    /// Deletes the revocations whose time is before `cutoff`. Answers how many it deleted.
    async fn forget_revocations(&self, cutoff: i64) -> Result<u64, StoreError>;
}
