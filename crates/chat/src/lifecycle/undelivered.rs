//! Looks at who has not acknowledged a message: first, soon, at members who are away; then, after the full wait, at all.

use std::sync::{Arc, Weak};

use roomful_store::{Outage, Outbox, Store, StoreError, UndeliveredReport};

use crate::{clock::Clock, presence::server::PresenceServer};

/// The duty of looking.
const UNDELIVERED: &str = "undelivered";
/// Messages looked at in one go.
const BATCH: u32 = 100;
/// How often it is seen what is due, in milliseconds.
const EVERY_MS: i64 = 500;

/// Runs until the store is closed. Returns at once if it has no outbox.
pub(crate) async fn watch(store: Arc<dyn Store>, clock: Arc<dyn Clock>, presence: Weak<PresenceServer>) {
    let Some(outbox) = store.outbox() else { return };
    loop {
        let Some(presence) = presence.upgrade() else {
            return;
        };
        let looked = if presence.is_on_duty(UNDELIVERED).await {
            look(outbox, clock.now_ms(), &presence).await
        } else {
            Ok(0)
        };
        drop(presence);
        match looked {
            // There may be more.
            Ok(looked) if looked == BATCH as usize => continue,
            Ok(_) => {}
            Err(StoreError::Unavailable(Outage::Closed)) => return,
            Err(error) => tracing::warn!(%error, "who has not got a message can't be looked up"),
        }
        clock.sleep_until(clock.now_ms().saturating_add(EVERY_MS)).await;
    }
}

async fn look(outbox: &dyn Outbox, now: i64, presence: &PresenceServer) -> Result<usize, StoreError> {
    let due = outbox.due_checks(now, BATCH).await?;
    let looked = due.len();
    if looked == 0 {
        return Ok(0);
    }
    let mut alerts = Vec::with_capacity(looked);
    for mut message in due {
        if !message.last {
            let online = presence.online_among(&message.waiting).await;
            // Where nobody can say, they are taken to be there; the full wait tells in the end.
            let waiting = online.map(|online| {
                message.waiting.retain(|user| !online.contains(user));
                message.waiting
            });
            message.waiting = waiting.unwrap_or_default();
        }
        alerts.push(UndeliveredReport {
            room: message.room,
            seq: message.seq,
            last: message.last,
            users: message.waiting,
        });
    }
    outbox.report_undelivered(alerts).await?;
    Ok(looked)
}
