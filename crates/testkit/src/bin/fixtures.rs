//! Runs Redis, PostgreSQL and servers for tests that are not written in Rust.
//!
//! usage: `roomful-fixtures [redis] [postgres] [servers=N]`
//!
//! It prints the addresses as one line of JSON when all are ready, and ends them all when its stdin ends.
//! Several servers form a cluster, which needs both redis and postgres. `ROOMFUL_BIN` names the server's
//! binary. A line `pause NAME` or `resume NAME` on stdin stops or continues `redis` or `postgres`; the answer
//! is a line `{"ok": true}`, or `{"ok": false, "error": …}`.

use std::{io::Write as _, process::ExitCode};

use roomful_testkit::{Error, PostgresServer, RedisServer, ServerProcess, server::Config};
use serde_json::{Value, json};

#[derive(Default)]
struct Fixtures {
    redis: Option<RedisServer>,
    postgres: Option<PostgresServer>,
    servers: Vec<ServerProcess>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the fixtures, prints their addresses, and obeys stdin until its end.
fn run() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("starting the runtime"))?;
    // The fixtures' processes end with their values, which need the runtime.
    let _entered = runtime.enter();
    let fixtures = runtime.block_on(Fixtures::start(std::env::args().skip(1)))?;
    print(&fixtures.addresses())?;
    for line in std::io::stdin().lines() {
        let answer = match fixtures.command(&line.map_err(Error::io("reading stdin"))?) {
            Ok(()) => json!({ "ok": true }),
            Err(error) => json!({ "ok": false, "error": error.to_string() }),
        };
        print(&answer)?;
    }
    Ok(())
}

impl Fixtures {
    async fn start(words: impl Iterator<Item = String>) -> Result<Self, Error> {
        let mut fixtures = Self::default();
        let mut servers = 0;
        for word in words {
            match word.split_once('=') {
                None if word == "redis" => fixtures.redis = Some(RedisServer::start().await?),
                // No test cuts the power, so syncing would only cost time.
                None if word == "postgres" => {
                    fixtures.postgres = Some(PostgresServer::start_with(&["fsync=off"])?);
                }
                Some(("servers", count)) => servers = count.parse().map_err(|_| usage(&word))?,
                _ => return Err(usage(&word)),
            }
        }
        for node in 0..servers {
            let server = ServerProcess::start_with(fixtures.config(node)?).await?;
            fixtures.servers.push(server);
        }
        Ok(fixtures)
    }

    /// The settings of a server; on Redis and PostgreSQL if they run.
    fn config(&self, node: usize) -> Result<Config, Error> {
        let mut config = Config::from_env()?;
        if let Some(postgres) = &self.postgres {
            config = config.env("ROOMFUL_STORE_URL", &postgres.url("postgres"));
        }
        if let Some(redis) = &self.redis {
            let name = format!("node-{node}");
            config = config
                .env("ROOMFUL_BUS_URL", &redis.url())
                .env("ROOMFUL__CLUSTER__NODE", &name);
        }
        Ok(config)
    }

    fn addresses(&self) -> Value {
        let server = |server: &ServerProcess| {
            let url = format!("http://{}", server.addr());
            json!({ "url": url, "secret": server.secret(), "apiKey": server.api_key() })
        };
        json!({
            "redis": self.redis.as_ref().map(RedisServer::url),
            "postgres": self.postgres.as_ref().map(|postgres| postgres.url("postgres")),
            "servers": self.servers.iter().map(server).collect::<Vec<_>>(),
        })
    }

    fn command(&self, line: &str) -> Result<(), Error> {
        match (line, &self.redis, &self.postgres) {
            ("pause redis", Some(redis), _) => redis.pause(),
            ("resume redis", Some(redis), _) => redis.resume(),
            ("pause postgres", _, Some(postgres)) => postgres.pause(),
            ("resume postgres", _, Some(postgres)) => postgres.resume(),
            _ => Err(Error::Server(format!("nothing to do for {line:?}"))),
        }
    }
}

fn usage(word: &str) -> Error {
    Error::Server(format!(
        "unknown argument {word:?}; usage: roomful-fixtures [redis] [postgres] [servers=N]"
    ))
}

fn print(line: &Value) -> Result<(), Error> {
    writeln!(std::io::stdout(), "{line}").map_err(Error::io("writing to stdout"))
}
