//! The queue of appends, and the one task that takes them to the database. While one flight is being committed the next one
//! fills; nothing waits for a flight to be full.

use std::sync::{Arc, OnceLock};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{load, plan, plan::Plan, store};
use crate::{
    AppendResult, FencingTokens, LogPosition, NewEntry, Options, Outage, Rejected, RoomId, StoreError,
    metrics::{Metrics, to_f64},
    postgres::{conn::Conn, failure::Failure, generation::LogState, pool::Pool, rooms},
    queue,
    queue::Queue,
};

/// The way to the task.
pub(in crate::postgres) struct Appender {
    queue: Queue<Queued>,
    fence: Fence,
    bytes: Arc<Semaphore>,
    queue_bytes: u32,
    options: Options,
    metrics: Arc<Metrics>,
    /// The task; gone once it was waited for.
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

struct Queued {
    entries: Vec<NewEntry>,
    /// A room that is removed along with it. Such an append flies alone.
    removes: Option<RoomId>,
    /// The fencing token when it was queued.
    token: Option<u64>,
    reply: oneshot::Sender<Result<AppendResult, StoreError>>,
    /// Its share of the queue's bytes, given back when it is answered.
    _share: OwnedSemaphorePermit,
}

/// Who may say that nothing is to be appended now, once there is somebody.
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

    /// Fails unless every one of these tokens is still the current one.
    fn still_holds(&self, tokens: &[Option<u64>]) -> Result<(), Outage> {
        let now = self.token()?;
        let all = tokens.iter().all(|token| *token == now);
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
    /// Told of each commit that wrote to the outbox.
    pub(in crate::postgres) recorded: watch::Sender<()>,
}

impl Appender {
    /// To be called on the store's own runtime.
    pub(in crate::postgres) fn start(start: Start) -> Self {
        let (queue, incoming) = Queue::new(start.options.queue_writes, start.options.queue_wait);
        let queue_bytes = u32::try_from(start.options.queue_bytes).unwrap_or(u32::MAX);
        let (options, metrics) = (start.options.clone(), Arc::clone(&start.metrics));
        let fence = Fence::default();
        let task = Task {
            start,
            fence: fence.clone(),
            incoming,
            put_back: None,
            failing: false,
        };
        Self {
            queue,
            fence,
            bytes: Arc::new(Semaphore::new(queue_bytes as usize)),
            queue_bytes,
            options,
            metrics,
            task: tokio::sync::Mutex::new(Some(tokio::spawn(task.run()))),
        }
    }

    /// See [`crate::Sessions::fence`]. The first one counts.
    pub(in crate::postgres) fn fence(&self, tokens: FencingTokens) {
        let _ = self.fence.0.set(tokens);
    }

    /// From the moment it is queued it is carried out, whether or not somebody waits.
    pub(in crate::postgres) async fn append(
        &self,
        entries: Vec<NewEntry>,
    ) -> Result<AppendResult, StoreError> {
        self.enqueue(entries, None).await
    }

    /// The same for an entry that says that a room was removed, which it is with it.
    pub(in crate::postgres) async fn remove(
        &self,
        room: RoomId,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        self.enqueue(vec![control], Some(room)).await
    }

    async fn enqueue(
        &self,
        entries: Vec<NewEntry>,
        removes: Option<RoomId>,
    ) -> Result<AppendResult, StoreError> {
        let token = self.fence.token()?;
        let bytes = entries.iter().map(NewEntry::weight).sum::<usize>();
        // An append larger than the whole queue may pass when it is alone.
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.queue_bytes);
        let share = queue::within(
            self.options.queue_wait,
            self.bytes.clone().acquire_many_owned(share),
        )
        .await?
        .map_err(|_| Outage::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.metrics.queue.increment(1);
        let queued = Queued {
            entries,
            removes,
            token,
            reply,
            _share: share,
        };
        if let Err(error) = self.queue.push(queued).await {
            self.metrics.queue.decrement(1);
            return Err(error);
        }
        queue::answer(answer).await
    }

    /// Finishes what is queued and refuses what comes after.
    pub(in crate::postgres) async fn close(&self) {
        self.queue.close();
        if let Some(task) = self.task.lock().await.take() {
            // A fault in it has been answered to whoever waited.
            let _ = task.await;
        }
    }
}

struct Task {
    start: Start,
    fence: Fence,
    incoming: mpsc::Receiver<Queued>,
    /// What has come, and flies alone.
    put_back: Option<Queued>,
    /// Whether the last flight failed, so that an outage is logged once and not once a flight.
    failing: bool,
}

impl Task {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let queued = self.gather(first);
            match self.fly(&queued).await {
                // One entry that PostgreSQL can't take must not take the others with it.
                Err(StoreError::Internal(_)) if queued.len() > 1 => {
                    for queued in queued {
                        let placed = self.fly(std::slice::from_ref(&queued)).await;
                        answer(queued, placed.map(|mut placed| placed.pop()));
                    }
                }
                Err(error) => queued
                    .into_iter()
                    .for_each(|queued| answer(queued, Err(error.clone()))),
                Ok(placed) => {
                    for (queued, placed) in queued.into_iter().zip(placed) {
                        answer(queued, Ok(Some(placed)));
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Option<Queued> {
        match self.put_back.take() {
            Some(queued) => Some(queued),
            None => self.incoming.recv().await,
        }
    }

    /// The first append and all that wait behind it, within the bounds of a flight.
    fn gather(&mut self, first: Queued) -> Vec<Queued> {
        let options = &self.start.options;
        let (mut writes, mut bytes) = (options.batch_writes, options.batch_bytes);
        let mut all = Vec::new();
        let mut next = Some(first);
        while let Some(queued) = next {
            writes = writes.saturating_sub(queued.entries.len());
            bytes = bytes.saturating_sub(queued.entries.iter().map(NewEntry::weight).sum());
            let full = writes == 0 || bytes == 0 || queued.removes.is_some();
            all.push(queued);
            next = if full { None } else { self.incoming.try_recv().ok() };
            if next.as_ref().is_some_and(|queued| queued.removes.is_some()) {
                self.put_back = next.take();
            }
        }
        let entries = all.iter().map(|queued| queued.entries.len()).sum();
        self.start.metrics.batch_size.record(to_f64(entries));
        self.start.metrics.queue.decrement(to_f64(all.len()));
        all
    }

    /// All appends in one transaction, or none.
    async fn fly(&mut self, queued: &[Queued]) -> Result<Vec<AppendResult>, StoreError> {
        let started = Instant::now();
        let flown = self.attempt(queued).await.map_err(StoreError::from);
        self.start
            .metrics
            .commit_seconds
            .record(started.elapsed().as_secs_f64());
        match &flown {
            Ok(_) if self.failing => tracing::info!("the store writes again"),
            Err(error) if !self.failing => tracing::error!(%error, "the store cannot write"),
            _ => {}
        }
        self.failing = flown.is_err();
        flown
    }

    async fn attempt(&self, queued: &[Queued]) -> Result<Vec<AppendResult>, Failure> {
        let appends: Vec<_> = queued.iter().map(|queued| &*queued.entries).collect();
        let appends = &*appends;
        let removes = queued.iter().find_map(|queued| queued.removes);
        let tokens: Vec<_> = queued.iter().map(|queued| queued.token).collect();
        self.fence.still_holds(&tokens)?;
        let Start {
            pool,
            log_state,
            options,
            recorded,
            ..
        } = &self.start;
        let conn = pool.get().await?;
        let mut loaded = load::load(&conn, log_state, appends).await?;
        if loaded.is_none() {
            // The log is not as this node left it. That is looked into, and then it is what it is.
            conn.roll_back().await?;
            conn.verify(log_state).await?;
            loaded = load::load(&conn, log_state, appends).await?;
        }
        let put_back = || Outage::Connection("the log was put back once more".into());
        let loaded = loaded.ok_or_else(put_back)?;
        // Under the lock of the order nobody else locks several rooms, so this one may come after the others.
        if let Some(room) = removes
            && !rooms::lock_to_remove(&conn, room).await?
        {
            conn.roll_back().await?;
            return Ok(vec![nothing_done(loaded.pos)]);
        }
        let limits = plan::Limits {
            max_entries: options.retention.max_entries,
            reactions: options.reactions,
        };
        let plan = Plan::of(appends, loaded, limits);
        // Whoever stood still before this is not to go on as if nothing had been. Whoever stands still from here on holds an open
        // transaction, which the server ends.
        if let Err(fenced) = self.fence.still_holds(&tokens) {
            conn.roll_back().await?;
            return Err(fenced.into());
        }
        // Not if it can't be said.
        let removes = removes.filter(|_| plan.moved_to().is_some());
        self.commit(&conn, &plan, removes).await?;
        if let Some(pos) = plan.moved_to() {
            log_state.committed(pos);
        }
        if plan.records(&options.outbox) {
            recorded.send_replace(());
        }
        Ok(plan.placed)
    }

    async fn commit(&self, conn: &Conn, plan: &Plan<'_>, removes: Option<RoomId>) -> Result<(), Failure> {
        let node = (!self.start.log_state.is_guest()).then(|| self.start.log_state.node());
        let steps = store::steps(plan, node, removes, &self.start.options.outbox);
        conn.send(&steps).await.map(drop)
    }
}

/// There was no such room to remove.
fn nothing_done(pos: u64) -> AppendResult {
    AppendResult {
        results: vec![Err(Rejected::NoSuchRoom)],
        first_position: LogPosition(pos + 1),
    }
}

fn answer(queued: Queued, placed: Result<Option<AppendResult>, StoreError>) {
    let placed = placed.and_then(|placed| {
        placed.ok_or_else(|| StoreError::Internal("an append was committed without being placed".into()))
    });
    // Whoever asked may be gone; the append counts all the same.
    let _ = queued.reply.send(placed);
}
