//! The writer thread: one connection, one transaction for all that came while the last one was being committed.
//!
//! Batches form by themselves: nothing waits for a batch to fill. What a write does is in the files beside.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::Instant,
};

use super::{batch::Batch, failure};
use crate::{
    Options, Outage, StoreError,
    metrics::{Metrics, to_f64},
    queue,
    queue::Queue,
    watermark_file::Watermark,
};

/// A change to the database. It may be applied more than once, each time after a rollback of the time before.
pub(super) trait Write: Send + 'static {
    type Answer: Send;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Self::Answer>;

    /// How many entries (or other rows) it writes, and how many bytes it holds.
    fn weight(&self) -> Weight {
        Weight {
            writes: 1,
            bytes: 256,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Weight {
    pub(super) writes: usize,
    pub(super) bytes: usize,
}

/// A write with whom to tell.
struct Pending<W: Write> {
    write: W,
    answer: Option<W::Answer>,
    reply: oneshot::Sender<Result<W::Answer, StoreError>>,
}

/// [`Pending`] whatever the write.
trait Task: Send {
    fn apply(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()>;
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

impl<W: Write> Task for Pending<W> {
    fn apply(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        self.answer = Some(self.write.apply(batch)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { answer, reply, .. } = *self;
        let unapplied = || StoreError::Internal("a write was committed without being applied".into());
        let answer = committed.and_then(|()| answer.ok_or_else(unapplied));
        // Whoever asked may be gone; the write counts all the same.
        let _ = reply.send(answer);
    }
}

struct Queued {
    task: Box<dyn Task>,
    weight: Weight,
    /// Its share of the queue's bytes, given back when it is answered.
    _share: OwnedSemaphorePermit,
}

/// The way to the writer thread.
pub(super) struct Writer {
    queue: Queue<Queued>,
    bytes: Arc<Semaphore>,
    queue_bytes: u32,
    wait: Duration,
    metrics: Arc<Metrics>,
    recorded: watch::Sender<()>,
    /// Yields `None` when the thread is gone; nothing is ever sent.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        watermark: Option<Watermark>,
        options: &Options,
        metrics: Arc<Metrics>,
        pos: Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let (queue, incoming) = Queue::new(options.queue_writes, options.queue_wait);
        let (alive, ended) = mpsc::channel(1);
        let recorded = watch::Sender::new(());
        let mut committer = Committer {
            conn,
            watermark,
            incoming,
            options: options.clone(),
            metrics: metrics.clone(),
            recorded: recorded.clone(),
            pos,
            failing: false,
        };
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                committer.run();
                drop(committer);
                drop(alive);
            })
            .map_err(|error| StoreError::Setup(format!("cannot start the writer thread: {error}")))?;
        let queue_bytes = u32::try_from(options.queue_bytes).unwrap_or(u32::MAX);
        Ok(Self {
            queue,
            bytes: Arc::new(Semaphore::new(queue_bytes as usize)),
            queue_bytes,
            wait: options.queue_wait,
            metrics,
            recorded,
            ended: tokio::sync::Mutex::new(ended),
        })
    }

    /// Applies and commits a write. From the moment it is queued it is carried out, whether or not somebody waits.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Answer, StoreError> {
        let weight = write.weight();
        // A write larger than the whole queue may pass when it is alone.
        let share = u32::try_from(weight.bytes)
            .unwrap_or(u32::MAX)
            .min(self.queue_bytes);
        let share = queue::within(self.wait, self.bytes.clone().acquire_many_owned(share))
            .await?
            .map_err(|_| Outage::Closed)?;
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Pending {
            write,
            answer: None,
            reply,
        });
        self.metrics.queue.increment(1);
        if let Err(error) = self
            .queue
            .push(Queued {
                task,
                weight,
                _share: share,
            })
            .await
        {
            self.metrics.queue.decrement(1);
            return Err(error);
        }
        queue::answer(answer).await
    }

    /// Changes with each commit that wrote to the outbox.
    pub(super) fn recorded(&self) -> watch::Receiver<()> {
        self.recorded.subscribe()
    }

    pub(super) async fn close(&self) {
        self.queue.close();
        self.ended.lock().await.recv().await;
    }
}

/// What the writer thread owns.
struct Committer {
    conn: Connection,
    /// Without one, another process has the file as its own.
    watermark: Option<Watermark>,
    incoming: mpsc::Receiver<Queued>,
    options: Options,
    metrics: Arc<Metrics>,
    /// Told of each commit that wrote to the outbox.
    recorded: watch::Sender<()>,
    /// The newest committed position in the order of all entries.
    pos: Arc<AtomicU64>,
    /// Whether the last commit failed, so that an outage is logged once and not once a batch.
    failing: bool,
}

impl Committer {
    fn run(&mut self) {
        while let Some(first) = self.incoming.blocking_recv() {
            let mut tasks = self.gather(first);
            #[cfg(feature = "planted-bugs")]
            if crate::planted::is(crate::planted::Bug::AckBeforeCommit) {
                self.answer_early(tasks);
                continue;
            }
            match self.commit(&mut tasks) {
                // One write that SQLite can't carry out must not take the others with it.
                Err(StoreError::Internal(_)) if tasks.len() > 1 => {
                    for task in tasks {
                        let mut alone = [task];
                        let committed = self.commit(&mut alone);
                        answer(alone, &committed);
                    }
                }
                committed => answer(tasks, &committed),
            }
        }
    }

    /// A planted bug.
    #[cfg(feature = "planted-bugs")]
    fn answer_early(&mut self, mut tasks: Vec<Queued>) {
        let behavior = TransactionBehavior::Immediate;
        let Ok(transaction) = self.conn.transaction_with_behavior(behavior) else {
            return;
        };
        let mut batch = Batch::new(&transaction, &self.options);
        let applied = tasks
            .iter_mut()
            .try_for_each(|queued| queued.task.apply(&mut batch));
        let applied = applied.and_then(|()| batch.flush().map(drop));
        answer(tasks, &applied.map_err(|error| failure::from_sqlite(&error)));
        // A disk that takes its time: what was answered is not there yet.
        thread::sleep(Duration::from_millis(50));
        let _ = transaction.commit();
    }

    /// The first write and all that wait behind it, within the bounds of a batch.
    fn gather(&mut self, first: Queued) -> Vec<Queued> {
        let mut room = Weight {
            writes: self.options.batch_writes,
            bytes: self.options.batch_bytes,
        };
        let mut tasks = Vec::new();
        let mut next = Some(first);
        while let Some(task) = next {
            room.writes = room.writes.saturating_sub(task.weight.writes);
            room.bytes = room.bytes.saturating_sub(task.weight.bytes);
            tasks.push(task);
            let full = room.writes == 0 || room.bytes == 0;
            next = if full { None } else { self.incoming.try_recv().ok() };
        }
        let writes: usize = tasks.iter().map(|task| task.weight.writes).sum();
        self.metrics.batch_size.record(to_f64(writes));
        self.metrics.queue.decrement(to_f64(tasks.len()));
        tasks
    }

    /// All or nothing. Dropping the transaction, or the error itself, rolls it back; nothing of it is remembered here.
    fn commit(&mut self, tasks: &mut [Queued]) -> Result<(), StoreError> {
        let started = Instant::now();
        let committed =
            transact(&mut self.conn, &self.options, tasks).map_err(|error| failure::from_sqlite(&error));
        self.metrics
            .commit_seconds
            .record(started.elapsed().as_secs_f64());
        let committed = committed.map(|commit| {
            if let Some(pos) = commit.pos {
                // Before anybody hears of it: a client never knows more than what is noted outside the database.
                if let Some(watermark) = &mut self.watermark {
                    watermark.advance(pos);
                }
                self.pos.store(pos, Ordering::Release);
            }
            if commit.recorded {
                self.recorded.send_replace(());
            }
        });
        match &committed {
            Ok(()) if self.failing => tracing::info!("the store writes again"),
            Err(error) if !self.failing => tracing::error!(%error, "the store cannot write"),
            _ => {}
        }
        self.failing = committed.is_err();
        committed
    }
}

/// What others are told of a commit.
struct Commit {
    /// Whether something was written to the outbox.
    recorded: bool,
    /// The newest position in the order of all entries, if something was appended.
    pos: Option<u64>,
}

/// All in one transaction.
fn transact(conn: &mut Connection, options: &Options, tasks: &mut [Queued]) -> rusqlite::Result<Commit> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut batch = Batch::new(&transaction, options);
    for queued in tasks {
        queued.task.apply(&mut batch)?;
    }
    let recorded = batch.recorded;
    let pos = batch.flush()?;
    transaction.commit()?;
    Ok(Commit { recorded, pos })
}

fn answer(tasks: impl IntoIterator<Item = Queued>, committed: &Result<(), StoreError>) {
    for queued in tasks {
        queued.task.finish(committed.clone());
    }
}
