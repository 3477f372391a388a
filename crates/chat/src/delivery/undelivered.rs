//! Looks at who has not acknowledged a message: first, soon, at members who are away; then, after the full wait, at all.

use std::sync::Arc;

use roomful_store::{Alert, Outage, Outbox, Store, StoreError};

use crate::{clock::Clock, presence_tracker::UserId};

/// Messages looked at in one go.
const BATCH: u32 = 100;
/// How often it is seen what is due, in milliseconds.
const EVERY_MS: i64 = 500;

/// Runs until the store is closed. Returns at once if it has no outbox.
pub(crate) async fn watch(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    is_online: impl Fn(&UserId) -> bool + Send,
) {
    let Some(outbox) = store.outbox() else { return };
    loop {
        match look(outbox, clock.now_ms(), &is_online).await {
            // There may be more.
            Ok(looked) if looked == BATCH as usize => continue,
            Ok(_) => {}
            Err(StoreError::Unavailable(Outage::Closed)) => return,
            Err(error) => tracing::warn!(%error, "who has not got a message can't be looked up"),
        }
        clock.sleep_until(clock.now_ms().saturating_add(EVERY_MS)).await;
    }
}

async fn look(
    outbox: &dyn Outbox,
    now: i64,
    is_online: &(impl Fn(&UserId) -> bool + Send),
) -> Result<usize, StoreError> {
    let due = outbox.unconfirmed(now, BATCH).await?;
    let looked = due.len();
    if looked == 0 {
        return Ok(0);
    }
    let mut alerts = Vec::with_capacity(looked);
    for mut message in due {
        if !message.last {
            message
                .waiting
                .retain(|user| !is_online(&UserId::from(user.as_str())));
        }
        alerts.push(Alert {
            room: message.room,
            seq: message.seq,
            last: message.last,
            users: message.waiting,
        });
    }
    outbox.alert(alerts).await?;
    Ok(looked)
}
