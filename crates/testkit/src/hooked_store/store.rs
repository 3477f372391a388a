//! Forwarding of [`Store`].

use async_trait::async_trait;
use roomful_store::{Outbox, Store, StoreError};

use super::{HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> Store for HookedStore<H> {
    fn identity(&self) -> &str {
        self.inner.identity()
    }

    async fn other_nodes(&self) -> Result<u64, StoreError> {
        self.inner.other_nodes().await
    }

    async fn clock(&self) -> Result<Option<i64>, StoreError> {
        self.inner.clock().await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    async fn size(&self) -> Result<u64, StoreError> {
        self.inner.size().await
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        self.inner.outbox()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
