//! Forwarding of [`PersonalData`].

use async_trait::async_trait;
use roomful_store::{
    AppendResult, Erasure, ErasureStep, ExportPart, ExportRow, NewEntry, PersonalData, RoomId, RoomsAbout,
    StoreError,
};

use super::{HookedStore, StoreHooks};

#[async_trait]
impl<H: StoreHooks> PersonalData for HookedStore<H> {
    async fn rooms_about(&self, user: &str, after: RoomId) -> Result<RoomsAbout, StoreError> {
        self.inner.rooms_about(user, after).await
    }

    async fn export(
        &self,
        user: &str,
        part: ExportPart,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ExportRow>, StoreError> {
        self.inner.export(user, part, after, limit).await
    }

    async fn begin_erasure(&self, erasure: Erasure) -> Result<Erasure, StoreError> {
        self.inner.begin_erasure(erasure).await
    }

    async fn take_over_erasure(&self, user: &str, from: &str, to: &str) -> Result<bool, StoreError> {
        self.inner.take_over_erasure(user, from, to).await
    }

    async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        self.inner.erasures().await
    }

    async fn erase(
        &self,
        erasure: &Erasure,
        step: ErasureStep,
        from: i64,
    ) -> Result<Option<i64>, StoreError> {
        self.hooks.erase(&*self.inner, erasure, step, from).await
    }

    async fn append_in_erasure(
        &self,
        erasure: &Erasure,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        self.inner.append_in_erasure(erasure, control).await
    }

    async fn end_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        self.inner.end_erasure(erasure).await
    }

    async fn compact(&self) -> Result<bool, StoreError> {
        self.inner.compact().await
    }
}
