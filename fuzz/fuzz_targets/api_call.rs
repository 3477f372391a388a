//! Calls of the HTTP API: the first byte picks the call, the bytes up to a line break are the query, the rest
//! is the body. The server never answers with 500, and its errors have a code.
#![no_main]

mod server;

use std::{fmt::Write as _, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

use self::server::{API_KEY, request, status};

/// Every call: its method, and its path with names in place of its parameters.
static CALLS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let document: Value =
        serde_json::from_str(include_str!("../../docs/openapi.json")).expect("the description of the API");
    let paths = document["paths"].as_object().expect("paths");
    let calls = paths.iter().flat_map(|(path, methods)| {
        let path = path
            .replace("{room}", "lobby")
            .replace("{user}", "ann")
            .replace("{blocked}", "bob")
            .replace("{id}", "1");
        let methods = methods.as_object().expect("methods");
        methods
            .keys()
            .map(move |method| (method.to_uppercase(), path.clone()))
    });
    calls.collect()
});

/// The bytes as a part of a URL. Those that a URL cannot have are escaped.
fn query(bytes: &[u8]) -> String {
    let mut query = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"%&=+,-._~:@/?".contains(byte) {
            query.push(char::from(*byte));
        } else {
            let _ = write!(query, "%{byte:02x}");
        }
    }
    query
}

/// Checks the body of an error, which tells programs its code.
fn check_error(answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(head.to_ascii_lowercase().contains("application/json"), "{text}");
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(body["error"]["code"].is_string(), "{text}");
}

fuzz_target!(|input: &[u8]| {
    let Some((call, rest)) = input.split_first() else {
        return;
    };
    let (method, path) = &CALLS[usize::from(*call) % CALLS.len()];
    let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let (asked, body) = rest.split_at(at);
    let query = query(&asked[..asked.len().min(4096)]);
    let head = format!(
        "{method} {path}?{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: Bearer {API_KEY}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = request(&[head.as_bytes(), body].concat());
    let status = status(&answer).expect("an answer");
    assert_ne!(
        status,
        500,
        "{method} {path}?{query}: {}",
        String::from_utf8_lossy(&answer)
    );
    if status >= 400 {
        check_error(&answer);
    }
});
