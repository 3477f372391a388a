//! The appends of this node: queued, fenced, planned together and committed in the order of the log.

use std::sync::{Arc, OnceLock};

use tokio::{sync::watch, task::JoinHandle};

use super::{load, write};
use crate::{
    AppendResult, Erasure, FencingTokens, LogPosition, ModerationAct, NewEntry, Options, Outage, Rejected,
    RoomId, StoreError,
    append::{Limits, Plan, Reservations, statements},
    group_commit::{Commit, GroupCommit, Job, Pending, Weight},
    metrics::Metrics,
    postgres::{
        conn::Step, failure::Failure, generation::LogState, moderation, personal_data, pool::Pool, rooms,
    },
    queue,
};

/// The entry to the task that appends.
pub(in crate::postgres) struct Appender {
    group_commit: GroupCommit<Pending<Append, AppendResult>>,
    fence: Fence,
    /// The task; `None` once it has been waited for.
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

struct Append {
    entries: Vec<NewEntry>,
    /// What else happens in the same transaction. Such an append has a batch of its own.
    along: Option<AttachedChange>,
    /// The fencing token when it was queued.
    token: Option<u64>,
}

/// A change that shares a transaction with the entry that announces it.
enum AttachedChange {
    /// Deletes a room.
    Removal(RoomId),
    Moderation(ModerationAct),
    /// Changes nothing, and fails if another run owns the erasure.
    Erasure(Erasure),
}

impl Job for Append {
    fn weight(&self) -> Weight {
        Weight {
            writes: self.entries.len(),
            bytes: self.entries.iter().map(NewEntry::weight).sum(),
        }
    }

    fn is_exclusive(&self) -> bool {
        self.along.is_some()
    }
}

/// The source of fencing tokens, once there is one. See [`crate::Log::fence`].
#[derive(Clone, Default)]
struct Fence(Arc<OnceLock<FencingTokens>>);

impl Fence {
    /// The current fencing token; `None` if the store is not fenced.
    fn token(&self) -> Result<Option<u64>, Outage> {
        match self.0.get() {
            None => Ok(None),
            Some(tokens) => tokens().map(Some).ok_or(Outage::Fenced),
        }
    }

    /// Fails unless all of these tokens are still the current one.
    fn check_tokens(&self, batch: &[Pending<Append, AppendResult>]) -> Result<(), Outage> {
        let now = self.token()?;
        let all = batch.iter().all(|append| append.job.token == now);
        all.then_some(()).ok_or(Outage::Fenced)
    }
}

/// What the task works with.
pub(in crate::postgres) struct Start {
    /// A pool of one connection, which nothing else uses.
    pub(in crate::postgres) pool: Pool,
    pub(in crate::postgres) log_state: Arc<LogState>,
    pub(in crate::postgres) options: Options,
    pub(in crate::postgres) metrics: Arc<Metrics>,
    /// Notified of each commit that wrote to the outbox.
    pub(in crate::postgres) recorded: watch::Sender<()>,
}

impl Appender {
    /// Must be called on the store's own runtime.
    pub(in crate::postgres) fn start(start: Start) -> Self {
        let (group_commit, batches) = GroupCommit::new(&start.options, Some(Arc::clone(&start.metrics)));
        let fence = Fence::default();
        let committer = Committer {
            reservations: Reservations::new(start.options.quotas.daily_bytes),
            start,
            fence: fence.clone(),
        };
        Self {
            group_commit,
            fence,
            task: tokio::sync::Mutex::new(Some(tokio::spawn(batches.run(committer)))),
        }
    }

    /// See [`crate::Log::fence`].
    pub(in crate::postgres) fn fence(&self, tokens: FencingTokens) {
        // The first call counts.
        let _ = self.fence.0.set(tokens);
    }

    /// Once it is queued it is carried out, whether or not the caller still waits.
    pub(in crate::postgres) async fn append(
        &self,
        entries: Vec<NewEntry>,
    ) -> Result<AppendResult, StoreError> {
        self.submit(entries, None).await
    }

    /// Appends an entry that says that a room was deleted, and deletes the room with it.
    pub(in crate::postgres) async fn remove(
        &self,
        room: RoomId,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        self.submit(vec![control], Some(AttachedChange::Removal(room)))
            .await
    }

    /// Appends an entry that announces a moderation act, and carries the act out with it.
    pub(in crate::postgres) async fn moderate(
        &self,
        act: ModerationAct,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        self.submit(vec![control], Some(AttachedChange::Moderation(act)))
            .await
    }

    /// Appends a control entry of an erasure, if its run still owns it.
    pub(in crate::postgres) async fn append_in_erasure(
        &self,
        erasure: Erasure,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        self.submit(vec![control], Some(AttachedChange::Erasure(erasure)))
            .await
    }

    async fn submit(
        &self,
        entries: Vec<NewEntry>,
        along: Option<AttachedChange>,
    ) -> Result<AppendResult, StoreError> {
        let token = self.fence.token()?;
        let (pending, answer) = Pending::new(Append {
            entries,
            along,
            token,
        });
        self.group_commit.submit(pending).await?;
        queue::answer(answer).await
    }

    /// Finishes queued work and refuses new work.
    pub(in crate::postgres) async fn close(&self) {
        self.group_commit.close();
        if let Some(task) = self.task.lock().await.take() {
            // Callers have been answered even if it panicked.
            let _ = task.await;
        }
    }
}

struct Committer {
    start: Start,
    fence: Fence,
    reservations: Reservations,
}

impl Commit<Pending<Append, AppendResult>> for Committer {
    async fn commit(&mut self, batch: &mut [Pending<Append, AppendResult>]) -> Result<(), StoreError> {
        let results = self
            .append(batch)
            .await
            .inspect_err(|_| self.reservations.forget())?;
        for (append, result) in batch.iter_mut().zip(results) {
            append.answer = Some(result);
        }
        Ok(())
    }
}

impl Committer {
    /// Carries out all appends in one transaction, or none.
    async fn append(
        &mut self,
        batch: &[Pending<Append, AppendResult>],
    ) -> Result<Vec<AppendResult>, Failure> {
        let appends: Vec<_> = batch.iter().map(|append| &*append.job.entries).collect();
        let along = batch.iter().find_map(|append| append.job.along.as_ref());
        self.fence.check_tokens(batch)?;
        let Start {
            pool,
            log_state,
            options,
            recorded,
            metrics,
        } = &self.start;
        let conn = pool.get().await?;
        let reservations = &mut self.reservations;
        let mut loaded = load::load(&conn, log_state, &appends, reservations.allow(&appends)).await?;
        if loaded.is_none() {
            // The log is not as this node left it. Find out why, then go on from there.
            conn.roll_back().await?;
            log_state.verify_over(&conn).await?;
            loaded = load::load(&conn, log_state, &appends, reservations.allow(&appends)).await?;
        }
        let restored_again = || Outage::Connection("the database was restored twice in a row".into());
        let loaded = loaded.ok_or_else(restored_again)?;
        // Only the holder of the log's lock locks several rooms, so this lock may come after the others.
        let room_exists = match along {
            Some(AttachedChange::Removal(room)) => rooms::lock_to_remove(&conn, *room).await?,
            Some(AttachedChange::Moderation(act)) => moderation::lock(&conn, act).await?,
            Some(AttachedChange::Erasure(erasure)) => {
                personal_data::lock_owned(&conn, erasure).await?;
                true
            }
            None => true,
        };
        if !room_exists {
            conn.roll_back().await?;
            return Ok(vec![no_such_room(loaded.position)]);
        }
        let limits = Limits {
            retention: options.retention,
            reactions: options.reactions,
            edits: options.quotas.edits,
        };
        let mut plan = Plan::of(&appends, loaded, limits);
        // The process may have been paused until now. If it is paused from here on, its transaction is
        // open, and the server ends it.
        if let Err(fenced) = self.fence.check_tokens(batch) {
            conn.roll_back().await?;
            return Err(fenced.into());
        }
        let appended = !plan.new.is_empty();
        let node = (!log_state.is_guest()).then(|| log_state.node());
        // Without the entry that announces it, nothing else happens.
        let along = match along.filter(|_| appended) {
            Some(AttachedChange::Removal(room)) => rooms::removal(*room).collect(),
            Some(AttachedChange::Moderation(act)) => statements(act).into_iter().map(Step::from).collect(),
            Some(AttachedChange::Erasure(_)) | None => Vec::new(),
        };
        let steps = write::steps(&mut plan, node, along, &options.outbox);
        conn.send(&steps).await?;
        reservations.settle(&plan.allowances);
        metrics.over_quota(plan.over_quota());
        if appended {
            log_state.committed(plan.position.0);
        }
        if plan.records(&options.outbox) {
            recorded.send_replace(());
        }
        Ok(plan.results)
    }
}

/// The answer to the removal of a room that does not exist.
fn no_such_room(position: LogPosition) -> AppendResult {
    AppendResult {
        results: vec![Err(Rejected::NoSuchRoom)],
        first_position: position.next(),
    }
}
