//! Tests of the shutdown with clients that do not cooperate.

use roomful_testkit::http::HttpClient;
use tokio::{io::AsyncWriteExt as _, net::TcpSocket};

use crate::start;

#[tokio::test]
async fn a_slow_reader_does_not_keep_the_store_from_closing() {
    let mut server = start(&[
        ("ROOMFUL_LIMITS", "off"),
        ("ROOMFUL__SHUTDOWN__SPREAD", "0s"),
        ("ROOMFUL__SHUTDOWN__HTTP_TIMEOUT", "100ms"),
        ("ROOMFUL__HTTP__TRANSFER_TIMEOUT", "5m"),
    ])
    .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut reader = socket.connect(server.addr()).await.unwrap();
    // More responses than the buffers of the connection hold, and none of them is read.
    let requests = "GET /api/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(500);
    reader.write_all(requests.as_bytes()).await.unwrap();
    let mut other = HttpClient::connect(server.addr()).await.unwrap();
    assert_eq!(
        other.request("GET", "/livez", &[], b"").await.unwrap().status,
        200
    );
    assert!(server.terminate().await.unwrap().success());
    let log = server.log();
    assert!(
        log.contains("\"stopped\"") && !log.contains("failed to finish"),
        "{log}"
    );
    // A closed store has merged its write-ahead log.
    assert!(!server.data().join("roomful.db-wal").exists());
}
