//! The services of a cluster: a shared Redis, and a PostgreSQL for its messages.
//!
//! Both run on the loader's core, so that the servers have theirs alone, and are new for each run.

use std::time::Duration;

use roomful_testkit::usage::Usage;
use roomful_testkit::{PostgresServer, RedisServer};
use tokio::runtime::Runtime;

use crate::candidate::{Links, Mode};
use crate::error::BenchError;

/// Redis, and for durable runs PostgreSQL.
#[derive(Debug)]
pub(crate) struct Services {
    redis: RedisServer,
    postgres: Option<PostgresServer>,
    links: Links,
    /// Redis is a child process of this runtime.
    _runtime: Runtime,
}

impl Services {
    /// Starts the services for a run. Redis does not persist, since no candidate treats it as the truth.
    /// PostgreSQL keeps its defaults and syncs commits to disk.
    pub(crate) fn start(mode: Mode) -> Result<Self, BenchError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(BenchError::Loader)?;
        let redis = runtime.block_on(RedisServer::start_with(None, &["--appendonly", "no"]));
        let redis = redis.map_err(BenchError::Services)?;
        let postgres = match mode {
            Mode::Bare => None,
            Mode::Chat => Some(PostgresServer::start().map_err(BenchError::Services)?),
        };
        let database = postgres.as_ref().map(PostgresServer::new_database).transpose();
        let links = Links {
            redis: redis.url(),
            postgres: database.map_err(BenchError::Services)?,
        };
        Ok(Self {
            redis,
            postgres,
            links,
            _runtime: runtime,
        })
    }

    /// The URLs for servers.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// Processor time of Redis so far.
    pub(crate) fn redis(&self) -> Result<Duration, BenchError> {
        self.redis.pid().map_or(Ok(Duration::ZERO), cpu)
    }

    /// Processor time of PostgreSQL so far, over its present processes. Servers keep their connections, so
    /// no relevant process ends within a run.
    pub(crate) fn postgres(&self) -> Result<Duration, BenchError> {
        let Some(postgres) = &self.postgres else {
            return Ok(Duration::ZERO);
        };
        let processes = postgres.processes().map_err(BenchError::Usage)?;
        // A process may have ended since the listing: an idle worker.
        Ok(processes
            .into_iter()
            .filter_map(|process| cpu(process).ok())
            .sum())
    }
}

fn cpu(process: u32) -> Result<Duration, BenchError> {
    Ok(Usage::of(process).map_err(BenchError::Usage)?.cpu)
}
