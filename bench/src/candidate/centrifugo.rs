//! Centrifugo, built from its Go module.

use std::process::Command;

use crate::candidate::install::run;
use crate::candidate::{Candidate, Checkout, Launch, Mode, SECRET, Skip};
use crate::loader::dialect::Dialect;

const BINARY: &str = "centrifugo/centrifugo";

pub(super) const CANDIDATE: Candidate = Candidate {
    name: "centrifugo",
    label: "Centrifugo, in memory",
    dialect: Dialect::Centrifugo,
    compiled: true,
    install: |checkout| install(checkout, "memory engine, history on"),
    ready: None,
    command: serve,
};

/// A node of a cluster over Redis. Without history, since a bare run stores nothing.
pub(super) const REDIS: Candidate = Candidate {
    name: "centrifugo-redis",
    label: "Centrifugo, Redis",
    install: |checkout| install(checkout, "Redis engine, history off"),
    command: |checkout, launch| {
        let mut command = with_engine(checkout, launch);
        command
            .env("CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_HISTORY_SIZE", "0")
            .env("CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_HISTORY_TTL", "0s");
        command
    },
    ..CANDIDATE
};

/// A node of a cluster with its history in PostgreSQL, from which each node reads its deliveries.
pub(super) const POSTGRES: Candidate = Candidate {
    name: "centrifugo-postgres",
    label: "Centrifugo, PostgreSQL",
    install: |checkout| install(checkout, "PostgreSQL broker woken by NOTIFY, Redis engine"),
    command: |checkout, launch| {
        let mut command = with_engine(checkout, launch);
        if let Some(postgres) = launch.links.and_then(|links| links.postgres.as_ref()) {
            command
                .env("CENTRIFUGO_BROKER_ENABLED", "true")
                .env("CENTRIFUGO_BROKER_TYPE", "postgres")
                .env("CENTRIFUGO_BROKER_POSTGRES_DSN", postgres)
                .env("CENTRIFUGO_BROKER_POSTGRES_USE_NOTIFY", "true");
        }
        command
    },
    ..CANDIDATE
};

fn serve(checkout: &Checkout, launch: &Launch<'_>) -> Command {
    let mut command = Command::new(checkout.built(BINARY));
    command
        .arg("--config")
        .arg(checkout.peer("centrifugo").join("config.json"))
        .env("CENTRIFUGO_HTTP_SERVER_PORT", launch.port.to_string())
        .env("CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY", SECRET)
        .env(
            "CENTRIFUGO_CLIENT_INSECURE",
            (launch.mode == Mode::Bare).to_string(),
        );
    command
}

fn with_engine(checkout: &Checkout, launch: &Launch<'_>) -> Command {
    let mut command = serve(checkout, launch);
    if let Some(links) = launch.links {
        command
            .env("CENTRIFUGO_ENGINE_TYPE", "redis")
            .env("CENTRIFUGO_ENGINE_REDIS_ADDRESS", &links.redis);
    }
    command
}

/// Builds Centrifugo; `kind` describes the configuration for reports.
fn install(checkout: &Checkout, kind: &str) -> Result<String, Skip> {
    let folder = checkout.peer("centrifugo");
    let binary = checkout.built(BINARY);
    let mut go = Command::new("go");
    go.args(["build", "-o"])
        .arg(&binary)
        .arg("github.com/centrifugal/centrifugo/v6");
    run(&folder, &go)?;
    let mut version = Command::new("go");
    version.args([
        "list",
        "-m",
        "-f",
        "{{.Version}}",
        "github.com/centrifugal/centrifugo/v6",
    ]);
    Ok(format!("Centrifugo {}, {kind}", run(&folder, &version)?))
}
