//! The proxy that hurts, between two plain TCP ends.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail the test")]

use std::time::Duration;

use roomful_testkit::PATIENCE;
use roomful_testkit::proxy::{LinkCondition, Proxy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A client and a server that are connected through a proxy, and have exchanged a byte.
async fn pair() -> (Proxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (mut server, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    client.write_all(b"?").await.unwrap();
    assert_eq!(next(&mut server).await, Some(b'?'));
    (proxy, client, server)
}

/// The next byte; `None` for the end or a reset.
async fn next(stream: &mut TcpStream) -> Option<u8> {
    timeout(PATIENCE, stream.read_u8()).await.unwrap().ok()
}

#[tokio::test]
async fn a_frozen_line_is_silent_and_loses_nothing_when_it_thaws() {
    let (proxy, mut client, mut server) = pair().await;
    proxy.set(LinkCondition::Frozen);
    server.write_all(b"!").await.unwrap();
    let silence = timeout(Duration::from_millis(50), client.read_u8()).await;
    assert!(silence.is_err(), "{silence:?}");
    proxy.set(LinkCondition::Slow(Duration::from_millis(1)));
    assert_eq!(next(&mut client).await, Some(b'!'));
}

#[tokio::test]
async fn a_reset_reaches_both_ends_and_later_connections_pass() {
    let (proxy, mut client, mut server) = pair().await;
    proxy.reset_all();
    assert_eq!((next(&mut client).await, next(&mut server).await), (None, None));
    assert!(TcpStream::connect(proxy.addr()).await.is_ok());
}

#[tokio::test]
async fn the_end_of_one_side_is_the_end_of_the_other() {
    let (_proxy, client, mut server) = pair().await;
    drop(client);
    assert_eq!(next(&mut server).await, None);
}
