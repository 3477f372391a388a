//! A store around another one, with hooks for faults and bugs.
//!
//! [`HookedStore`] forwards every call to its inner store, except for those that its [`StoreHooks`] change.

#![warn(
    clippy::missing_trait_methods,
    reason = "a call with a default in its trait must reach the inner store, too"
)]

mod audit;
mod call;
mod hooks;
mod log;
mod members;
mod moderation;
mod notifications;
mod personal_data;
mod reports;
mod rooms;
mod sessions;
mod store;
mod users;

use std::sync::Arc;

use roomful_store::{Store, StoreError};

pub use self::call::Call;
pub use self::hooks::StoreHooks;

/// A store that runs hooks around the calls of another one.
pub struct HookedStore<H> {
    /// The other store.
    pub inner: Arc<dyn Store>,
    /// The hooks.
    pub hooks: H,
}

impl<H: StoreHooks> HookedStore<H> {
    /// Puts hooks around a store.
    pub fn new(inner: Arc<dyn Store>, hooks: H) -> Self {
        Self { inner, hooks }
    }

    /// The inner store for a call, after the hook that runs before it.
    async fn before(&self, call: Call) -> Result<&dyn Store, StoreError> {
        self.hooks.before(call).await?;
        Ok(&*self.inner)
    }
}
