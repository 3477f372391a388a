//! The calls that every reconnecting client makes, batched by kind. See [`Batcher`].

use std::sync::{Arc, Weak};

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    Shared, audit,
    batcher::Batcher,
    conn::Conn,
    failure::Failure,
    moderation,
    notifications::{self, Ends},
    positions::{self, Spans},
    revocations, rooms,
    sessions::{self, Lost},
    users::{self, Sighting},
};
use crate::{AuditRecord, LogHead, Missed, NewSession, Outage, Resume, Resumed, RoomRow, UserRow};

/// One batcher for each kind of call.
pub(super) struct BatchedCalls {
    pub(super) rooms_by_name: Batcher<String, Option<RoomRow>>,
    /// By user and the most rooms to answer.
    pub(super) rooms_of_users: Batcher<(String, u32), Vec<RoomRow>>,
    pub(super) users: Batcher<Vec<String>, Vec<UserRow>>,
    pub(super) sightings: Batcher<Sighting, ()>,
    pub(super) revoked: Batcher<String, Option<i64>>,
    pub(super) audit: Batcher<AuditRecord, ()>,
    /// By user and time.
    pub(super) banned: Batcher<(String, i64), bool>,
    /// By user and candidates.
    pub(super) blockers: Batcher<(String, Vec<String>), Vec<String>>,
    /// By user and device.
    pub(super) notification_ends: Batcher<(String, String), Ends>,
    pub(super) read_log_head: Batcher<(), LogHead>,
    pub(super) new_sessions: Batcher<NewSession, ()>,
    pub(super) lost_sessions: Batcher<Lost, ()>,
    pub(super) resumed_sessions: Batcher<Resume, Option<Resumed>>,
    pub(super) missed: Batcher<Missed, Option<Spans>>,
}

impl BatchedCalls {
    /// Must be called on the store's own runtime.
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        Self {
            rooms_by_name: start(shared, |_, conn, names| rooms::find_all(conn, names).boxed()),
            rooms_of_users: start(shared, |_, conn, users| rooms::of_users(conn, users).boxed()),
            users: start(shared, |_, conn, asks| users::get_all(conn, asks).boxed()),
            sightings: start(shared, |_, conn, seen| users::touch_users(conn, seen).boxed()),
            audit: start(shared, |_, conn, records| {
                audit::record_all(conn, records).boxed()
            }),
            banned: start(shared, |_, conn, asks| moderation::banned(conn, asks).boxed()),
            blockers: start(shared, |_, conn, asks| moderation::blockers(conn, asks).boxed()),
            revoked: start(shared, |_, conn, users| revocations::get_all(conn, users).boxed()),
            notification_ends: start(shared, |_, conn, of| notifications::ends(conn, of).boxed()),
            read_log_head: start(shared, |shared, conn, asks| {
                read_log_head(shared, conn, asks).boxed()
            }),
            new_sessions: start(shared, |shared, conn, new| {
                sessions::begin_all(conn, shared.log_state.node(), new).boxed()
            }),
            lost_sessions: start(shared, |shared, conn, lost| {
                sessions::lose_all(conn, shared.log_state.node(), lost).boxed()
            }),
            resumed_sessions: start(shared, |shared, conn, asks| {
                let (node, limit) = (shared.log_state.node(), shared.options.node_timeout);
                sessions::take_all(conn, node, asks, limit).boxed()
            }),
            missed: start(shared, |shared, conn, asks| {
                positions::spans(conn, shared.log_state.node(), asks).boxed()
            }),
        }
    }
}

type Answers<'a, R> = BoxFuture<'a, Result<Vec<R>, Failure>>;

/// Starts a batcher whose batches one function answers.
fn start<A, R>(
    shared: &Arc<Shared>,
    call: for<'a> fn(&'a Shared, &'a Conn, Vec<A>) -> Answers<'a, R>,
) -> Batcher<A, R>
where
    A: Clone + Send + 'static,
    R: Send + 'static,
{
    let options = &shared.options;
    // Weak, so that the task does not keep the store open.
    let shared = Arc::downgrade(shared);
    Batcher::start(options, move |asks| {
        let shared = Weak::clone(&shared);
        async move {
            let shared = shared.upgrade().ok_or(Outage::Closed)?;
            let conn = shared.pool.get().await?;
            Ok(call(&shared, &conn, asks).await?)
        }
    })
}

/// One read answers all calls.
async fn read_log_head(shared: &Shared, conn: &Conn, asks: Vec<()>) -> Result<Vec<LogHead>, Failure> {
    let mut position = positions::read(conn).await?;
    if !shared.log_state.observe(&position) {
        shared.log_state.verify_over(conn).await?;
        position = positions::read(conn).await?;
    }
    Ok(vec![position; asks.len()])
}
