//! Connection state recovery: a client that reconnects within the window continues its session and gets the
//! events it missed.
//!
//! The store keeps each session's public id, user and rooms, each with the seq of the join, so a session
//! outlives the process. Missed events come from the rooms' logs. A recovery is complete or does not happen:
//! if completeness is in doubt, the client gets a new session and syncs.
//!
//! A session goes only to its own user, whose current token must allow all of its rooms.

pub(crate) mod refusal;
pub(crate) mod registry;
mod restore;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use roomful_socket::{PrivateId, Reason, Recovery, RecoveryRequest, Restoring, Socket};
use roomful_store::{NewSession, RoomId, SessionKey, SessionOwner, StoreError, Subscribed};

use self::registry::{End, SessionRegistry};
pub(crate) use self::restore::resume;
use crate::{app::App, error::ChatError, room::Subscriber, room_manager::RoomRef, session::Session};

/// The interval of the process's heartbeat in the store, in milliseconds. A crash shortens the recovery
/// window by up to this much.
const BEAT_MS: i64 = 5_000;

/// How long a reconnecting client waits for the end of its previous connection.
const HANDOVER: Duration = Duration::from_secs(5);

/// The most concurrent unsubscribe calls to the store.
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
            store_end(app, key, owner, end).await?;
            self.unended.lock().remove(&key);
        }
        Ok(())
    }

    /// Marks the sessions of earlier processes as lost, once, before the first session starts or recovers.
    async fn inherit(&self, app: &App) -> Result<(), StoreError> {
        let lose = || app.store.mark_all_sessions_lost();
        self.inherited.get_or_try_init(lose).await.copied()
    }
}

/// Enables recovery for the namespace.
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
            // If this client gave up, a newer connection of it should get the session.
            if !socket.is_open() {
                return None;
            }
            // Boxed, so that waiting clients do not allocate the large future.
            Box::pin(restore::restore(app, socket, claim)).await
        })
    }

    fn abandon(&self, socket: &Socket) {
        restore::abandon(&self.0, socket);
    }
}

/// Starts to remember a new session. If the store fails, the session works but cannot be recovered.
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
        tracing::debug!(%error, "failed to store a new session");
        me.set_key(None);
        app.recovery.end_later(key, me.serial, End::Over);
    }
}

/// The session that a subscription to a room belongs to, for the store.
pub(crate) fn stored_session(me: &Session) -> Option<(SessionKey, SessionOwner)> {
    me.key().map(|key| (key, me.serial))
}

/// The store did not record a subscription: another connection has taken over the session, and this one is
/// about to end. So this connection must not be recoverable.
pub(crate) fn taken_over(me: &Session) {
    me.set_key(None);
}

/// Adds the rooms to the session, each from its newest entry on, while the user is a member.
///
/// # Errors
/// `unavailable` if the user has left one of them. `unavailable`, `internal` if the store failed: the outcome
/// is unknown, so the caller must not enter the rooms.
pub(crate) async fn subscribe_all(
    app: &App,
    me: &Session,
    rooms: Vec<(RoomId, u64)>,
) -> Result<(), ChatError> {
    let is_member = if let Some((key, owner)) = stored_session(me) {
        let subscribed = app.store.subscribe_all(key, owner, &me.user, rooms).await?;
        if subscribed == Subscribed::NotOwner {
            taken_over(me);
        }
        subscribed != Subscribed::NotMember
    } else {
        let rooms: Vec<_> = rooms.into_iter().map(|(room, _)| room).collect();
        let memberships = app.store.memberships(&me.user, &rooms).await?;
        memberships.iter().all(Option::is_some)
    };
    let left = ChatError::Unavailable("you left one of these rooms just now; try again");
    is_member.then_some(()).ok_or(left)
}

/// Removes the room from the sessions of these subscribers.
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

/// Removes the rooms from the session.
pub(crate) async fn forget_rooms(app: &App, me: &Session, rooms: &[RoomRef]) {
    if !rooms.is_empty() {
        forget(app, me, rooms.iter().map(|room| room.id).collect()).await;
    }
}

async fn forget(app: &App, me: &Session, rooms: Vec<RoomId>) {
    let Some(key) = me.key() else { return };
    if let Err(error) = app.store.unsubscribe(key, me.serial, rooms).await {
        // The stored session is then incomplete, and recovery refuses it.
        tracing::debug!(%error, "failed to remove a room from a stored session");
    }
}

/// Records the end of a connection: recoverable, unless one side closed it on purpose.
pub(crate) async fn end(app: &App, me: &Session, reason: Reason) {
    let Some(key) = me.key() else { return };
    let end = if reason.is_recoverable() {
        End::Lost(app.clock.now_ms())
    } else {
        End::Over
    };
    if let Err(error) = store_end(app, key, me.serial, end).await {
        tracing::debug!(%error, "failed to store the end of a session, retrying later");
        app.recovery.end_later(key, me.serial, end);
    }
}

/// Writes the end of a session. The store ignores it if another connection has taken over.
async fn store_end(app: &App, key: SessionKey, owner: SessionOwner, end: End) -> Result<(), StoreError> {
    match end {
        End::Over => app.store.end_session(key, owner).await,
        End::Lost(at) => {
            let keep = app.config.recovery.lost_per_user;
            app.store.mark_session_lost(key, owner, at, keep).await
        }
    }
}

/// Writes the process's heartbeat and deletes expired sessions, at a fixed interval.
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
            tracing::debug!(%error, "failed to write the recovery heartbeat, retrying");
        }
    };
    app.recovery.alarm.spawn(
        "recovery heartbeat",
        Arc::clone(&app.clock),
        Arc::downgrade(app),
        next,
        tick,
    );
}
