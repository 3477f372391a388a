//! A cluster for tests: server processes with their PostgreSQL and Redis.

use std::process::ExitStatus;

use roomful_testkit::{PostgresServer, RedisServer, ServerProcess, SioClient, http, server::Config, token};
use serde_json::{Value, json};

/// A cluster on a bus of kind `R`.
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
    /// Starts `count` nodes on a single Redis.
    pub(crate) async fn start(count: usize) -> Self {
        let redis = RedisServer::start().await.unwrap();
        let url = redis.url();
        Self::start_on(count, redis, &url).await
    }

    /// Starts a node with its own database on the same Redis.
    pub(crate) async fn stranger(&self) -> ServerProcess {
        let store = self.postgres.new_database().unwrap();
        let config = config(self.servers.len(), &store, &self.redis.url());
        ServerProcess::start_with(config).await.unwrap()
    }

    /// Starts another node of this cluster with a different secret.
    pub(crate) async fn with_secret(&self, secret: &str) -> ServerProcess {
        let config = config(self.servers.len(), &self.store, &self.redis.url());
        let config = config.env("ROOMFUL_AUTH_SECRET", secret);
        ServerProcess::start_with(config).await.unwrap()
    }
}

impl<R> Nodes<R> {
    /// Starts `count` nodes on the bus at this URL. Leases are short to keep tests fast.
    pub(crate) async fn start_on(count: usize, redis: R, bus: &str) -> Self {
        // No test cuts the power, so fsync would only cost time.
        let postgres = PostgresServer::start_with(&["fsync=off"]).unwrap();
        let store = postgres.new_database().unwrap();
        let starting = (0..count).map(|n| tokio::spawn(ServerProcess::start_with(config(n, &store, bus))));
        let mut servers = Vec::new();
        // All nodes start at once and create the tables concurrently.
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

    /// The API key of all nodes.
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

    /// Reconnects with the claim of an earlier connection. Also returns whether the session was recovered.
    pub(crate) async fn come_back(&self, node: usize, user: &str, claim: &Value) -> (SioClient, bool) {
        assert!(claim.is_object(), "the first connection got no session");
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

/// The names of the nodes that `server` knows, including itself, sorted.
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

/// The data of a successful ack.
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
