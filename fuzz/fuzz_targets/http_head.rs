//! HTTP heads: any bytes on a connection to a server. It answers what it understands, never with 500, closes
//! the connection, and goes on serving others.
#![no_main]

mod server;

use libfuzzer_sys::fuzz_target;

use self::server::{exchange, request, status};

fuzz_target!(|bytes: &[u8]| {
    let answer = exchange(bytes);
    if !answer.is_empty() {
        let status = status(&answer).expect("an answer begins with a status line");
        assert_ne!(status, 500, "{}", String::from_utf8_lossy(&answer));
    }
    let alive = request(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!(status(&alive), Some(200));
});
