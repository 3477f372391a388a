//! The clients against a peer that follows a script: what a good server never does must be noticed too.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail the test")]

use std::net::SocketAddr;

use std::time::Duration;

use base64::Engine as _;
use roomful_testkit::session::{End, Session};
use roomful_testkit::ws::{Frame, WsClient};
use roomful_testkit::{Error, SioClient, http};
use serde_json::json;
use sha1::Digest as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);

/// A server frame: unmasked, at most 125 bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first, u8::try_from(payload.len()).unwrap()];
    out.extend_from_slice(payload);
    out
}

fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// One client frame of at most 125 bytes, unmasked.
async fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut header = [0; 6];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[1] & 0x80, 0x80, "a client's frame must be masked");
    let mut payload = vec![0; usize::from(header[1] & 0x7f)];
    stream.read_exact(&mut payload).await.unwrap();
    payload
        .iter()
        .zip(header[2..].iter().cycle())
        .map(|(byte, key)| byte ^ key)
        .collect()
}

async fn accept(listener: TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let head = read_head(&mut stream).await;
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "))
        .unwrap();
    let digest = sha1::Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    let answer = format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream
}

/// Listens; `script` gets the upgraded stream. Joining the handle brings the script's failures into the test.
async fn peer<F>(script: impl FnOnce(TcpStream) -> F + Send + 'static) -> (SocketAddr, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (
        addr,
        tokio::spawn(async move { script(accept(listener).await).await }),
    )
}

#[tokio::test]
async fn fragments_are_joined_around_control_frames() {
    let (addr, script) = peer(|mut stream| async move {
        let mut bytes = frame(0x01, "grü".as_bytes());
        bytes.extend(frame(0x89, b"hi"));
        bytes.extend(frame(0x80, "ße".as_bytes()));
        bytes.extend(frame(0x88, &[3, 240]));
        // Byte by byte: frames come in pieces of any size.
        for byte in bytes {
            stream.write_all(&[byte]).await.unwrap();
        }
    })
    .await;
    let mut client = WsClient::connect(addr, "/x", &[]).await.unwrap();
    assert_eq!(client.recv_within(SOON).await.unwrap(), Frame::Ping("hi".into()));
    assert_eq!(
        client.recv_within(SOON).await.unwrap(),
        Frame::Text("grüße".into())
    );
    assert_eq!(client.recv_within(SOON).await.unwrap(), Frame::Close(Some(1008)));
    assert_eq!(client.recv_within(SOON).await.unwrap(), Frame::Eof);
    script.await.unwrap();
}

#[tokio::test]
async fn a_client_answers_heartbeats_and_matches_acks_by_itself() {
    let (addr, script) = peer(|mut stream| async move {
        stream
            .write_all(&text(r#"0{"sid":"s","pingInterval":1}"#))
            .await
            .unwrap();
        assert_eq!(read_frame(&mut stream).await, br#"40{"token":"t"}"#);
        stream.write_all(&text(r#"40{"sid":"public"}"#)).await.unwrap();
        stream.write_all(&text("2")).await.unwrap();
        assert_eq!(read_frame(&mut stream).await, b"3");
        stream.write_all(&text(r#"42["go"]"#)).await.unwrap();
        assert_eq!(read_frame(&mut stream).await, br#"420["first",1]"#);
        assert_eq!(read_frame(&mut stream).await, br#"421["second",2]"#);
        for packet in [
            r#"431["b"]"#,
            r#"42["other",0]"#,
            r#"42["news",7]"#,
            r#"430["a"]"#,
            "41",
        ] {
            stream.write_all(&text(packet)).await.unwrap();
        }
        stream
    })
    .await;
    let client = SioClient::connect(addr, "/", &json!({ "token": "t" }))
        .await
        .unwrap();
    assert_eq!(client.id(), "public");
    client.next_event("go").await.unwrap();
    let (first, second) = (json!(1), json!(2));
    // In order: the second call is sent only once the first one waits.
    let (a, b) = tokio::join!(biased; client.call("first", &first), client.call("second", &second));
    assert_eq!((a.unwrap(), b.unwrap()), (json!("a"), json!("b")));
    assert_eq!(client.next_event("news").await.unwrap(), 7);
    assert_eq!(
        client.next_event("other").await.unwrap(),
        0,
        "an event nobody asked for yet was lost"
    );
    assert_eq!(client.wait_end(SOON).await.unwrap(), End::Disconnected);
    let error = client.next_event("news").await.unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error}");
    script.await.unwrap();
}

#[tokio::test]
async fn an_ack_that_nobody_asked_for_ends_the_client() {
    let (addr, script) = peer(|mut stream| async move {
        stream.write_all(&text(r#"0{"sid":"s"}"#)).await.unwrap();
        read_frame(&mut stream).await;
        stream.write_all(&text(r#"40{"sid":"public"}"#)).await.unwrap();
        stream.write_all(&text("439[]")).await.unwrap();
        stream
    })
    .await;
    let client = SioClient::connect(addr, "/", &json!(null)).await.unwrap();
    assert!(matches!(client.wait_end(SOON).await.unwrap(), End::Failed(_)));
    script.await.unwrap();
}

#[tokio::test]
async fn binary_attachments_are_gathered() {
    let (addr, script) = peer(|mut stream| async move {
        stream.write_all(&text(r#"0{"sid":"s"}"#)).await.unwrap();
        read_frame(&mut stream).await;
        stream.write_all(&text(r#"40{"sid":"public"}"#)).await.unwrap();
        stream
            .write_all(&text(r#"451-["b",{"_placeholder":true,"num":0}]"#))
            .await
            .unwrap();
        stream.write_all(&frame(0x82, &[1, 2, 3])).await.unwrap();
        stream
    })
    .await;
    let client = SioClient::connect(addr, "/", &json!(null)).await.unwrap();
    let event = client
        .take(SOON, "a binary event", |event| event.name == "b")
        .await
        .unwrap();
    assert_eq!(event.attachments, [&[1, 2, 3][..]]);
    script.await.unwrap();
}

#[tokio::test]
async fn a_refused_upgrade_and_a_refused_namespace_say_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let script = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nno")
            .await
            .unwrap();
    });
    let error = WsClient::connect(addr, "/x", &[]).await.unwrap_err();
    assert!(
        matches!(&error, Error::UpgradeRefused { status: 400, body } if body == "no"),
        "{error}"
    );
    script.await.unwrap();

    let (addr, script) = peer(|mut stream| async move {
        stream.write_all(&text(r#"0{"sid":"s"}"#)).await.unwrap();
        read_frame(&mut stream).await;
        stream
            .write_all(&text(r#"44{"message":"go away"}"#))
            .await
            .unwrap();
        stream
    })
    .await;
    let error = Session::connect(addr, "/", &json!(null)).await.unwrap_err();
    assert!(
        matches!(&error, Error::ConnectRefused(data) if data["message"] == "go away"),
        "{error}"
    );
    script.await.unwrap();
}

#[tokio::test]
async fn http_bodies_of_all_three_kinds_are_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let script = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Thing: a\r\n\r\nok",
            "HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nto the end",
        ] {
            read_head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let mut client = http::HttpClient::connect(addr).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = client.request("GET", "/", &[], b"").await.unwrap();
        seen.push((
            answer.status,
            answer.header("x-thing").map(str::to_owned),
            answer.text(),
        ));
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(status, thing, body)| (*status, thing.as_deref(), &body[..]))
        .collect();
    assert_eq!(
        seen,
        [
            (200, Some("a"), "ok"),
            (400, None, "abcd"),
            (204, None, ""),
            (200, None, "to the end")
        ]
    );
    script.await.unwrap();
}
