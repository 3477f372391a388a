//! How long the server may take for an answer. It ends its statements by itself, in time; but one that stands still, or is
//! beyond a dead line, ends nothing.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Error;

use super::failure::Failure;
use crate::Outage;

/// The longest that one answer may take, before the server is taken for dead.
#[derive(Clone, Copy)]
pub(crate) struct Patience(pub(super) Duration);

impl Patience {
    /// For what touches each room and each session there is, as after a restore: ten minutes.
    pub(super) const LONG: Self = Self(Duration::from_mins(10));

    /// Waits for an answer, but not for ever. Without one the connection is of no further use.
    pub(super) async fn wait<T>(self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        Ok(self.answer(answer).await??)
    }

    /// The same, for those who look at what the server says itself.
    pub(super) async fn answer<T>(
        self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Outage> {
        let answer = timeout(self.0, answer).await;
        answer.map_err(|_| Outage::Connection("PostgreSQL does not answer".into()))
    }
}
