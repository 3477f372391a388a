//! What stands behind the processes of a cluster: a Redis that they share, and a PostgreSQL where they keep messages.
//!
//! Both are on the loader's core, so that the servers' core is theirs alone, and new for each run.

use std::time::Duration;

use roomful_testkit::usage::Usage;
use roomful_testkit::{PostgresServer, RedisServer};
use tokio::runtime::Runtime;

use crate::candidate::{Links, Mode};
use crate::error::BenchError;

/// Redis, and for durable runs PostgreSQL.
#[derive(Debug)]
pub(crate) struct Behind {
    redis: RedisServer,
    postgres: Option<PostgresServer>,
    links: Links,
    /// Redis is a child of this runtime.
    _runtime: Runtime,
}

impl Behind {
    /// Starts what a run of this kind needs. Redis writes nothing to disk: nobody here takes it for the truth. PostgreSQL
    /// commits as it does unless told otherwise, to the disk.
    pub(crate) fn start(mode: Mode) -> Result<Self, BenchError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(BenchError::Loader)?;
        let redis = runtime.block_on(RedisServer::start_with(None, &["--appendonly", "no"]));
        let redis = redis.map_err(BenchError::Behind)?;
        let postgres = match mode {
            Mode::Bare => None,
            Mode::Chat => Some(PostgresServer::start().map_err(BenchError::Behind)?),
        };
        let database = postgres.as_ref().map(PostgresServer::new_database).transpose();
        let links = Links {
            redis: redis.url(),
            postgres: database.map_err(BenchError::Behind)?,
        };
        Ok(Self {
            redis,
            postgres,
            links,
            _runtime: runtime,
        })
    }

    /// How servers reach it.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// Processor time of Redis so far.
    pub(crate) fn redis(&self) -> Result<Duration, BenchError> {
        self.redis.pid().map_or(Ok(Duration::ZERO), cpu)
    }

    /// Processor time of PostgreSQL so far: all processes that it has now. Servers keep their connections, so none that
    /// counts ends within a run.
    pub(crate) fn postgres(&self) -> Result<Duration, BenchError> {
        let Some(postgres) = &self.postgres else {
            return Ok(Duration::ZERO);
        };
        let processes = postgres.processes().map_err(BenchError::Usage)?;
        // One may have ended since it was listed: a worker that had nothing to do.
        Ok(processes
            .into_iter()
            .filter_map(|process| cpu(process).ok())
            .sum())
    }
}

fn cpu(process: u32) -> Result<Duration, BenchError> {
    Ok(Usage::of(process).map_err(BenchError::Usage)?.cpu)
}
