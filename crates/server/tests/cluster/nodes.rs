//! Nodes with what stands behind them, started and hurt.

use std::process::ExitStatus;

use roomful_testkit::{PostgresServer, RedisServer, ServerProcess, SioClient, http, server::Config, token};
use serde_json::{Value, json};

/// A cluster, whose bus is this.
pub(crate) struct Nodes<R = RedisServer> {
    servers: Vec<ServerProcess>,
    pub(crate) redis: R,
    pub(crate) postgres: PostgresServer,
    store: String,
}

impl<R> std::ops::Index<usize> for Nodes<R> {
    type Output = ServerProcess;

    fn index(&self, at: usize) -> &ServerProcess {
        &self.servers[at]
    }
}

impl Nodes {
    /// So many nodes on a single Redis.
    pub(crate) async fn start(count: usize) -> Self {
        let redis = RedisServer::start().await.unwrap();
        let url = redis.url();
        Self::start_on(count, redis, &url).await
    }

    /// A node on a database of its own, on the same Redis.
    pub(crate) async fn stranger(&self) -> ServerProcess {
        let store = self.postgres.new_database().unwrap();
        let config = config(self.servers.len(), &store, &self.redis.url());
        ServerProcess::start_with(config).await.unwrap()
    }

    /// One more of them, but that its secret is another.
    pub(crate) async fn with_secret(&self, secret: &str) -> ServerProcess {
        let config = config(self.servers.len(), &self.store, &self.redis.url());
        let config = config.env("ROOMFUL_AUTH_SECRET", secret);
        ServerProcess::start_with(config).await.unwrap()
    }
}

impl<R> Nodes<R> {
    /// So many nodes on the bus of this URL; with short leases, so that a test need not wait for long.
    pub(crate) async fn start_on(count: usize, redis: R, bus: &str) -> Self {
        // A test does not cut the power.
        let postgres = PostgresServer::start_with(&["fsync=off"]).unwrap();
        let store = postgres.new_database().unwrap();
        let starting = (0..count).map(|n| tokio::spawn(ServerProcess::start_with(config(n, &store, bus))));
        let mut servers = Vec::new();
        // All at once: they make the database's tables together.
        for server in starting.collect::<Vec<_>>() {
            servers.push(server.await.unwrap().unwrap());
        }
        Self {
            servers,
            redis,
            postgres,
            store,
        }
    }

    /// The key of the HTTP API.
    pub(crate) fn key(&self) -> &'static str {
        self.servers[0].api_key()
    }

    pub(crate) async fn is_ready(&self, node: usize) -> bool {
        let asked = http::get(self.servers[node].addr(), "/readyz").await;
        asked.unwrap().status == 200
    }

    async fn connect(&self, node: usize, user: &str, claim: &Value) -> SioClient {
        let server = &self.servers[node];
        let mut auth = json!({ "token": token::for_user(server.secret(), user) });
        if let (Value::Object(auth), Value::Object(claim)) = (&mut auth, claim.clone()) {
            auth.extend(claim);
        }
        SioClient::connect(server.addr(), "/", &auth).await.unwrap()
    }

    pub(crate) async fn joined(&self, node: usize, user: &str, room: &str) -> SioClient {
        let client = self.connect(node, user, &Value::Null).await;
        ok(client.call("chat:join", &json!(room)).await.unwrap());
        client
    }

    /// Comes back with what another connection had; with whether the session was recovered.
    pub(crate) async fn come_back(&self, node: usize, user: &str, claim: &Value) -> (SioClient, bool) {
        assert!(claim.is_object(), "it has seen no session");
        let client = self.connect(node, user, claim).await;
        let session = client.next_event("session").await.unwrap();
        let recovered = session["recovered"].as_bool().unwrap();
        (client, recovered)
    }

    pub(crate) async fn kill(&mut self, node: usize) {
        self.servers[node].kill9().await.unwrap();
    }

    pub(crate) async fn restart(&mut self, node: usize) {
        self.servers[node].restart().await.unwrap();
    }

    pub(crate) async fn terminate(&mut self, node: usize) -> ExitStatus {
        self.servers[node].terminate().await.unwrap()
    }
}

fn config(node: usize, store: &str, bus: &str) -> Config {
    Config::new(env!("CARGO_BIN_EXE_roomful"))
        .env("ROOMFUL_STORE_URL", store)
        .env("ROOMFUL_BUS_URL", bus)
        .env("ROOMFUL__CLUSTER__NODE", &format!("node-{node}"))
        .env("ROOMFUL__CLUSTER__LEASE", "3s")
        .env("ROOMFUL__SHUTDOWN__SPREAD", "500ms")
        .env("ROOMFUL_LIMITS", "off")
}

/// The nodes that one knows, itself among them.
pub(crate) async fn known_to(server: &ServerProcess) -> Vec<String> {
    let key = format!("Bearer {}", server.api_key());
    let headers = [("Authorization", key.as_str())];
    let stats = http::request(server.addr(), "GET", "/api/v1/stats", &headers, b"").await;
    let stats = stats.unwrap().json();
    let nodes = stats["nodes"].as_array().unwrap().iter();
    let mut names: Vec<_> = nodes
        .map(|node| node["node"].as_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    names
}

/// The data of an ack that must be a success.
#[track_caller]
pub(crate) fn ok(mut ack: Value) -> Value {
    assert_eq!(ack["ok"], true, "{ack}");
    ack["data"].take()
}

pub(crate) async fn say(client: &SioClient, room: &str, text: &str) -> Value {
    let message = json!({ "room": room, "text": text, "clientId": text });
    ok(client.call("chat:send_message", &message).await.unwrap())
}

pub(crate) fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap()
}
