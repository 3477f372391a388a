//! Messages of the bus: the first line is a topic, the rest is a message that a node gets on it. `EPOCH` in
//! it stands for the epoch of the log. Whatever the bus brings, the node's clients get its later messages.
#![no_main]

use std::{
    future::pending,
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use roomful_bus::{Bus, Hub};
use roomful_chat::{ChatConfig, ChatServer, ClusterConfig, admin::Post, clock::SystemClock};
use roomful_socket::{HttpLimits, WebSocketServer, serve};
use roomful_store::{Options, RoomChange, Store};
use roomful_testkit::{SioClient, token};
use serde_json::json;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    time::{sleep, timeout},
};

const SECRET: &str = "a secret for fuzzing, thirty-two bytes or more";
/// Under a sanitizer on a busy machine the node is slow.
const PATIENCE: Duration = Duration::from_secs(30);
/// Inputs between two checks of the delivery.
const CHECK_EVERY: u64 = 100;
/// Longer than the node waits for the bus before it asks the store.
const GAP: Duration = Duration::from_millis(50);

struct Node {
    runtime: Runtime,
    chat: ChatServer,
    address: SocketAddr,
    /// Another client of the bus.
    bus: Arc<dyn Bus>,
    epoch: String,
}

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let hub = Hub::default();
    let folder = std::env::temp_dir().join(format!("roomful-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let url = format!("sqlite:{}", folder.join("chat.db").display());
    let (chat, address, epoch) = runtime.block_on(start(&url, hub.connect()));
    let bus = hub.connect();
    Node {
        runtime,
        chat,
        address,
        bus,
        epoch,
    }
});

async fn start(url: &str, bus: Arc<dyn Bus>) -> (ChatServer, SocketAddr, String) {
    let store: Arc<dyn Store> = roomful_store::open(url, Options::default()).expect("a store");
    let cluster = ClusterConfig {
        bus,
        node: "node".to_owned(),
        info: serde_json::Map::new(),
        lease: Duration::from_hours(1),
        poll: Duration::from_hours(1),
    };
    let mut config = ChatConfig::with_secret(SECRET.as_bytes()).expect("a secret");
    config.rates.enabled = false;
    let sockets = WebSocketServer::builder().build();
    let clock = Arc::new(SystemClock);
    let chat = ChatServer::attach_to(&sockets, Arc::clone(&store), config, clock, Some(cluster));
    while !chat.is_serving() {
        tokio::task::yield_now().await;
    }
    let change = RoomChange {
        kind: None,
        history: None,
    };
    chat.put_room("lobby", change, None).await.expect("a room");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(
        listener,
        sockets.router(),
        HttpLimits::default(),
        pending(),
    ));
    (chat, address, store.log_head().epoch)
}

impl Node {
    /// The node writes a message and answers.
    async fn post(&self, text: &str) {
        let post = Post {
            user_id: "ann".to_owned(),
            text: text.to_owned(),
            ..Post::default()
        };
        let posted = timeout(PATIENCE, self.chat.post("lobby", post)).await;
        posted.expect("an answer in time").expect("a message");
    }

    /// A client gets a message that the node writes. It is a new one each time: messages may have closed it.
    async fn check_delivery(&self, number: u64) {
        sleep(GAP).await;
        let auth = json!({ "token": token::for_user(SECRET, "bob") });
        let client = SioClient::connect(self.address, "/", &auth)
            .await
            .expect("a connection");
        client
            .call("chat:join", &json!({ "room": "lobby" }))
            .await
            .expect("an answer");
        let text = number.to_string();
        self.post(&text).await;
        let received = async {
            while client
                .next_event("chat:receive_message")
                .await
                .expect("a message")["text"]
                != text
            {}
        };
        timeout(PATIENCE, received).await.expect("the message in time");
    }
}

static INPUTS: AtomicU64 = AtomicU64::new(0);

fuzz_target!(|input: &str| {
    let Some((topic, message)) = input.split_once('\n') else {
        return;
    };
    let node = &*NODE;
    let message = message.replace("EPOCH", &node.epoch);
    let number = INPUTS.fetch_add(1, Ordering::Relaxed);
    node.runtime.block_on(async {
        node.bus.publish(topic, message.into_bytes().into());
        node.post("hi").await;
        if number.is_multiple_of(CHECK_EVERY) {
            node.check_delivery(number).await;
        }
    });
});
