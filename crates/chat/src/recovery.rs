//! Connection state recovery: a client whose connection was lost takes up its session again, and gets what it missed.
//!
//! What is remembered of a session is in the store: its public id, its user, its rooms, each with the entry that it
//! joined after. So it outlives the process. What it missed is read from the rooms' logs. A session is given back whole
//! or not at all: whatever can't be shown to be complete is a new session, and the client syncs.
//!
//! Nobody but its user gets a session, with a token that is good now and allows all of its rooms.

pub(crate) mod registry;
mod restore;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use roomful_socket::{PrivateId, Reason, Recovery, RecoveryRequest, Restoring, Socket};
use roomful_store::{NewSession, RoomId, SessionKey, SessionOwner, StoreError};

use self::registry::{End, SessionRegistry};
pub(crate) use self::restore::resume;
use crate::{app::App, error::ChatError, room::Subscriber, room_manager::RoomRef, session::Session};

/// How often the store is told that the process is alive, in milliseconds: so much of the window may be lost with it.
const BEAT_MS: i64 = 5_000;

/// How long a client that comes back waits for the end of the connection that still has its session.
const HANDOVER: Duration = Duration::from_secs(5);

/// Forgettings that are under way at a time.
const WRITES_AT_A_TIME: usize = 64;

impl SessionRegistry {
    async fn end_now(&self, app: &App) -> Result<(), StoreError> {
        let waiting: Vec<_> = self
            .unended
            .lock()
            .iter()
            .map(|(key, told)| (*key, *told))
            .collect();
        for (key, (owner, end)) in waiting {
            tell(app, key, owner, end).await?;
            self.unended.lock().remove(&key);
        }
        Ok(())
    }

    /// Before a session begins or is given back: those that no connection can have any more are lost.
    async fn inherit(&self, app: &App) -> Result<(), StoreError> {
        let lose = || app.store.mark_all_sessions_lost();
        self.inherited.get_or_try_init(lose).await.copied()
    }
}

/// Lets clients take up their sessions again.
pub(crate) fn offer(app: &Arc<App>) {
    app.namespace.set_recovery(Arc::new(Sessions(Arc::clone(app))));
}

struct Sessions(Arc<App>);

impl Recovery for Sessions {
    fn begin(&self, socket: &Socket, pid: &PrivateId) -> bool {
        let me = socket.state::<Session>().filter(|me| !me.plain);
        me.is_some_and(|me| {
            me.set_key(Some(restore::key(pid)));
            true
        })
    }

    fn restore<'a>(&'a self, socket: &'a Socket, claim: &'a RecoveryRequest) -> Restoring<'a> {
        let app = &self.0;
        Box::pin(async move {
            let _turn = app.recovery.permit(&app.metrics.sessions_waiting).await;
            // Who has given up meanwhile may have come back by another connection, which is to have the session.
            if !socket.is_open() {
                return None;
            }
            // Who waits for a turn has no place for the rest yet.
            Box::pin(restore::restore(app, socket, claim)).await
        })
    }

    fn abandon(&self, socket: &Socket) {
        restore::abandon(&self.0, socket);
    }
}

/// A new session is remembered from now on. Without the store it can't be taken up again, and goes on all the same.
pub(crate) async fn begin(app: &App, me: &Session, socket: &Socket) {
    let Some(key) = me.key() else { return };
    let session = NewSession {
        key,
        owner: me.serial,
        sid: socket.id().as_str().to_owned(),
        user_id: me.user.to_string(),
        at: app.clock.now_ms(),
    };
    let begun = async {
        app.recovery.inherit(app).await?;
        app.store.begin_session(session).await
    };
    if let Err(error) = begun.await {
        tracing::debug!(%error, "a session can't be remembered");
        me.set_key(None);
        app.recovery.end_later(key, me.serial, End::Over);
    }
}

/// The session gets the room's entries after `head`, as long as its user's `membership` lasts.
///
/// # Errors
/// `unavailable`, `internal`: it is not known whether it is remembered, so the room may not be entered.
pub(crate) async fn subscribe(
    app: &App,
    me: &Session,
    (room, head): (RoomId, u64),
    membership: u64,
) -> Result<(), ChatError> {
    let Some(key) = me.key() else { return Ok(()) };
    let subscribed = app.store.subscribe(key, me.serial, room, head, membership);
    if !subscribed.await? {
        // Another connection has taken the session over, and this one is about to end. Whatever it is: the store knows nothing
        // of this room, so this connection can't be taken up again.
        me.set_key(None);
    }
    Ok(())
}

/// The sessions of these sockets no longer get the room's entries.
pub(crate) async fn unsubscribe(app: &App, room: RoomId, subscribers: &[Subscriber]) {
    let sessions = subscribers
        .iter()
        .filter_map(|subscriber| subscriber.socket.state::<Session>());
    futures_util::stream::iter(sessions)
        .for_each_concurrent(WRITES_AT_A_TIME, |me| async move {
            forget(app, &me, vec![room]).await;
        })
        .await;
}

/// The session no longer gets these rooms' entries.
pub(crate) async fn forget_rooms(app: &App, me: &Session, rooms: &[RoomRef]) {
    if !rooms.is_empty() {
        forget(app, me, rooms.iter().map(|room| room.id).collect()).await;
    }
}

async fn forget(app: &App, me: &Session, rooms: Vec<RoomId>) {
    let Some(key) = me.key() else { return };
    if let Err(error) = app.store.unsubscribe(key, me.serial, rooms).await {
        // It is incomplete then, and not given back.
        tracing::debug!(%error, "a session can't forget a room");
    }
}

/// The session's connection is gone: it may be taken up again, unless either side has ended it.
pub(crate) async fn end(app: &App, me: &Session, reason: Reason) {
    let Some(key) = me.key() else { return };
    let end = if reason.is_recoverable() {
        End::Lost(app.clock.now_ms())
    } else {
        End::Over
    };
    if let Err(error) = tell(app, key, me.serial, end).await {
        tracing::debug!(%error, "the end of a session can't be noted");
        app.recovery.end_later(key, me.serial, end);
    }
}

/// Tells the store. Of a session that another connection has taken up meanwhile it takes no such word.
async fn tell(app: &App, key: SessionKey, owner: SessionOwner, end: End) -> Result<(), StoreError> {
    match end {
        End::Over => app.store.end_session(key, owner).await,
        End::Lost(at) => {
            let keep = app.config.recovery.lost_per_user;
            app.store.mark_session_lost(key, owner, at, keep).await
        }
    }
}

/// Tells the store from time to time that the process is alive, and lets it forget what is too old.
pub(crate) fn start_beating(app: &Arc<App>) {
    if !app.config.recovery.is_on() {
        return;
    }
    let next = |app: &App| Some(*app.recovery.next_beat.lock());
    let tick = |app: Arc<App>, due: i64| async move {
        *app.recovery.next_beat.lock() = due.saturating_add(BEAT_MS);
        // Wall time: other processes and later ones read it.
        let now = app.clock.now_ms();
        let lost_before = now.saturating_sub(app.config.recovery.window_ms);
        let beat = async {
            app.recovery.inherit(&app).await?;
            app.recovery.end_now(&app).await?;
            app.store.heartbeat(now, lost_before).await
        };
        if let Err(error) = beat.await {
            tracing::debug!(%error, "the store can't be told that the server is alive");
        }
    };
    app.recovery
        .alarm
        .spawn(Arc::clone(&app.clock), Arc::downgrade(app), next, tick);
}
