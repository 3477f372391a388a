//! `rust_socketio` as a program of the client matrix (see ../../README.md).

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Duration;

use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{Value, json};

fn print(line: &Value) {
    let mut out = stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .expect("standard output is open");
}

fn first(payload: Payload) -> Value {
    match payload {
        Payload::Text(values) => values.into_iter().next().unwrap_or(Value::Null),
        #[allow(deprecated)]
        Payload::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Payload::Binary(bytes) => json!(bytes.len()),
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, transport] = &args[..] else {
        panic!("usage: URL TOKEN TRANSPORT")
    };
    let transport = match transport.as_str() {
        "websocket" => TransportType::Websocket,
        "polling" => TransportType::Polling,
        _ => TransportType::Any,
    };
    let client = ClientBuilder::new(url)
        .transport_type(transport)
        .auth(json!({ "token": token }))
        .reconnect(true)
        .reconnect_on_disconnect(true)
        .reconnect_delay(100, 1_000)
        .on(Event::Connect, |_, _| {
            print(&json!({ "kind": "connect", "recovered": false }))
        })
        .on(Event::Close, |payload, _| {
            print(&json!({ "kind": "disconnect", "reason": first(payload) }))
        })
        // The library reports network errors, which it retries, the same way.
        .on(Event::Error, |payload, _| {
            print(&json!({ "kind": "refused", "data": first(payload) }))
        })
        .on_any(|event, payload, _| {
            if let Event::Custom(name) = event {
                print(&json!({ "kind": "event", "name": name, "data": first(payload) }));
            }
        })
        .connect();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            print(&json!({ "kind": "refused", "data": error.to_string() }));
            return;
        }
    };
    for line in stdin().lock().lines() {
        let line = line.expect("standard input is readable");
        let command: Value = serde_json::from_str(&line).expect("a command is JSON");
        let id = command["id"].clone();
        let name = command["event"].as_str().expect("a command names its event");
        let answered = move |payload: Payload, _| {
            // The library wraps the arguments of an ack in one more array.
            let mut data = first(payload);
            if let Some(inner) = data.as_array().and_then(|list| list.first()) {
                data = inner.clone();
            }
            print(&json!({ "kind": "ack", "id": id, "data": data }));
        };
        // A send during a reconnect fails; the test repeats the command.
        let _ = client.emit_with_ack(
            name,
            command["payload"].clone(),
            Duration::from_secs(10),
            answered,
        );
    }
    std::process::exit(0);
}
