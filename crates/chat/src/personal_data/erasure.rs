//! The erasure of a user, in commits small enough that others go on.
//!
//! The store remembers an erasure from its first commit to its last, and every step may be repeated. So a
//! crash costs only time: the next start, or the next call for the same user, goes through all steps again.
//!
//! While the store remembers an erasure, the log takes no entry of the user and no room takes them in. Tokens
//! are revoked first and the membership of a room ends before its rows are erased, so nothing new arrives
//! about the user. Deletions of messages are entries of the log by the alias: clients and other nodes hide
//! the messages as if a moderator had deleted them.

use std::sync::{Arc, atomic::Ordering};

use roomful_store::{AuditRecord, Erasure, ErasureStep, RoomId};

use crate::{
    app::App,
    audit,
    closing::send_away,
    error::ChatError,
    events::chat::Removal,
    handlers::{membership, profile},
    log::control::Control,
    middleware::auth::next_second,
    moderation::delete_messages,
    types::{RoomName, UserId},
};

/// The duty of finishing interrupted erasures, in a cluster.
const RESUMING: &str = "erasures";
/// The pause before another attempt to finish interrupted erasures, in milliseconds.
const RETRY_MS: i64 = 5_000;
/// Leases after which an erasure that is still pending counts as interrupted, in a cluster.
const SETTLED_LEASES: i64 = 4;

/// The result of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The id that stands for the user wherever a row had to stay.
    pub alias: String,
    /// The server refuses tokens issued before this time (milliseconds since 1970), and tokens without `iat`.
    pub revoked_before: i64,
}

/// Erases a user. Returns when all is done.
pub(crate) async fn erase(app: &Arc<App>, user: &UserId, anonymise: bool) -> Result<Erased, ChatError> {
    let _one_at_a_time = app.erasures.lock().await;
    let latest = app.clock.now_ms().saturating_add(app.config.clock_skew_ms);
    let erasure = Erasure {
        user_id: user.to_string(),
        alias: format!("erased-{:016x}", rand::random::<u64>()),
        anonymise,
        before: next_second(latest),
    };
    let erasure = app.store.begin_erasure(erasure).await?;
    carry_out(app, &erasure).await?;
    Ok(Erased {
        alias: erasure.alias,
        revoked_before: erasure.before,
    })
}

/// Finishes the erasures that a crash has interrupted.
pub(crate) async fn resume(app: &Arc<App>) {
    loop {
        let is_mine = match &app.cluster {
            Some(cluster) => {
                cluster.lease_held().await;
                cluster.has_duty(RESUMING).await
            }
            None => true,
        };
        if is_mine {
            match resume_all(app).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "failed to finish an erasure, retrying in 5 s"),
            }
        }
        app.clock.sleep(RETRY_MS).await;
        if !is_mine
            && app
                .store
                .erasures()
                .await
                .is_ok_and(|erasures| erasures.is_empty())
        {
            return;
        }
    }
}

async fn resume_all(app: &Arc<App>) -> Result<(), ChatError> {
    let mut interrupted = app.store.erasures().await?;
    if let Some(cluster) = &app.cluster
        && !interrupted.is_empty()
    {
        // Another node may carry them out: the caller repeats the call. Two nodes that erase the same user
        // leave the user's id in control entries if one of them ends midway after the other has finished.
        app.clock
            .sleep(SETTLED_LEASES.saturating_mul(cluster.lease_ms()))
            .await;
        let pending = app.store.erasures().await?;
        interrupted.retain(|erasure| pending.contains(erasure));
    }
    for erasure in interrupted {
        let _one_at_a_time = app.erasures.lock().await;
        carry_out(app, &erasure).await?;
        tracing::info!("finished an erasure that was interrupted");
        let change = AuditRecord {
            actor: "server".to_owned(),
            action: "DELETE /users/{user}".to_owned(),
            user_id: Some(erasure.alias),
            status: 200,
            ..AuditRecord::default()
        };
        audit::record(app, change).await;
    }
    Ok(())
}

async fn carry_out(app: &Arc<App>, erasure: &Erasure) -> Result<(), ChatError> {
    let user = UserId::from(&*erasure.user_id);
    let serial = app.serials.fetch_add(1, Ordering::SeqCst);
    app.last_revocation.fetch_max(serial, Ordering::SeqCst);
    let revoked = Control::Revoked {
        user: user.to_string(),
        before: erasure.before,
    };
    send_away(app, &user, &revoked).await?;
    // The profile goes first, so that nobody reads it again while all nodes forget it.
    run(app, erasure, ErasureStep::User).await?;
    profile::erased(app, &user).await?;
    if let Some(cluster) = &app.cluster {
        // Until a node has carried out the revocation, it may store more. A node that is later than its lease
        // has closed its connections.
        app.clock.sleep(cluster.lease_ms()).await;
    }
    let mut after = Some(0);
    while let Some(from) = after {
        let about = app.store.rooms_about(&user, from).await?;
        for (room, name) in &about.rooms {
            erase_in_room(app, erasure, &user, (*room, name)).await?;
        }
        after = about.next;
    }
    // What this node still has to store about the user's devices.
    app.notifications.save_marks().await;
    let control_room = app.control_room.open(&*app.store, app.clock.now_ms()).await?;
    for step in [
        ErasureStep::User,
        ErasureStep::Notifications,
        ErasureStep::Outbox,
        ErasureStep::Audit,
        ErasureStep::Control(control_room),
    ] {
        run(app, erasure, step).await?;
    }
    app.store.end_erasure(&user).await?;
    if !app.store.compact().await? {
        tracing::warn!(
            "the database file is larger than store.compact_up_to, so unused parts of it may still hold \
             copies of erased data; stop the server and run VACUUM on the file"
        );
    }
    Ok(())
}

async fn erase_in_room(
    app: &App,
    erasure: &Erasure,
    user: &UserId,
    (id, name): (RoomId, &str),
) -> Result<(), ChatError> {
    let room = match RoomName::new(name) {
        Ok(name) => app.rooms.open(&name, None).await?,
        Err(_) => None,
    };
    if let Some(room) = room.filter(|room| room.id == id) {
        membership::end(app, &room, user, Removal::Removed, None).await?;
        if !erasure.anonymise {
            let alias = UserId::from(&*erasure.alias);
            delete_messages(app, &room, user, &alias).await?;
        }
    }
    run(app, erasure, ErasureStep::Entries(id)).await?;
    run(app, erasure, ErasureStep::Room(id)).await
}

async fn run(app: &App, erasure: &Erasure, step: ErasureStep) -> Result<(), ChatError> {
    let mut from = 0;
    while let Some(next) = app.store.erase(erasure, step, from).await? {
        from = next;
        tokio::task::yield_now().await;
    }
    Ok(())
}
