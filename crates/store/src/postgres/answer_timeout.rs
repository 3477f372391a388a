//! The longest wait for an answer of PostgreSQL. The server cancels slow statements itself; this limit
//! covers a frozen server and a dead connection, which cancel nothing.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Error;

use super::failure::Failure;
use crate::Outage;

/// How long one answer may take before the connection counts as dead.
#[derive(Clone, Copy)]
pub(crate) struct AnswerTimeout(pub(super) Duration);

impl AnswerTimeout {
    /// Ten minutes, for statements that touch every room and session, such as those after a restore.
    pub(super) const LONG: Self = Self(Duration::from_mins(10));

    /// Waits for an answer. After a timeout the connection must not be used again.
    pub(super) async fn wait<T>(self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        Ok(self.answer(answer).await??)
    }

    /// Like [`Self::wait`], with the server's own error left to the caller.
    pub(super) async fn answer<T>(
        self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Outage> {
        let answer = timeout(self.0, answer).await;
        answer.map_err(|_| Outage::Connection("PostgreSQL does not answer".into()))
    }
}
