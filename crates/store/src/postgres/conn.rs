//! A pooled connection in use. It prepares each statement once and can pipeline several in one round trip.

use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
};

use deadpool_postgres::{ClientWrapper, Object};
use futures_util::FutureExt as _;
use tokio_postgres::{Row, types::ToSql};

use super::{
    answer_timeout::AnswerTimeout,
    connection_permits::Permit,
    failure::{Failure, is_answer},
    value::text,
};
use crate::{
    StoreError,
    append::{self, Statement},
};

pub(super) type Param = Box<dyn ToSql + Sync + Send>;

/// A statement with its parameters, for a pipeline.
pub(super) struct Step {
    sql: &'static str,
    params: Vec<Param>,
}

/// A column of many rows, as one array.
pub(super) fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Param
where
    Vec<T>: ToSql + Sync + Send + 'static,
{
    Box::new(rows.iter().map(value).collect::<Vec<T>>())
}

impl From<Statement<'_>> for Step {
    fn from(statement: Statement<'_>) -> Self {
        let params = statement.params.iter().map(|param| -> Param {
            match param {
                append::Param::Int(number) => Box::new(*number),
                append::Param::Text(value) => Box::new(text(value).into_owned()),
                append::Param::OptInt(number) => Box::new(*number),
                append::Param::OptText(value) => Box::new(value.map(|value| text(value).into_owned())),
            }
        });
        Self::new(statement.sql, params.collect())
    }
}

impl Step {
    pub(super) fn new(sql: &'static str, params: Vec<Param>) -> Self {
        Self { sql, params }
    }
}

/// A connection from the pool. When dropped it returns there, unless an answer is outstanding or a
/// transaction is open: then it is closed, which ends both.
pub(super) struct Conn {
    object: Option<Object>,
    /// Released after the connection.
    _permit: Permit,
    answer_timeout: AnswerTimeout,
    /// Whether an answer is outstanding.
    waiting: AtomicBool,
    /// True while a transaction is open.
    open: AtomicBool,
    /// Whether the next statement begins a snapshot.
    snapshot: AtomicBool,
}

impl Conn {
    pub(super) fn new(object: Object, permit: Permit, answer_timeout: AnswerTimeout) -> Self {
        Self {
            object: Some(object),
            _permit: permit,
            answer_timeout,
            waiting: AtomicBool::new(false),
            open: AtomicBool::new(false),
            snapshot: AtomicBool::new(false),
        }
    }

    /// The client, for work in [`Self::run_raw`].
    pub(super) fn client(&self) -> Result<&ClientWrapper, Failure> {
        let object = self.object.as_ref();
        object
            .map(|object| &**object)
            .ok_or_else(|| StoreError::Internal("a connection is used after its end".into()).into())
    }

    pub(super) fn answer_timeout(&self) -> AnswerTimeout {
        self.answer_timeout
    }

    /// Runs work that uses the client directly, with its own timeouts. Closes the connection if it fails.
    pub(super) async fn run_raw<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.waiting.store(true, Ordering::Relaxed);
        let done = work.await?;
        self.waiting.store(false, Ordering::Relaxed);
        Ok(done)
    }

    /// Carries out one step alone, in the open transaction. Answers how many rows it changed.
    pub(super) async fn step(&self, step: &Step) -> Result<u64, Failure> {
        let params: Vec<_> = step
            .params
            .iter()
            .map(|param| &**param as &(dyn ToSql + Sync))
            .collect();
        self.run(step.sql, &params).await
    }

    /// Waits for an answer within the answer timeout.
    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        self.waiting.store(true, Ordering::Relaxed);
        let answer = self.answer_timeout.answer(answer).await?;
        if answer.as_ref().is_ok() || answer.as_ref().is_err_and(is_answer) {
            self.waiting.store(false, Ordering::Relaxed);
        }
        Ok(answer?)
    }

    /// Runs a statement and answers its rows.
    pub(super) async fn rows_of(&self, step: &Step) -> Result<Vec<Row>, Failure> {
        let params = step.params.iter().map(|param| &**param as &(dyn ToSql + Sync));
        self.rows(step.sql, &params.collect::<Vec<_>>()).await
    }

    pub(super) async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let client = self.client()?;
        let statement = self.within(client.prepare_cached(sql)).await?;
        if self.snapshot.swap(false, Ordering::Relaxed) {
            self.open.store(true, Ordering::Relaxed);
            // One round trip for both: the future polled first is sent first.
            let begin = client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
            let both = async { tokio::try_join!(biased; begin, client.query(&statement, params)) };
            return self.within(both).await.map(|((), rows)| rows);
        }
        self.within(client.query(&statement, params)).await
    }

    pub(super) async fn row(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Failure> {
        Ok(self.rows(sql, params).await?.pop())
    }

    /// The row of a query that always has exactly one.
    pub(super) async fn one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Failure> {
        let row = self.row(sql, params).await?;
        row.ok_or_else(|| StoreError::Internal(format!("no row for {sql}")).into())
    }

    /// Returns the number of changed rows.
    pub(super) async fn run(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        let client = self.client()?;
        let statement = self.within(client.prepare_cached(sql)).await?;
        self.within(client.execute(&statement, params)).await
    }

    pub(super) async fn begin(&self) -> Result<(), Failure> {
        self.open.store(true, Ordering::Relaxed);
        self.within(self.client()?.batch_execute("BEGIN")).await
    }

    pub(super) async fn commit(&self) -> Result<(), Failure> {
        self.within(self.client()?.batch_execute("COMMIT")).await?;
        self.open.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn roll_back(&self) -> Result<(), Failure> {
        self.within(self.client()?.batch_execute("ROLLBACK")).await?;
        self.open.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Begins a snapshot: all reads until its end see the database as of the first one.
    pub(super) fn begin_snapshot(&self) {
        self.snapshot.store(true, Ordering::Relaxed);
    }

    /// Ends the snapshot without waiting: later statements on this connection queue behind it.
    pub(super) fn end_snapshot(&self) -> Result<(), Failure> {
        self.snapshot.store(false, Ordering::Relaxed);
        if self.open.swap(false, Ordering::Relaxed) {
            let _ = self.client()?.batch_execute("COMMIT").now_or_never();
        }
        Ok(())
    }

    /// Sends all steps in one pipeline and returns the rows of each, or the first error. A transaction that
    /// the steps begin stays open unless the last step ends it.
    pub(super) async fn send(&self, steps: &[Step]) -> Result<Vec<Vec<Row>>, Failure> {
        let client = self.client()?;
        let mut statements = Vec::with_capacity(steps.len());
        for step in steps {
            statements.push(self.within(client.prepare_cached(step.sql)).await?);
        }
        let params: Vec<Vec<&(dyn ToSql + Sync)>> = steps
            .iter()
            .map(|step| {
                step.params
                    .iter()
                    .map(|param| &**param as &(dyn ToSql + Sync))
                    .collect()
            })
            .collect();
        let ends = |sql| matches!(sql, "COMMIT" | "ROLLBACK");
        let queries = steps.iter().zip(&statements).zip(&params);
        let queries = queries
            .map(|((_, statement), params)| client.query(statement, params))
            .collect();
        self.open.store(true, Ordering::Relaxed);
        let rows = self.within(in_order(queries)).await?;
        let ended = steps.last().is_none_or(|step| ends(step.sql));
        self.open.store(!ended, Ordering::Relaxed);
        Ok(rows)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        if *self.waiting.get_mut() || *self.open.get_mut() {
            // The connection is unusable for others.
            drop(Object::take(object));
        }
    }
}

/// Polls all queries in order until all have ended. Returns all results, or the error of the first failed
/// query: later errors only say that the transaction has failed.
async fn in_order<T>(
    queries: Vec<impl Future<Output = Result<T, tokio_postgres::Error>>>,
) -> Result<Vec<T>, tokio_postgres::Error> {
    let mut queries: Vec<Pin<Box<_>>> = queries.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<Result<T, _>>> = queries.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut all = true;
        for (query, result) in queries.iter_mut().zip(&mut results) {
            if result.is_none() {
                match query.as_mut().poll(context) {
                    Poll::Ready(ended) => *result = Some(ended),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}
