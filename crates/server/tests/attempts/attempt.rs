//! One row of the table: what somebody attempts, and the answer that they must get.

use std::time::Duration;

use roomful_testkit::{
    Error, SioClient,
    http::{self, Answer, HttpClient},
};
use serde_json::{Value, json};

use crate::{receiver::Mood, world::World};

/// The time in which a connection that no one serves must end.
const SOON: Duration = Duration::from_secs(8);

/// The credentials of an API call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    /// The key with all scopes.
    Full,
    /// `Bearer` and this text.
    Bearer(&'static str),
    /// Exactly this header.
    Header(&'static str),
    /// No header.
    None,
}

/// The attempt, in words.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// A connected user emits an event. The outcome is `ok`, or the code in the ack.
    Emit(&'static str, &'static str, Value),
    /// A user sends a message to the room `hooked` while its hook answers like this. Same outcome.
    Hooked(Mood),
    /// A client connects with this token. The outcome is `ok`, or the code of the `connect_error`.
    Connect(String),
    /// A call of the API, relative to `/api/v1`. The outcome is the status, then the code of the error, or
    /// `empty` after a success without content.
    Call(Key, &'static str, String, Value),
    /// The head of an HTTP request without its `Host`. The outcome is the status.
    Raw(&'static str),
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) expected: &'static str,
}

/// A row in which a connected user emits an event.
pub(crate) fn emit(
    name: &'static str,
    user: &'static str,
    event: &'static str,
    argument: Value,
    expected: &'static str,
) -> Attempt {
    let act = Act::Emit(user, event, argument);
    Attempt { name, act, expected }
}

/// A row in which a client connects with a token.
pub(crate) fn connect(name: &'static str, token: String, expected: &'static str) -> Attempt {
    let act = Act::Connect(token);
    Attempt { name, act, expected }
}

/// A row with a call by the key with all scopes. `call` is the method and the path.
pub(crate) fn call(name: &'static str, call: &str, body: Value, expected: &'static str) -> Attempt {
    call_with(name, Key::Full, call, body, expected)
}

/// A row with a call by another key.
pub(crate) fn call_with(
    name: &'static str,
    key: Key,
    call: &str,
    body: Value,
    expected: &'static str,
) -> Attempt {
    let (method, path) = call.split_once(' ').unwrap();
    let method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        .into_iter()
        .find(|known| *known == method);
    let act = Act::Call(key, method.unwrap(), path.to_owned(), body);
    Attempt { name, act, expected }
}

/// A row with the head of an HTTP request.
pub(crate) fn raw(name: &'static str, head: &'static str, expected: &'static str) -> Attempt {
    let act = Act::Raw(head);
    Attempt { name, act, expected }
}

impl Attempt {
    /// Plays the row. The error describes the unexpected result.
    pub(crate) async fn play(&self, world: &World) -> Result<(), String> {
        let outcome = self.act.outcome(world).await?;
        if outcome == self.expected {
            return Ok(());
        }
        Err(format!("expected {:?}, got {outcome:?}", self.expected))
    }

    /// Whether an event or a token of a client is refused.
    pub(crate) fn is_refused_client(&self) -> bool {
        self.expected != "ok" && !matches!(self.act, Act::Call(..) | Act::Raw(_))
    }

    /// Whether a call of the API is refused.
    pub(crate) fn is_refused_call(&self) -> bool {
        self.expected.starts_with('4') && matches!(self.act, Act::Call(..))
    }

    /// Whether a connected user emits an event.
    pub(crate) fn emits(&self) -> bool {
        matches!(self.act, Act::Emit(..))
    }
}

impl Act {
    async fn outcome(&self, world: &World) -> Result<String, String> {
        let describe = |error: Error| error.to_string();
        match self {
            Act::Emit(user, event, argument) => {
                let ack = world
                    .person(user)
                    .call_with(event, std::slice::from_ref(argument), SOON);
                code_of(&ack.await.map_err(describe)?)
            }
            Act::Hooked(mood) => {
                world.receiver.set(*mood);
                let message = json!({ "room": "hooked", "text": "hello" });
                let ack = world.person("ann").call("chat:send_message", &message).await;
                code_of(&ack.map_err(describe)?)
            }
            Act::Connect(token) => {
                let auth = json!({ "token": token });
                match SioClient::connect(world.server.addr(), "/", &auth).await {
                    Ok(_) => Ok("ok".to_owned()),
                    Err(Error::ConnectRefused(refusal)) => code(&refusal["data"]),
                    Err(other) => Err(other.to_string()),
                }
            }
            Act::Call(key, method, path, body) => {
                let answer = world.call_with(*key, method, path, body).await;
                Ok(summary(&answer.map_err(describe)?))
            }
            Act::Raw(head) => {
                let mut client = HttpClient::connect(world.server.addr()).await.map_err(describe)?;
                let request = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n");
                client.send_raw(request.as_bytes()).await.map_err(describe)?;
                Ok(client.answer().await.map_err(describe)?.status.to_string())
            }
        }
    }
}

/// The outcome of an event.
fn code_of(ack: &Value) -> Result<String, String> {
    if ack["ok"] == true {
        return Ok("ok".to_owned());
    }
    code(&ack["error"])
}

/// The code of an error, which must have a message and say whether to retry.
fn code(error: &Value) -> Result<String, String> {
    let code = error["code"].as_str();
    let explained = error["message"].as_str().is_some_and(|text| !text.is_empty());
    match code {
        Some(code) if explained && error["retryable"].is_boolean() => Ok(code.to_owned()),
        _ => Err(format!("not an error object: {error}")),
    }
}

/// The outcome of a call.
fn summary(answer: &Answer) -> String {
    let status = answer.status;
    let body = answer.json();
    if let Some(code) = body["error"]["code"].as_str() {
        return format!("{status} {code}");
    }
    let lists = body.as_object().into_iter().flat_map(|body| body.values());
    let is_empty = answer.body.is_empty() || lists.into_iter().any(|value| *value == json!([]));
    if is_empty {
        format!("{status} empty")
    } else {
        status.to_string()
    }
}

/// The sum of a metric over the labels that contain `label`.
pub(crate) async fn metric(world: &World, name: &str, label: &str) -> u64 {
    let text = http::get(world.server.addr(), "/metrics").await.unwrap().text();
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
    });
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}
