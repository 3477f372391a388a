//! Engine.IO over real sockets: transports, upgrade, heartbeat, and all ends of a session.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

mod fixture;

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fixture::{POLLING, open_polling, post, start};
use roomful_socket::{Event, Socket, WebSocketServer};
use roomful_testkit::{
    PATIENCE,
    http::{self, HttpClient},
    ws::{Frame, WsClient},
};
use tokio::sync::Semaphore;

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

fn echo(server: &WebSocketServer) {
    server
        .of("/")
        .on("echo", |socket: Socket, event: Event| async move {
            socket.emit_payload("echo", &event.payload).unwrap();
        });
}

/// A client in the namespace, so that only the test's action can end its session.
async fn joined(address: std::net::SocketAddr) -> String {
    let path = open_polling(address).await;
    assert_eq!(post(address, &path, "40").await.text(), "ok");
    let answer = http::get(address, &path).await.unwrap().text();
    assert!(answer.starts_with("40{\"sid\":"), "{answer}");
    path
}

async fn assert_gone(address: std::net::SocketAddr, path: &str) {
    let answer = http::get(address, path).await.unwrap();
    assert_eq!(
        (answer.status, answer.json()["code"].as_u64()),
        (400, Some(1)),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn invalid_requests_get_the_error_codes_of_the_protocol() {
    let (address, _server) = start(|builder| builder, echo).await;
    let rows = [
        ("GET", "/socket.io/?EIO=4", 0),
        ("GET", "/socket.io/?EIO=4&transport=abc", 0),
        ("GET", "/socket.io/?EIO=4&transport=__proto__", 0),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=unknown", 1),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=__proto__", 1),
        (
            "GET",
            "/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA",
            1,
        ),
        ("POST", "/socket.io/?EIO=4&transport=polling", 2),
        ("PUT", "/socket.io/?EIO=4&transport=polling", 2),
        ("GET", "/socket.io/?EIO=4&transport=websocket", 3),
        ("GET", "/socket.io/?EIO=3&transport=polling", 5),
        ("GET", "/socket.io/?transport=polling", 5),
        ("GET", "/socket.io/?EIO=abc&transport=polling", 5),
    ];
    for (method, path, code) in rows {
        let answer = http::request(address, method, path, &[], b"").await.unwrap();
        assert_eq!(
            (answer.status, answer.json()["code"].as_u64()),
            (400, Some(code)),
            "{method} {path}"
        );
        assert!(answer.json()["message"].is_string());
    }
}

#[tokio::test]
async fn the_version_cannot_change_within_a_session() {
    let (address, _server) = start(|builder| builder, echo).await;
    let path = joined(address).await;
    let answer = http::get(address, &path.replace("EIO=4", "EIO=3")).await.unwrap();
    assert_eq!(answer.json()["code"], 5);
}

#[tokio::test]
async fn polling_carries_text_and_binary_both_ways() {
    let (address, _server) = start(|builder| builder, echo).await;
    let path = joined(address).await;
    let body = "42[\"echo\",1]\u{1e}451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==";
    let answer = post(address, &path, body).await;
    assert_eq!(
        (answer.text().as_str(), answer.header("content-type")),
        ("ok", Some("text/html"))
    );
    let mut received = String::new();
    while received.len() < body.len() {
        if !received.is_empty() {
            received.push('\u{1e}');
        }
        let answer = http::get(address, &path).await.unwrap();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        received.push_str(&answer.text());
    }
    assert_eq!(received, body);
}

#[tokio::test]
async fn a_second_poll_ends_the_session_and_closes_the_first() {
    let (address, _server) = start(|builder| builder, echo).await;
    let path = joined(address).await;
    let mut first = HttpClient::connect(address).await.unwrap();
    first.send("GET", &path, &[], b"").await.unwrap();
    // The parked GET sends no event to wait for; the second GET is refused only once the first is parked.
    let second = loop {
        let mut second = HttpClient::connect(address).await.unwrap();
        second.send("GET", &path, &[], b"").await.unwrap();
        if let Ok(answer) = tokio::time::timeout(PATIENCE, second.answer()).await {
            break answer.unwrap();
        }
    };
    let first = first.answer().await.unwrap();
    let mut outcomes = [(first.status, first.text()), (second.status, second.text())];
    outcomes.sort_by_key(|outcome| outcome.0);
    assert_eq!(outcomes[0], (200, "1".to_owned()));
    assert_eq!(outcomes[1].0, 400);
    assert_gone(address, &path).await;
}

#[tokio::test]
async fn an_aborted_poll_ends_the_session() {
    let (address, server) = start(|builder| builder, echo).await;
    let path = joined(address).await;
    let mut poll = HttpClient::connect(address).await.unwrap();
    poll.send("GET", &path, &[], b"").await.unwrap();
    poll.abort();
    while server.connections() > 0 {
        tokio::task::yield_now().await;
    }
    assert_gone(address, &path).await;
}

#[tokio::test]
async fn a_close_packet_releases_the_parked_poll_with_a_noop() {
    let (address, _server) = start(|builder| builder, echo).await;
    let path = joined(address).await;
    let mut poll = HttpClient::connect(address).await.unwrap();
    poll.send("GET", &path, &[], b"").await.unwrap();
    assert_eq!(post(address, &path, "1").await.text(), "ok");
    let answer = poll.answer().await.unwrap();
    assert!(
        answer.text() == "6" || answer.status == 400,
        "the close may overtake the poll: {}",
        answer.text()
    );
    assert_gone(address, &path).await;
}

#[tokio::test]
async fn invalid_posts_get_an_error_and_end_the_session() {
    let rows: [(&str, &str, &[u8], u16); 7] = [
        ("an unknown packet", "text/plain", b"abc", 400),
        ("an empty packet", "text/plain", b"4a\x1e\x1e4b", 400),
        ("bad base64", "text/plain", b"b!!!", 400),
        ("bytes that are not UTF-8", "text/plain", b"4\xff\xfe", 400),
        ("a ping from the client", "text/plain", b"2", 400),
        ("a binary body", "application/octet-stream", b"4hi", 400),
        ("too much", "text/plain", &[b'4'; 3000], 413),
    ];
    let (address, _server) = start(|builder| builder.max_payload(2000), echo).await;
    for (what, kind, body, status) in rows {
        let path = joined(address).await;
        let answer = http::request(address, "POST", &path, &[("content-type", kind)], body)
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{what}");
        assert_gone(address, &path).await;
    }
}

#[tokio::test]
async fn a_missing_pong_ends_the_session() {
    let short = Duration::from_millis(50);
    let (address, _patient) = start(
        |builder| builder.ping_interval(short).ping_timeout(PATIENCE),
        echo,
    )
    .await;
    let path = joined(address).await;
    for _ in 0..3 {
        assert_eq!(http::get(address, &path).await.unwrap().text(), "2");
        assert_eq!(post(address, &path, "3").await.status, 200);
    }

    // Without a pong: the ping, then a cut poll.
    let (address, _strict) = start(|builder| builder.ping_interval(short).ping_timeout(short), echo).await;
    let path = open_polling(address).await;
    assert_eq!(http::get(address, &path).await.unwrap().text(), "2");
    if let Ok(answer) = http::get(address, &path).await {
        assert_eq!(answer.status, 400, "the session ended before the poll");
    }
    assert_gone(address, &path).await;

    let mut socket = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
    loop {
        match socket.recv_within(PATIENCE).await.unwrap() {
            Frame::Close(_) | Frame::Eof => break,
            Frame::Text(text) => assert!(text.starts_with('0') || text == "2", "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

async fn probe(address: std::net::SocketAddr, path: &str) -> WsClient {
    let mut socket = WsClient::connect(address, &path.replace("polling", "websocket"), &[])
        .await
        .unwrap();
    socket.send_text("2probe").await.unwrap();
    socket
}

#[tokio::test]
async fn an_upgrade_loses_no_message() {
    let (address, _server) = start(|builder| builder, echo).await;
    let path = joined(address).await;
    let mut poll = HttpClient::connect(address).await.unwrap();
    poll.send("GET", &path, &[], b"").await.unwrap();
    let mut socket = probe(address, &path).await;
    assert_eq!(socket.recv().await.unwrap(), Frame::Text("3probe".into()));
    assert_eq!(
        poll.answer().await.unwrap().text(),
        "6",
        "the parked poll is released"
    );

    // Echoes of earlier POSTs arrive over the WebSocket.
    assert_eq!(post(address, &path, "42[\"echo\",\"before\"]").await.text(), "ok");
    socket.send_text("5").await.unwrap();
    socket.send_text("42[\"echo\",\"after\"]").await.unwrap();
    assert_eq!(
        socket.recv().await.unwrap(),
        Frame::Text("42[\"echo\",\"before\"]".into())
    );
    assert_eq!(
        socket.recv().await.unwrap(),
        Frame::Text("42[\"echo\",\"after\"]".into())
    );

    // Polling has ended, and a second WebSocket for the session is closed.
    assert_eq!(http::get(address, &path).await.unwrap().json()["code"], 3);
    let mut second = probe(address, &path).await;
    assert!(matches!(
        second.recv().await.unwrap(),
        Frame::Close(_) | Frame::Eof
    ));
    socket.send_text("42[\"echo\",\"still here\"]").await.unwrap();
    assert_eq!(
        socket.recv().await.unwrap(),
        Frame::Text("42[\"echo\",\"still here\"]".into())
    );
}

#[tokio::test]
async fn an_invalid_probe_leaves_the_session_polling() {
    let (address, _server) = start(|builder| builder, echo).await;
    let path = joined(address).await;
    for wrong in ["5", "4hello", "2", "x"] {
        let mut socket = WsClient::connect(address, &path.replace("polling", "websocket"), &[])
            .await
            .unwrap();
        socket.send_text(wrong).await.unwrap();
        assert!(
            matches!(socket.recv().await.unwrap(), Frame::Close(_) | Frame::Eof),
            "{wrong}"
        );
    }
    assert_eq!(post(address, &path, "42[\"echo\",1]").await.text(), "ok");
    assert_eq!(http::get(address, &path).await.unwrap().text(), "42[\"echo\",1]");
}

#[tokio::test]
async fn a_probe_times_out_and_another_may_follow() {
    let (address, _server) = start(|builder| builder.upgrade_timeout(Duration::from_millis(50)), echo).await;
    let path = joined(address).await;
    let mut socket = probe(address, &path).await;
    assert_eq!(socket.recv().await.unwrap(), Frame::Text("3probe".into()));
    assert!(matches!(
        socket.recv().await.unwrap(),
        Frame::Close(_) | Frame::Eof
    ));
    let mut socket = probe(address, &path).await;
    assert_eq!(socket.recv().await.unwrap(), Frame::Text("3probe".into()));
}

#[tokio::test]
async fn large_answers_are_compressed_if_the_client_accepts_it() {
    let (address, _server) = start(|builder| builder, echo).await;
    let path = joined(address).await;
    let text = "compressible ".repeat(500);
    for (accept, compressed) in [("gzip, deflate", true), ("identity", false)] {
        post(address, &path, &format!("42[\"echo\",\"{text}\"]")).await;
        let answer = http::request(address, "GET", &path, &[("accept-encoding", accept)], b"")
            .await
            .unwrap();
        assert_eq!(answer.header("content-encoding"), compressed.then_some("gzip"));
        let mut plain = String::new();
        if compressed {
            assert!(answer.body.len() < text.len() / 4);
            flate2::read::GzDecoder::new(answer.body.as_slice())
                .read_to_string(&mut plain)
                .unwrap();
        } else {
            plain = answer.text();
        }
        assert_eq!(plain, format!("42[\"echo\",\"{text}\"]"));
    }
}

#[tokio::test]
async fn foreign_origins_are_refused_on_both_transports() {
    let (address, _server) = start(|builder| builder.cors(["https://app.example"]), echo).await;
    let request = |origin: &'static str| async move {
        http::request(address, "GET", POLLING, &[("origin", origin)], b"")
            .await
            .unwrap()
    };
    let granted = request("https://app.example").await;
    assert_eq!(granted.status, 200);
    assert_eq!(
        granted.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    for origin in ["https://evil.example", "null", "https://app.example.evil.example"] {
        let refused = request(origin).await;
        assert_eq!(
            (refused.status, refused.json()["code"].as_u64()),
            (403, Some(4)),
            "{origin}"
        );
        let refused = WsClient::connect(address, WEBSOCKET, &[("origin", origin)]).await;
        assert!(refused.is_err(), "{origin}");
    }
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-headers", "content-type"),
    ];
    let answer = http::request(address, "OPTIONS", POLLING, &preflight, b"")
        .await
        .unwrap();
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST"));
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("content-type")
    );
}

#[tokio::test]
async fn broken_websocket_handshakes_get_a_plain_400() {
    let (address, _server) = start(|builder| builder, echo).await;
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let version = ("sec-websocket-version", "13");
    let rows: [&[(&str, &str)]; 4] = [
        &[("connection", "upgrade"), ("upgrade", "websocket"), version],
        &[
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "short"),
            version,
        ],
        &[
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            key,
            ("sec-websocket-version", "12"),
        ],
        &[
            ("connection", "keep-alive"),
            ("upgrade", "websocket"),
            key,
            version,
        ],
    ];
    for headers in rows {
        let answer = http::request(address, "GET", WEBSOCKET, headers, b"")
            .await
            .unwrap();
        assert_eq!(answer.status, 400, "{headers:?}");
    }
}

#[tokio::test]
async fn invalid_frames_close_with_their_close_code() {
    let (address, _server) = start(|builder| builder.max_payload(1000), echo).await;
    let mut too_long = vec![0x82, 0xfe, 0x10, 0x00];
    too_long.extend_from_slice(&[0; 4]);
    let rows: [(&str, &[u8], u16); 6] = [
        ("unmasked", b"\x81\x02hi", 1002),
        ("a reserved bit", b"\xc1\x80\0\0\0\0", 1002),
        ("a reserved opcode", b"\x83\x80\0\0\0\0", 1002),
        ("a fragmented ping", b"\x09\x80\0\0\0\0", 1002),
        ("text that is not UTF-8", b"\x81\x81\0\0\0\0\xff", 1007),
        ("too long", &too_long, 1009),
    ];
    for (what, bytes, code) in rows {
        let mut socket = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
        assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)));
        socket.send_raw(bytes).await.unwrap();
        assert_eq!(socket.recv_close(PATIENCE).await.unwrap(), Some(code), "{what}");
    }
}

#[tokio::test]
async fn the_path_works_with_and_without_its_trailing_slash() {
    let (address, _server) = start(|builder| builder, echo).await;
    for path in ["/socket.io/", "/socket.io"] {
        let query = "EIO=4&transport";
        let opened = http::get(address, &format!("{path}?{query}=polling"))
            .await
            .unwrap();
        assert_eq!(opened.status, 200, "{path}");
        let mut socket = WsClient::connect(address, &format!("{path}?{query}=websocket"), &[])
            .await
            .unwrap();
        assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)), "{path}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_gets_an_empty_413() {
    let (address, _server) = start(|builder| builder.max_payload(1000), echo).await;
    let path = open_polling(address).await;
    let answer = post(address, &path, &"4".repeat(1001)).await;
    assert_eq!((answer.status, answer.body.len()), (413, 0));
    assert_eq!(answer.header("content-type"), None);
}

#[tokio::test]
async fn websocket_pings_are_answered_between_messages() {
    let (address, _server) = start(|builder| builder, echo).await;
    let mut socket = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
    assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)));
    socket.send_raw(b"\x89\x82\0\0\0\0hi").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Frame::Pong(b"hi".to_vec().into()));
}

#[tokio::test]
async fn sessions_are_limited_in_total_and_per_address() {
    let (address, server) = start(|builder| builder.max_sessions_per_ip(Some(2)), echo).await;
    let first = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
    let _second = open_polling(address).await;
    assert_eq!(http::get(address, POLLING).await.unwrap().status, 429);
    first.abort();
    while server.connections() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(http::get(address, POLLING).await.unwrap().status, 200);

    let (address, _server) = start(|builder| builder.max_sessions(Some(1)), echo).await;
    let _path = open_polling(address).await;
    assert_eq!(http::get(address, POLLING).await.unwrap().status, 503);
}

#[tokio::test]
async fn base64_is_accepted_over_websocket() {
    let (address, _server) = start(|builder| builder, echo).await;
    let mut socket = WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
    assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)));
    socket.send_text("40").await.unwrap();
    assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)));
    socket
        .send_text("451-[\"echo\",{\"_placeholder\":true,\"num\":0}]")
        .await
        .unwrap();
    socket.send_text("bAQIDBA==").await.unwrap();
    assert!(matches!(socket.recv().await.unwrap(), Frame::Text(_)));
    assert_eq!(
        socket.recv().await.unwrap(),
        Frame::Binary(vec![1, 2, 3, 4].into())
    );
}

#[tokio::test]
async fn posts_wait_until_earlier_events_are_handled() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let (address, _server) = start(
        |builder| builder.inbox_events(4),
        move |server| {
            server.of("/").on("event", move |_, _| {
                let gate = gate.clone();
                async move { drop(gate.acquire().await) }
            });
        },
    )
    .await;
    let path = joined(address).await;
    let body = ["42[\"event\"]"; 8].join("\u{1e}");
    // The first is being handled, the second is in the inbox, so the third must wait.
    assert_eq!(post(address, &path, &body).await.text(), "ok");
    assert_eq!(post(address, &path, &body).await.text(), "ok");
    let third = post(address, &path, &body);
    tokio::pin!(third);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), third.as_mut())
            .await
            .is_err()
    );
    opened.add_permits(1);
    assert_eq!(third.await.text(), "ok");
}

#[tokio::test]
async fn accept_while_refuses_new_sessions_and_keeps_open_ones() {
    let (address, server) = start(|builder| builder, echo).await;
    let accepts = Arc::new(AtomicBool::new(true));
    let asked = accepts.clone();
    server.accept_while(move || asked.load(Ordering::SeqCst));
    let inside = open_polling(address).await;
    accepts.store(false, Ordering::SeqCst);
    assert_eq!(http::get(address, POLLING).await.unwrap().status, 503);
    WsClient::connect(address, WEBSOCKET, &[]).await.unwrap_err();
    assert_eq!(post(address, &inside, "40").await.text(), "ok");
    accepts.store(true, Ordering::SeqCst);
    assert_eq!(http::get(address, POLLING).await.unwrap().status, 200);
    WsClient::connect(address, WEBSOCKET, &[]).await.unwrap();
}
