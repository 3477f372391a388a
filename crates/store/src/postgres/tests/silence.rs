//! A server that takes connections and then says nothing, as one does that stands still.

use std::time::Duration;

use deadpool_postgres::Connect as _;
use roomful_testkit::proxy::{LinkCondition, Proxy};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::timeout,
};

use super::{Database, SERVER};
use crate::{
    Options, Outage, StoreError,
    postgres::{
        failure::Failure,
        generation::{self, OpenNode},
        pool::Connector,
        schema,
    },
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

async fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, format!("postgres://ann@{addr}/chat?connect_timeout=1"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_ends_with_its_caller() {
    let (listener, url) = silent_server().await;
    let connector = Connector::new(&url, &Options::default(), Handle::current()).unwrap();
    let config = url.parse().unwrap();
    let connecting = tokio::spawn(async move { connector.connect(&config).await.map(drop) });
    let (mut taken, _) = listener.accept().await.unwrap();
    connecting.abort();
    // The client sends its request and then closes.
    let mut said = Vec::new();
    let ended = timeout(PATIENCE, taken.read_to_end(&mut said)).await;
    assert!(
        ended.is_ok(),
        "a connection that nobody waits for is still being made"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_times_out() {
    let (listener, url) = silent_server().await;
    let opening = tokio::task::spawn_blocking(move || crate::open(&url, Options::default()).map(drop));
    let taken: TcpStream = listener.accept().await.unwrap().0;
    let opened = timeout(PATIENCE, opening)
        .await
        .expect("it waits for ever")
        .unwrap();
    assert!(
        matches!(opened, Err(StoreError::Unavailable(Outage::Connection(_)))),
        "{opened:?}"
    );
    drop(taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_times_out() {
    let database = Database::new();
    let proxy = Proxy::start(([127, 0, 0, 1], SERVER.port()).into())
        .await
        .unwrap();
    let name = database.0.rsplit('/').next().unwrap();
    let url = format!("postgres://roomful@{}/{name}?connect_timeout=1", proxy.addr());
    let options = Options {
        statement_timeout: Duration::from_millis(100),
        ..Options::default()
    };
    let connector = Connector::new(&url, &options, Handle::current()).unwrap();
    let client = schema::prepare(&connector).await.unwrap();
    let node = OpenNode {
        folder: None,
        guest: false,
        force_renewal: false,
        answer_timeout: connector.answer_timeout(),
    };
    let (log_state, _) = generation::open(&client, node).await.unwrap();
    let opening = tokio::task::spawn_blocking(move || crate::open(&url, options));
    let store = opening.await.unwrap().unwrap();
    store.open_room("a", true, 1).await.unwrap();
    proxy.set(LinkCondition::Frozen);
    let looked = timeout(PATIENCE, log_state.verify(&client, connector.answer_timeout())).await;
    let looked = looked.expect("what a new connection is looked at for waits for ever");
    assert!(
        matches!(
            looked,
            Err(Failure(StoreError::Unavailable(Outage::Connection(_))))
        ),
        "{looked:?}"
    );
    let closed = timeout(PATIENCE, store.close()).await;
    assert!(closed.is_ok(), "the end of a node waits for ever");
}
