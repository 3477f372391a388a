//! Reports messages that members have not acknowledged: soon for members who are offline, after the full wait
//! for all.

use std::sync::{Arc, Weak};

use roomful_store::{Outage, Outbox, Store, StoreError, UndeliveredReport};
use tokio::time::{Instant, sleep};

use super::online_users::OnlineUsers;
use crate::clock::Clock;

/// The duty of checking.
const UNDELIVERED: &str = "undelivered";
/// Messages checked at a time.
const BATCH: u32 = 100;
/// The most recipients reported in one commit; the last message may exceed it. Other writes get their turn
/// between two commits.
const RECIPIENTS_PER_COMMIT: usize = 256;
/// The pause after a commit, as a multiple of its duration: a backlog of reports takes a quarter of the
/// store's time for writes at most, however long it is.
const PAUSE: u32 = 3;
/// The pause between two checks, in milliseconds.
const EVERY_MS: i64 = 500;

/// Checks until the store is closed or `users` is dropped. Returns at once if the store has no outbox.
pub(crate) async fn watch(store: Arc<dyn Store>, clock: Arc<dyn Clock>, users: Weak<dyn OnlineUsers>) {
    let Some(outbox) = store.outbox() else { return };
    loop {
        let Some(users) = users.upgrade() else { return };
        let checked = if users.is_leader_for(UNDELIVERED).await {
            check(outbox, clock.now_ms(), &*users).await
        } else {
            Ok(0)
        };
        drop(users);
        match checked {
            // There may be more.
            Ok(checked) if checked == BATCH as usize => continue,
            Ok(_) => {}
            Err(StoreError::Unavailable(Outage::Closed)) => return,
            Err(error) => tracing::warn!(%error, "failed to check for undelivered messages, retrying"),
        }
        clock.sleep(EVERY_MS).await;
    }
}

/// Checks the messages that are due, and returns how many there were.
async fn check(outbox: &dyn Outbox, now: i64, users: &dyn OnlineUsers) -> Result<usize, StoreError> {
    let due = outbox.due_checks(now, BATCH).await?;
    let checked = due.len();
    if checked == 0 {
        return Ok(0);
    }
    let (mut reports, mut recipients) = (Vec::new(), 0);
    for mut message in due {
        if !message.last {
            // While the registry fails, all count as online: the check after the full wait reports
            // them.
            let online = users.online_among(&message.waiting).await;
            let offline = online.map(|online| {
                message.waiting.retain(|user| !online.contains(user));
                message.waiting
            });
            message.waiting = offline.unwrap_or_default();
        }
        recipients += message.waiting.len();
        reports.push(UndeliveredReport {
            room: message.room,
            seq: message.seq,
            last: message.last,
            users: message.waiting,
        });
        if recipients >= RECIPIENTS_PER_COMMIT {
            commit(outbox, std::mem::take(&mut reports)).await?;
            recipients = 0;
        }
    }
    if !reports.is_empty() {
        commit(outbox, reports).await?;
    }
    Ok(checked)
}

/// Writes reports, and lets other writes pass for some time afterwards.
async fn commit(outbox: &dyn Outbox, reports: Vec<UndeliveredReport>) -> Result<(), StoreError> {
    let started = Instant::now();
    outbox.report_undelivered(reports).await?;
    sleep(started.elapsed() * PAUSE).await;
    Ok(())
}
