//! The bug of a store that lets muted users write.

use async_trait::async_trait;
use roomful_store::{AppendResult, ModerationAct, NewEntry, SanctionKind, Store, StoreError};
use roomful_testkit::hooked_store::StoreHooks;

/// Ends each mute at its beginning.
pub(crate) struct IgnoreMutes;

#[async_trait]
impl StoreHooks for IgnoreMutes {
    async fn moderate(
        &self,
        store: &dyn Store,
        mut act: ModerationAct,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        if let ModerationAct::Impose(sanction) = &mut act
            && sanction.kind == SanctionKind::Mute
        {
            sanction.until = Some(sanction.at);
        }
        store.moderate(act, control).await
    }
}
