//! Tests of the HTTP side of the running binary under misuse, behind proxies and at the end of its life.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod base_path;
mod connection_log;
mod connections;
mod hosts;
mod logs;
mod shutdown;
mod status_pages;

use roomful_testkit::{
    ServerProcess,
    http::{Answer, HttpClient},
    server::Config,
};

/// A server with these environment variables.
async fn start(env: &[(&str, &str)]) -> ServerProcess {
    let config = Config::new(env!("CARGO_BIN_EXE_roomful")).envs(env);
    ServerProcess::start_with(config).await.unwrap()
}

/// One request on a connection of its own.
async fn request(server: &ServerProcess, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut client = HttpClient::connect(server.addr()).await.unwrap();
    client.request(method, path, headers, b"").await.unwrap()
}

/// The value of a metric without labels, or the sum over its labels.
async fn metric(server: &ServerProcess, name: &str) -> f64 {
    let text = request(server, "GET", "/metrics", &[]).await.text();
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' ']).then_some(rest)
    });
    lines
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
