//! Processor time of the candidate and its services.

use std::time::Duration;

use crate::error::BenchError;
use crate::server::Server;

/// The processes that serve a run.
pub(crate) trait Serving {
    /// Processor time so far.
    fn spent(&self) -> Result<Spent, BenchError>;
}

/// Processor time so far, or within a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// The candidate's processes.
    pub(crate) nodes: Vec<Duration>,
    /// Redis; zero without Redis.
    pub(crate) redis: Duration,
    /// PostgreSQL, over all its processes.
    pub(crate) postgres: Duration,
}

impl Spent {
    /// All processes of the candidate.
    pub(crate) fn servers(&self) -> Duration {
        self.nodes.iter().sum()
    }

    /// The time spent since an earlier reading.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let nodes = self.nodes.iter().zip(&before.nodes);
        Self {
            nodes: nodes.map(|(now, then)| now.saturating_sub(*then)).collect(),
            redis: self.redis.saturating_sub(before.redis),
            postgres: self.postgres.saturating_sub(before.postgres),
        }
    }
}

impl Serving for Server {
    fn spent(&self) -> Result<Spent, BenchError> {
        Ok(Spent {
            nodes: vec![self.usage()?.cpu],
            ..Spent::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_the_difference_of_two_readings() {
        let spent = |a, b, redis| Spent {
            nodes: vec![Duration::from_secs(a), Duration::from_secs(b)],
            redis: Duration::from_secs(redis),
            postgres: Duration::ZERO,
        };
        let span = spent(5, 9, 4).since(&spent(3, 2, 4));
        assert_eq!(span, spent(2, 7, 0));
        assert_eq!(span.servers(), Duration::from_secs(9));
    }
}
