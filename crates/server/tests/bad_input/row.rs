//! A row of the table: the input, the state of the connection, and the expected outcome.

use std::time::Duration;

use roomful_testkit::session::{End, Incoming, Session};
use roomful_testkit::ws::{Frame, WsClient};
use roomful_testkit::{Error, ServerProcess, SioClient, http, token};
use serde_json::{Value, json};

/// Far below the heartbeat's period, so the row itself has ended a connection that ends within this time.
const SOON: Duration = Duration::from_secs(8);

/// The state of the connection when the row starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A TCP connection.
    Http,
    /// A WebSocket with an Engine.IO session, outside of any namespace.
    Opened,
    /// Authenticated in `/`, a member of no room.
    Connected,
}

/// The input and the expected outcome.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends raw bytes on a WebSocket. The server closes with this code.
    Bytes(Stage, Vec<u8>, u16),
    /// Sends WebSocket texts (binary frames where they start with `\0`). The connection ends in any way.
    Texts(Stage, Vec<String>),
    /// Sends texts when connected. The ack with id 0 carries an error with this code, and the connection
    /// stays open.
    Answered(Vec<String>, &'static str),
    /// Sends an HTTP request. The response has this status.
    Request(Vec<u8>, u16),
    /// Sends a polling POST with this body in a new session. The session ends.
    PollingBody(Vec<u8>),
    /// Sends CONNECT with this `auth`. The server answers `connect_error` with this code.
    Auth(Value, &'static str),
    /// Sends events that must succeed, then an event with these arguments, which fails with this code.
    Event(Vec<(&'static str, Value)>, &'static str, Vec<Value>, &'static str),
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
}

impl Row {
    pub(crate) fn closes(&self) -> bool {
        matches!(self.act, Act::Bytes(..) | Act::Texts(..) | Act::PollingBody(..))
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.act {
            Act::Bytes(stage, ..) | Act::Texts(stage, ..) => stage,
            Act::Request(..) | Act::PollingBody(..) => Stage::Http,
            Act::Auth(..) => Stage::Opened,
            Act::Event(..) | Act::Answered(..) => Stage::Connected,
        }
    }

    /// Runs the row on a new connection. The error describes the difference from the expected outcome.
    pub(crate) async fn play(&self, server: &ServerProcess) -> Result<(), String> {
        let describe = |error: Error| error.to_string();
        match &self.act {
            Act::Bytes(stage, bytes, code) => {
                let mut ws = session(server, *stage).await.map_err(describe)?.into_ws();
                // The server may close before it has read all bytes, so the outcome is on the reading side.
                let _ = ws.send_raw(bytes).await;
                let seen = close_code(&mut ws).await.map_err(describe)?;
                expect("a close frame with", &Some(*code), &seen)
            }
            Act::Texts(stage, texts) => {
                let mut session = session(server, *stage).await.map_err(describe)?;
                send(&mut session, texts).await;
                ended(&mut session).await
            }
            Act::Answered(texts, code) => {
                let mut session = session(server, Stage::Connected).await.map_err(describe)?;
                send(&mut session, texts).await;
                let ack = answer(&mut session).await?;
                check_error(&ack["error"])?;
                expect("an error with code", &json!(code), &ack["error"]["code"])
            }
            Act::Request(bytes, status) => {
                let mut client = http::HttpClient::connect(server.addr()).await.map_err(describe)?;
                let _ = client.send_raw(bytes).await;
                expect("HTTP", status, &client.answer().await.map_err(describe)?.status)
            }
            Act::PollingBody(body) => polling_ends(server, body).await,
            Act::Auth(auth, code) => match Session::connect(server.addr(), "/", auth).await {
                Err(Error::ConnectRefused(refusal)) => {
                    check_error(&refusal["data"])?;
                    expect("connect_error", &json!(code), &refusal["data"]["code"])
                }
                Ok(_) => Err("was let in".into()),
                Err(other) => Err(other.to_string()),
            },
            Act::Event(before, event, args, code) => {
                let auth = json!({ "token": token::for_user(server.secret(), "eve") });
                let client = SioClient::connect(server.addr(), "/", &auth)
                    .await
                    .map_err(describe)?;
                for (event, argument) in before {
                    let ack = client.call(event, argument).await.map_err(describe)?;
                    expect(event, &json!(true), &ack["ok"])?;
                }
                let ack = client.call_with(event, args, SOON).await.map_err(describe)?;
                expect("an ack with ok", &json!(false), &ack["ok"])?;
                check_error(&ack["error"])?;
                expect("an error with code", &json!(code), &ack["error"]["code"])?;
                // The sender's connection stays usable: an error is an answer, not an end.
                let ack = client
                    .call("chat:join", &json!("a-good-room"))
                    .await
                    .map_err(describe)?;
                expect("the next event's ok", &json!(true), &ack["ok"])
            }
        }
    }
}

async fn session(server: &ServerProcess, stage: Stage) -> Result<Session, Error> {
    if stage == Stage::Connected {
        let auth = json!({ "token": token::for_user(server.secret(), "mallory") });
        return Ok(Session::connect(server.addr(), "/", &auth).await?.0);
    }
    Ok(Session::open(server.addr()).await?.0)
}

/// Sends texts. The server may close before it has read all of them, so the outcome is on the reading side.
async fn send(session: &mut Session, texts: &[String]) {
    for text in texts {
        let _ = match text.strip_prefix('\0') {
            Some(binary) => session.ws().send_binary(binary.as_bytes()).await,
            None => session.send(text).await,
        };
    }
}

/// The first argument of the ack with id 0.
async fn answer(session: &mut Session) -> Result<Value, String> {
    loop {
        match session
            .next_within(SOON, "an ack")
            .await
            .map_err(|error| error.to_string())?
        {
            Incoming::Packet(packet) if packet.id == Some(0) => return Ok(packet.data[0].clone()),
            Incoming::Packet(_) => {}
            Incoming::Ended(end) => return Err(format!("the connection ended: {end:?}")),
        }
    }
}

async fn close_code(ws: &mut WsClient) -> Result<Option<u16>, Error> {
    loop {
        match ws.recv_within(SOON).await? {
            Frame::Close(code) => return Ok(code),
            Frame::Eof => {
                return Err(Error::Closed {
                    reason: "end of stream".into(),
                    what: "a close frame".into(),
                });
            }
            _ => {}
        }
    }
}

async fn ended(session: &mut Session) -> Result<(), String> {
    let wait = async {
        loop {
            match session.next().await {
                // After a DISCONNECT packet the stock client never reconnects, which is only right for a ban.
                Incoming::Ended(End::Disconnected) => return Err("ended with DISCONNECT".to_owned()),
                Incoming::Ended(End::Failed(why)) => return Err(why),
                Incoming::Ended(_) => return Ok(()),
                Incoming::Packet(_) => {}
            }
        }
    };
    tokio::time::timeout(SOON, wait)
        .await
        .unwrap_or_else(|_| Err("the connection lives on".into()))
}

async fn polling_ends(server: &ServerProcess, body: &[u8]) -> Result<(), String> {
    let describe = |error: Error| error.to_string();
    let path = "/socket.io/?EIO=4&transport=polling";
    let open = http::get(server.addr(), path).await.map_err(describe)?.text();
    let handshake: Value = serde_json::from_str(open.get(1..).unwrap_or_default()).unwrap_or_default();
    let path = format!("{path}&sid={}", handshake["sid"].as_str().unwrap_or_default());
    let headers = [("content-type", "text/plain")];
    // Whatever the response to the POST, the session must be gone, at the latest after its last poll.
    let _ = http::request(server.addr(), "POST", &path, &headers, body).await;
    for _ in 0..3 {
        if http::get(server.addr(), &path).await.map_err(describe)?.status == 400 {
            return Ok(());
        }
    }
    Err("the session lives on".into())
}

/// Checks that an error has a message for people and says whether to retry.
fn check_error(error: &Value) -> Result<(), String> {
    if error["message"].as_str().is_some_and(|text| !text.is_empty()) && error["retryable"].is_boolean() {
        return Ok(());
    }
    Err(format!("not an error object: {error}"))
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, wanted: &T, seen: &T) -> Result<(), String> {
    if wanted == seen {
        Ok(())
    } else {
        Err(format!("expected {what} {wanted:?}, got {seen:?}"))
    }
}
