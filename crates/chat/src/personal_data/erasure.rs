//! The erasure of a user, in commits so small that they do not delay other writes.
//!
//! The store remembers an erasure from its first commit to its last, and every step may be repeated. So a
//! crash costs only time: the next start, or the next call for the same user, goes through all steps again.
//!
//! While the store remembers an erasure, the log takes no entry of the user and no room takes them in. Tokens
//! are revoked first and the membership of a room ends before its rows are erased, so nothing new arrives
//! about the user.
//!
//! A run claims the erasure in the store before it works. While a run of a living node has the claim, others
//! wait. A node that is only taken for dead loses its claim, and the store refuses the rest of its run.
//! Otherwise one of two runs could name the user in a control entry after the other has finished.
//!
//! Deletions of messages are entries of the log by the alias: clients and other nodes hide
//! the messages as if a moderator had deleted them.

use std::sync::{Arc, atomic::Ordering};

use roomful_store::{AuditRecord, Erasure, ErasureStep, RoomId};

use crate::{
    app::App,
    audit,
    closing::send_away_here,
    error::ChatError,
    events::{chat::Removal, connection::SessionEnded},
    handlers::{membership, profile},
    log::control::Control,
    middleware::auth::next_second,
    moderation::delete_messages,
    room::Room,
    session::Session,
    types::{RoomName, UserId},
};

/// The pause before another attempt to claim or to finish an erasure, in milliseconds.
const RETRY_MS: i64 = 5_000;
/// The node in the names of runs of a server without a cluster.
const ALONE: &str = "local";

/// The result of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// The id that stands for the user wherever a row had to stay.
    pub alias: String,
    /// The server refuses tokens issued before this time (milliseconds since 1970), and tokens without `iat`.
    pub revoked_before: i64,
}

/// Erases a user. Returns when all is done. If another node erases the same user, it waits for its end first.
pub(crate) async fn erase(app: &Arc<App>, user: &UserId, anonymise: bool) -> Result<Erased, ChatError> {
    loop {
        let one_at_a_time = app.erasures.lock().await;
        let latest = app.clock.now_ms().saturating_add(app.config.clock_skew_ms);
        let new = Erasure {
            user_id: user.to_string(),
            alias: format!("erased-{:016x}", rand::random::<u64>()),
            anonymise,
            before: next_second(latest),
            owner: new_run(app),
        };
        if let Some(erasure) = claim(app, new).await? {
            if let Err(error) = carry_out(app, &erasure).await {
                // The claim stays with this node, so other nodes wait for it.
                app.erasure_interrupted.notify_one();
                return Err(error);
            }
            drop(one_at_a_time);
            compact(app).await?;
            return Ok(Erased {
                alias: erasure.alias,
                revoked_before: erasure.before,
            });
        }
        drop(one_at_a_time);
        app.clock.sleep(RETRY_MS).await;
    }
}

/// Finishes the erasures that a crash or a failure of the store has interrupted. Never returns.
pub(crate) async fn resume(app: &Arc<App>) {
    loop {
        if let Some(cluster) = &app.cluster {
            cluster.lease_held().await;
        }
        match resume_all(app).await {
            Ok(true) => app.erasure_interrupted.notified().await,
            Ok(false) => app.clock.sleep(RETRY_MS).await,
            Err(error) => {
                tracing::warn!(%error, "failed to finish an erasure, retrying in 5 s");
                app.clock.sleep(RETRY_MS).await;
            }
        }
    }
}

/// Returns false if living nodes still run some of the erasures.
async fn resume_all(app: &Arc<App>) -> Result<bool, ChatError> {
    let mut all_done = true;
    for pending in app.store.erasures().await? {
        let one_at_a_time = app.erasures.lock().await;
        let erasure = Erasure {
            owner: new_run(app),
            ..pending.clone()
        };
        let taken_over = has_ended(app, &pending.owner).await?
            && app
                .store
                .take_over_erasure(&erasure.user_id, &pending.owner, &erasure.owner)
                .await?;
        if !taken_over {
            all_done = false;
            continue;
        }
        carry_out(app, &erasure).await?;
        drop(one_at_a_time);
        compact(app).await?;
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
    Ok(all_done)
}

/// A name for a run: the incarnation of this node, and a number that no other run has.
fn new_run(app: &App) -> String {
    let node = app.cluster.as_ref().map(|cluster| cluster.incarnation());
    let node = node.as_deref().unwrap_or(ALONE);
    format!("{node}/{:016x}", rand::random::<u64>())
}

/// Notes an erasure and claims it for its owner, a run of this node. `None` while another run has it.
async fn claim(app: &App, new: Erasure) -> Result<Option<Erasure>, ChatError> {
    let store = &app.store;
    let mut noted = store.begin_erasure(new.clone()).await?;
    if noted.owner != new.owner
        && has_ended(app, &noted.owner).await?
        && store
            .take_over_erasure(&new.user_id, &noted.owner, &new.owner)
            .await?
    {
        noted = store.begin_erasure(new.clone()).await?;
    }
    Ok(Some(noted).filter(|noted| noted.owner == new.owner))
}

/// Whether a run has ended without finishing its erasure. The caller holds [`App::erasures`], so no other
/// erasure runs on this node.
async fn has_ended(app: &App, run: &str) -> Result<bool, ChatError> {
    let node = run.rsplit_once('/').map_or(run, |(node, _)| node);
    match &app.cluster {
        Some(cluster) if !cluster.is_own_incarnation(node) => cluster.is_dead(node).await,
        _ => Ok(true),
    }
}

/// Has the other nodes carry out a command about the user.
async fn command(app: &App, erasure: &Erasure, control: Control) -> Result<(), ChatError> {
    match &app.cluster {
        Some(cluster) => cluster.command_in_erasure(erasure, &control).await,
        None => Ok(()),
    }
}

async fn carry_out(app: &Arc<App>, erasure: &Erasure) -> Result<(), ChatError> {
    let user = UserId::from(&*erasure.user_id);
    let serial = app.serials.fetch_add(1, Ordering::SeqCst);
    app.last_revocation.fetch_max(serial, Ordering::SeqCst);
    app.presence
        .dismiss(&user, app.clock.now_ms().min(erasure.before - 1));
    send_away_here(app, &user, SessionEnded::REVOKED).await?;
    // What their handlers still store is erased with the rest. Sessions with new tokens stay.
    let is_revoked = |session: Arc<Session>| session.serial < serial;
    app.connections
        .none_left(&user, |socket| socket.state().is_some_and(is_revoked))
        .await;
    let revoked = Control::Revoked {
        user: user.to_string(),
        before: erasure.before,
    };
    command(app, erasure, revoked).await?;
    // The profile goes first, so that nobody reads it again while all nodes forget it.
    run(app, erasure, ErasureStep::User).await?;
    let at = app.clock.now_ms();
    profile::erased(app, &user, at).await?;
    let user_id = user.to_string();
    command(app, erasure, Control::ProfileChanged { user: user_id, at }).await?;
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
    Ok(app.store.end_erasure(erasure).await?)
}

async fn compact(app: &App) -> Result<(), ChatError> {
    let compact = async || app.store.compact().await;
    app.compaction.after_erasure(&app.erasures, compact).await
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
        end_membership(app, erasure, &room, user).await?;
        if !erasure.anonymise {
            let alias = UserId::from(&*erasure.alias);
            delete_messages(app, &room, user, &alias).await?;
        }
    }
    run(app, erasure, ErasureStep::Entries(id)).await?;
    run(app, erasure, ErasureStep::Room(id)).await
}

async fn end_membership(app: &App, erasure: &Erasure, room: &Room, user: &UserId) -> Result<(), ChatError> {
    let reason = Removal::Removed;
    let _one_change = app.one_membership_change(user, room).await;
    membership::end_here(app, room, user, reason, None).await?;
    let (room, user) = (room.id, user.to_string());
    command(app, erasure, Control::Left { room, user, reason }).await
}

async fn run(app: &App, erasure: &Erasure, step: ErasureStep) -> Result<(), ChatError> {
    let mut from = 0;
    while let Some(next) = app.store.erase(erasure, step, from).await? {
        from = next;
        tokio::task::yield_now().await;
    }
    Ok(())
}
