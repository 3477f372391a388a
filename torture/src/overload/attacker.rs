//! The hostile side of an overload run, in a process of its own.
//!
//! It prepares its data, prints [`READY`], waits for a line on its input, and attacks until it is killed.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use roomful_testkit::http::{self, HttpClient};
use roomful_testkit::{WsClient, token};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::attack::Attack;
use super::flood::{Flood, PAUSE, WEBSOCKET};
use super::unread::ROOMS;
use crate::error::TortureError;

/// The line that says that an attacker is prepared.
pub(super) const READY: &str = "prepared";

/// The connections of one hostile user: as many as the server allows.
const CONNECTIONS: usize = 50;
const ABSENT: usize = 900;
const UNFINISHED: usize = 2_600;
const UNFINISHED_BYTES: usize = 14 * 1024;
const IDLE: usize = 1_100;
const API_CALLERS: usize = 16;
/// Packets in one burst of a flood.
const BURST: usize = 64;
pub(super) const USER: &str = "mallory";

/// The server to attack, and what the attacker knows of it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its address.
    pub addr: SocketAddr,
    /// The secret of tokens, to prepare the data and to log one hostile user in.
    pub secret: String,
    /// The key of the HTTP API, to prepare the data only.
    pub api_key: String,
}

/// Prepares the attack, waits for a line on standard input, and attacks until the process is killed.
///
/// # Errors
/// If the preparation fails.
pub async fn attack(kind: Attack, target: Target) -> Result<(), TortureError> {
    prepare(kind, &target).await?;
    let _ = writeln!(std::io::stdout(), "{READY}");
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    let mut tasks = JoinSet::new();
    for n in 0..count(kind) {
        let target = target.clone();
        match kind {
            Attack::UnfinishedBytes => drop(tasks.spawn(hold_unfinished(target))),
            Attack::IdleHttp => drop(tasks.spawn(hold_http(target, n))),
            Attack::RefusedApi => drop(tasks.spawn(call_api(target, n))),
            _ => drop(tasks.spawn(flood(kind, &target, n).run())),
        }
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

fn count(kind: Attack) -> usize {
    match kind {
        Attack::UnfinishedBytes => UNFINISHED,
        Attack::IdleHttp => IDLE,
        Attack::RefusedApi => API_CALLERS,
        _ => CONNECTIONS,
    }
}

fn flood(kind: Attack, target: &Target, n: usize) -> Flood {
    let token = token::for_user(&target.secret, USER);
    let login = format!("40{}", json!({ "token": token }));
    let event = |id: usize, name: &str, argument: &Value| format!("42{id}{}", json!([name, argument]));
    let packets = match kind {
        Attack::Inbox => vec![event(1, "chat:inbox", &json!({ "limit": 100 })); BURST],
        Attack::Sync => {
            let room = |n| json!({ "room": room(n), "since": 0, "epoch": "00000000" });
            let rooms: Vec<_> = (0..ROOMS).map(room).collect();
            vec![event(1, "chat:sync", &json!({ "rooms": rooms })); BURST / 8]
        }
        Attack::Joins => {
            let both = |n: usize| {
                let room = json!({ "room": room(n % ROOMS) });
                [event(1, "chat:join", &room), event(2, "chat:leave", &room)]
            };
            (n..n + BURST / 2).flat_map(both).collect()
        }
        Attack::ExpensiveEvents => {
            let users: Vec<_> = (0..200).map(|user| format!("user-{n}-{user}")).collect();
            let subscribe = event(1, "presence:subscribe", &json!({ "users": users }));
            let message = json!({ "room": room(0), "text": "x".repeat(16 * 1024) });
            let join = event(3, "chat:join", &json!({ "room": room(0) }));
            let mut packets = vec![join];
            packets.extend(vec![subscribe; BURST / 8]);
            packets.extend(vec![event(2, "chat:send_message", &message); BURST / 8]);
            packets
        }
        Attack::AbsentMembers => {
            let message = json!({ "room": "absent", "text": "to nobody" });
            let join = event(3, "chat:join", &json!({ "room": "absent" }));
            let mut packets = vec![join];
            packets.extend(vec![event(2, "chat:send_message", &message); BURST]);
            packets
        }
        Attack::RefusedEvents => vec![event(1, "chat:nonsense", &json!("x".repeat(88 * 1024))); 4],
        // A stranger's.
        _ => vec!["40{\"token\":\"invalid\"}".to_owned(); BURST],
    };
    Flood {
        target: target.addr,
        login: (kind != Attack::RefusedConnects).then_some(login),
        packets,
    }
}

/// The name of a room of the hostile user.
pub(super) fn room(n: usize) -> String {
    format!("target-{n}")
}

async fn prepare(kind: Attack, target: &Target) -> Result<(), TortureError> {
    if kind != Attack::AbsentMembers {
        return Ok(());
    }
    let absent = (0..ABSENT).map(|n| format!("absent-{n}"));
    let members: Vec<_> = absent.chain([USER.to_owned()]).collect();
    let room = json!({ "kind": "private", "members": members });
    api(target, "PUT", "/api/v1/rooms/absent", &room).await
}

async fn api(target: &Target, method: &str, path: &str, body: &Value) -> Result<(), TortureError> {
    let key = format!("Bearer {}", target.api_key);
    let headers = [
        ("authorization", key.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = http::request(target.addr, method, path, &headers, body.to_string().as_bytes()).await?;
    if answer.status < 300 {
        return Ok(());
    }
    Err(TortureError::Nonsense {
        what: "a call that prepares the attack",
        answer: json!({ "path": path, "status": answer.status, "body": answer.json() }),
    })
}

/// Holds one connection with an unfinished message, and opens the next when the server closes it.
async fn hold_unfinished(target: Target) {
    loop {
        if let Ok(mut socket) = WsClient::connect(target.addr, WEBSOCKET, &[]).await {
            // A masked text frame of 65,535 bytes, of which the first part arrives.
            let mut frame = vec![0x81, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0];
            frame.resize(frame.len() + UNFINISHED_BYTES, b'x');
            let _ = socket.send_raw(&frame).await;
            while let Ok(frame) = socket.recv().await {
                if matches!(
                    frame,
                    roomful_testkit::ws::Frame::Eof | roomful_testkit::ws::Frame::Close(_)
                ) {
                    break;
                }
            }
        }
        sleep(PAUSE).await;
    }
}

/// Holds one HTTP connection: every second one sends nothing, the others ask and never read.
async fn hold_http(target: Target, n: usize) {
    loop {
        if let Ok(mut client) = HttpClient::connect(target.addr).await {
            if n.is_multiple_of(2) {
                for _ in 0..BURST {
                    if client.send("GET", "/api/openapi.json", &[], &[]).await.is_err() {
                        break;
                    }
                }
            }
            sleep(Duration::from_secs(5)).await;
        }
        sleep(PAUSE).await;
    }
}

/// Calls the API with a wrong key and a path of 8 KB, as fast as it is refused.
async fn call_api(target: Target, n: usize) {
    let path = format!("/api/v1/rooms/{}", "x".repeat(7_900));
    let key = format!("Bearer a-wrong-key-of-caller-{n}");
    let headers = [("authorization", key.as_str())];
    loop {
        if let Ok(mut client) = HttpClient::connect(target.addr).await {
            while client.request("GET", &path, &headers, &[]).await.is_ok() {}
        }
        sleep(PAUSE).await;
    }
}
