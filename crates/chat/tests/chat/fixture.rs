//! A chat server in this process, and clients that connect to it over TCP.

use std::{net::SocketAddr, sync::Arc};

use roomful_chat::{
    ChatConfig, ChatServer, ClusterConfig, KeyTable,
    clock::{Clock, ManualClock},
};
use roomful_socket::{HttpLimits, WebSocketServer, serve};
use roomful_store::Store;
use roomful_testkit::{Error, SioClient, token};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "a secret for tests, thirty-two bytes or more";

/// The start time of every test, in milliseconds since 1970.
pub(crate) const START: i64 = 1_800_000_000_000;

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) clock: ManualClock,
    pub(crate) chat: ChatServer,
    pub(crate) store: Arc<dyn Store>,
    data: Option<tempfile::TempDir>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// A server with changed settings.
    pub(crate) async fn with(change: impl FnOnce(&mut ChatConfig)) -> Self {
        let (store, data) = new_store();
        Self::on(store, data, change).await
    }

    /// A server with the given store.
    pub(crate) async fn on(
        store: Arc<dyn Store>,
        data: tempfile::TempDir,
        change: impl FnOnce(&mut ChatConfig),
    ) -> Self {
        let mut server = Self::serve(store, ManualClock::at(START), change, None).await;
        server.data = Some(data);
        server
    }

    /// A server with the given store, clock and optional cluster.
    pub(crate) async fn serve(
        store: Arc<dyn Store>,
        clock: ManualClock,
        change: impl FnOnce(&mut ChatConfig),
        cluster: Option<ClusterConfig>,
    ) -> Self {
        let keys = KeyTable::hs256(SECRET.as_bytes()).unwrap();
        let mut config = ChatConfig {
            keys,
            ..ChatConfig::default()
        };
        change(&mut config);
        let server = WebSocketServer::builder().build();
        let clock_of_chat: Arc<dyn Clock> = Arc::new(clock.clone());
        let chat = ChatServer::attach_to(&server, Arc::clone(&store), config, clock_of_chat, cluster);
        while !chat.is_serving() {
            tokio::task::yield_now().await;
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(serve(
            listener,
            server.router(),
            HttpLimits::default(),
            std::future::pending(),
        ));
        Self {
            addr,
            clock,
            chat,
            store,
            data: None,
        }
    }

    pub(crate) async fn try_connect(&self, auth: &Value) -> Result<SioClient, Error> {
        SioClient::connect(self.addr, "/", auth).await
    }

    /// A client that has received its `session` event.
    pub(crate) async fn connect_with(&self, claims: &Value) -> SioClient {
        let client = self
            .try_connect(&json!({ "token": token::with_claims(SECRET, claims) }))
            .await
            .unwrap();
        let session = client.next_event("session").await.unwrap();
        assert_eq!(session["userId"], claims["sub"]);
        client
    }

    pub(crate) async fn connect(&self, user: &str) -> SioClient {
        self.connect_with(&claims(user)).await
    }

    /// A client that has joined `room`.
    pub(crate) async fn joined(&self, user: &str, room: &str) -> SioClient {
        let client = self.connect(user).await;
        ok(client.call("chat:join", &json!({ "room": room })).await);
        client
    }
}

/// A store in a database of its own, deleted with the folder.
pub(crate) fn new_store() -> (Arc<dyn Store>, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", data.path().join("chat.db").display());
    let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
    (store, data)
}

/// Claims that are valid for an hour, of a user who sees everybody's presence.
pub(crate) fn claims(user: &str) -> Value {
    let exp = START / 1000 + 3_600;
    json!({ "sub": user, "name": format!("The {user}"), "exp": exp, "presence": "everyone" })
}

/// The data of a successful ack.
#[track_caller]
pub(crate) fn ok(ack: Result<Value, Error>) -> Value {
    let ack = ack.unwrap();
    assert_eq!(ack["ok"], true, "{ack}");
    ack["data"].clone()
}

/// The error of a failed ack, which must have this code.
#[track_caller]
pub(crate) fn failed(ack: Result<Value, Error>, code: &str) -> Value {
    let ack = ack.unwrap();
    assert_eq!(ack["ok"], false, "{ack}");
    let error = ack["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty())
    );
    assert!(error["retryable"].is_boolean());
    error
}

pub(crate) async fn send(client: &SioClient, room: &str, text: &str) -> Value {
    ok(client
        .call("chat:send_message", &json!({ "room": room, "text": text }))
        .await)
}

/// The seqs of these messages.
pub(crate) fn seqs(messages: &Value) -> Vec<u64> {
    messages
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["seq"].as_u64().unwrap())
        .collect()
}

/// Waits until the client has received everything that the server sent before this call: events and acks
/// share one ordered stream.
pub(crate) async fn settle(client: &SioClient) {
    ok(client.call("presence:unsubscribe", &json!({ "users": [] })).await);
}
