//! The writer thread: one connection, and one transaction for all writes that arrived while the last one
//! was being committed. What a write does is in the file of its noun.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, watch};

use super::{
    append::{self, Append},
    batch::Batch,
    compaction,
    database_file::DatabaseFile,
    eraser::ErasureRequests,
    failure,
    write::{Weight, Write},
};
use crate::{
    AppendResult, NewEntry, Options, StoreError,
    append::Reservations,
    group_commit::{Commit, GroupCommit, Pending, Request},
    metrics::Metrics,
    queue,
    watermark_file::Watermark,
};

/// A queued [`Write`] of any type.
trait AnyWrite: Send {
    fn weight(&self) -> Weight;
    fn is_bulk(&self) -> bool;
    fn apply(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()>;
    fn finish(&mut self, outcome: Result<(), StoreError>);
}

impl<W: Write> AnyWrite for Pending<W, W::Answer> {
    fn weight(&self) -> Weight {
        self.job.weight()
    }

    fn is_bulk(&self) -> bool {
        self.job.is_bulk()
    }

    fn apply(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        self.answer = Some(self.job.apply(batch)?);
        Ok(())
    }

    fn finish(&mut self, outcome: Result<(), StoreError>) {
        Pending::finish(self, outcome);
    }
}

/// Rewrites the whole file, without the remains of deleted rows.
struct Compact;

/// Appends stand apart, so that those that follow each other are planned together.
enum Queued {
    Append(Pending<Append, AppendResult>),
    Other(Box<dyn AnyWrite>),
    /// In a batch of its own, since it runs outside of transactions.
    Compact(Pending<Compact, ()>),
}

impl Request for Queued {
    fn weight(&self) -> Weight {
        match self {
            Self::Append(append) => append.weight(),
            Self::Other(write) => write.weight(),
            Self::Compact(_) => Weight::SMALL,
        }
    }

    fn is_exclusive(&self) -> bool {
        matches!(self, Self::Compact(_))
    }

    fn is_bulk(&self) -> bool {
        matches!(self, Self::Other(write) if write.is_bulk())
    }

    fn finish(&mut self, outcome: Result<(), StoreError>) {
        match self {
            Self::Append(append) => append.finish(outcome),
            Self::Other(write) => write.finish(outcome),
            Self::Compact(compact) => compact.finish(outcome),
        }
    }
}

/// The entry to the writer thread.
pub(super) struct Writer {
    group_commit: GroupCommit<Queued>,
    recorded: watch::Sender<()>,
    /// Yields `None` when the thread has ended; nothing is ever sent.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Writer {
    pub(super) fn start(
        conn: Connection,
        file: Arc<DatabaseFile>,
        watermark: Option<Watermark>,
        options: &Options,
        metrics: Arc<Metrics>,
        position: Arc<AtomicU64>,
        erasures: ErasureRequests,
    ) -> Result<Self, StoreError> {
        let (group_commit, batches) = GroupCommit::new(options, Some(metrics.clone()));
        let (alive, ended) = mpsc::channel(1);
        let recorded = watch::Sender::new(());
        let committer = Committer {
            conn,
            file,
            watermark,
            options: options.clone(),
            reservations: Reservations::new(options.quotas.daily_bytes),
            unmoderated: false,
            metrics,
            recorded: recorded.clone(),
            position,
            erasures,
        };
        let cannot_start =
            |error| StoreError::Setup(format!("failed to start the writer thread of the store: {error}"));
        // Nothing but the queue wakes the thread, so the runtime needs neither I/O nor timers.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(cannot_start)?;
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                runtime.block_on(batches.run(committer));
                drop(alive);
            })
            .map_err(cannot_start)?;
        Ok(Self {
            group_commit,
            recorded,
            ended: tokio::sync::Mutex::new(ended),
        })
    }

    /// Applies and commits a write. Once it is queued it is carried out, whether or not the caller still
    /// waits.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Answer, StoreError> {
        let (pending, answer) = Pending::new(write);
        self.group_commit.submit(Queued::Other(Box::new(pending))).await?;
        queue::answer(answer).await
    }

    /// The same for an append.
    pub(super) async fn append(&self, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
        let (pending, answer) = Pending::new(Append(entries));
        self.group_commit.submit(Queued::Append(pending)).await?;
        queue::answer(answer).await
    }

    /// Compacts the file, after all that is queued already.
    pub(super) async fn compact(&self) -> Result<(), StoreError> {
        let (pending, answer) = Pending::new(Compact);
        self.group_commit.submit(Queued::Compact(pending)).await?;
        queue::answer(answer).await
    }

    /// Changes with each commit that wrote to the outbox.
    pub(super) fn recorded(&self) -> watch::Receiver<()> {
        self.recorded.subscribe()
    }

    /// Refuses new work, and waits until queued work is committed and the file is closed.
    pub(super) async fn close(&self) {
        self.group_commit.close();
        self.ended.lock().await.recv().await;
    }
}

/// What the writer thread owns.
struct Committer {
    conn: Connection,
    file: Arc<DatabaseFile>,
    /// `None` if another process owns the file.
    watermark: Option<Watermark>,
    options: Options,
    reservations: Reservations,
    /// See [`Batch::unmoderated`].
    unmoderated: bool,
    metrics: Arc<Metrics>,
    /// Notified of each commit that wrote to the outbox.
    recorded: watch::Sender<()>,
    /// The newest committed position.
    position: Arc<AtomicU64>,
    /// Receives a request after each commit that deleted text.
    erasures: ErasureRequests,
}

impl Commit<Queued> for Committer {
    async fn commit(&mut self, batch: &mut [Queued]) -> Result<(), StoreError> {
        // Nothing is acknowledged that goes to a removed file.
        self.file.check()?;
        if let [Queued::Compact(compact)] = batch {
            compaction::compact(&self.conn).map_err(|error| failure::from_sqlite(&error))?;
            compact.answer = Some(());
            // The new file went through the write-ahead log, where the old pages may be, too.
            self.erasures.request();
            return Ok(());
        }
        let committed = transact(
            &mut self.conn,
            &self.options,
            &mut self.reservations,
            &mut self.unmoderated,
            batch,
        );
        let Committed {
            recorded,
            erased,
            position,
            rejected,
        } = committed.map_err(|error| {
            self.reservations.forget();
            failure::from_sqlite(&error)
        })?;
        self.metrics.over_quota(rejected);
        if let Some(position) = position {
            // Before anybody is answered: no client may know more than the file beside the database says.
            if let Some(watermark) = &mut self.watermark {
                watermark.advance(position);
            }
            self.position.store(position, Ordering::Release);
        }
        if recorded {
            self.recorded.send_replace(());
        }
        if erased {
            self.erasures.request();
        }
        Ok(())
    }
}

/// What a commit changed that others are notified of.
struct Committed {
    /// True if it wrote to the outbox.
    recorded: bool,
    /// True if it deleted text.
    erased: bool,
    /// The newest position, if it appended.
    position: Option<u64>,
    /// See [`Batch::rejected`].
    rejected: [u64; 2],
}

/// Applies all writes in one transaction. Dropping the transaction, as any error does, rolls it back.
fn transact(
    conn: &mut Connection,
    options: &Options,
    reservations: &mut Reservations,
    unmoderated: &mut bool,
    writes: &mut [Queued],
) -> rusqlite::Result<Committed> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut batch = Batch::new(&transaction, options, reservations, unmoderated);
    apply(&mut batch, writes)?;
    let (recorded, erased, rejected) = (batch.recorded, batch.erased, batch.rejected);
    let position = batch.flush()?;
    transaction.commit()?;
    Ok(Committed {
        recorded,
        erased,
        position,
        rejected,
    })
}

/// Applies writes in their order; appends that follow each other together.
fn apply(batch: &mut Batch<'_>, writes: &mut [Queued]) -> rusqlite::Result<()> {
    let is_append = |write: &Queued| matches!(write, Queued::Append(_));
    for run in writes.chunk_by_mut(|one, next| is_append(one) && is_append(next)) {
        if let [Queued::Other(write)] = run {
            write.apply(batch)?;
            continue;
        }
        let mut appends: Vec<_> = run
            .iter_mut()
            .filter_map(|write| match write {
                Queued::Append(append) => Some(append),
                Queued::Other(_) | Queued::Compact(_) => None,
            })
            .collect();
        let entries: Vec<&[NewEntry]> = appends.iter().map(|append| &*append.job.0).collect();
        let results = append::append(batch, &entries)?;
        for (append, result) in appends.iter_mut().zip(results) {
            append.answer = Some(result);
        }
    }
    Ok(())
}
