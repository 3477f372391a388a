//! Hooks: the app decides about messages, joins and connections before they happen.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::types::{Draft, Metadata};

/// The app's decision about messages, joins and connections before they happen. Set it as
/// [`ChatConfig::hooks`](crate::ChatConfig::hooks).
///
/// Only the client that caused a question waits for its answer, and so do its later events. Other clients
/// do not wait, since the server holds no lock meanwhile. An implementation bounds the time that an
/// answer takes, and the number of questions that it works on.
#[async_trait]
pub trait Hooks: fmt::Debug + Send + Sync + 'static {
    /// Whether to ask before an event of this kind in this room. The server calls it for each such event, so
    /// it must be cheap.
    fn concerns(&self, event: HookEvent, room: Option<&str>) -> bool;

    /// Decides about one event. The server drops the future if the caller of
    /// [`ChatServer::post`](crate::ChatServer::post) drops its own.
    async fn ask(&self, question: Question<'_>) -> Verdict;

    /// The state of each hook, for operators.
    fn states(&self) -> Vec<HookState> {
        Vec::new()
    }
}

/// The state of one hook on one node. Counts are since the start of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookState {
    /// Its name.
    pub name: String,
    /// The event that it decides about.
    pub event: HookEvent,
    /// The patterns of its rooms; empty for all rooms.
    pub rooms: Vec<String>,
    /// Whether events go through when the hook gave no decision.
    pub allows_on_failure: bool,
    /// Whether its endpoint is asked.
    pub circuit: HookCircuit,
    /// Questions that wait for an answer now.
    pub in_flight: u64,
    /// Answers by action: `allow`, `refuse`, `replace`.
    pub answers: BTreeMap<String, u64>,
    /// Questions without an answer, by cause.
    pub failures: BTreeMap<String, u64>,
    /// The latest failure.
    pub last_error: Option<HookError>,
}

/// Whether the endpoint of a hook is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookCircuit {
    /// It is.
    Closed,
    /// It is not, after failures in a row.
    Open,
    /// One question probes whether it answers again.
    HalfOpen,
}

/// A failure of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookError {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// The cause, as in the metrics.
    pub cause: String,
    /// One line, without URLs and secrets.
    pub text: String,
}

/// An event that hooks decide about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HookEvent {
    /// A message or an edit, from a client or from [`ChatServer::post`](crate::ChatServer::post).
    #[serde(rename = "message.send")]
    Send,
    /// A `chat:join` that makes its user a member.
    #[serde(rename = "room.join")]
    Join,
    /// A new connection with a valid token.
    #[serde(rename = "connect")]
    Connect,
}

impl HookEvent {
    /// Every event.
    pub const ALL: [Self; 3] = [Self::Send, Self::Join, Self::Connect];

    /// The name in settings and requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "message.send",
            Self::Join => "room.join",
            Self::Connect => "connect",
        }
    }

    /// The event of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// The event that needs a decision. Serialises to `{event, user, room?, message?, claims?}`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Question<'a> {
    /// The kind of event.
    pub event: HookEvent,
    /// The user who causes it.
    pub user: &'a str,
    /// The room of a message or a join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<&'a str>,
    /// The message or edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<QuestionedMessage<'a>>,
    /// All claims of the token of a new connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<&'a RawValue>,
}

/// A message or an edit that is about to be stored.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuestionedMessage<'a> {
    /// The seq of the message that an edit changes; `None` for a new message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The text.
    pub text: &'a str,
    /// The sender's id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<&'a str>,
    /// The seq of the message that it replies to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// The ids of the mentioned users.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub mentions: &'a [String],
    /// The app's own fields. An edit has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'a Metadata>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It happens.
    Allow,
    /// The message is stored with these parts replaced. Only for messages and edits.
    Replace(Replacement),
    /// It does not happen. The client gets the error `refused` with this reason.
    Refuse(String),
    /// Nobody could decide, so it does not happen. The client gets a retryable `refused`.
    Undecided,
    /// There are too many questions, so it does not happen. The client gets `unavailable`.
    Busy,
}

/// Parts of a message that replace those of its author.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replacement {
    /// The text; `None` keeps the author's.
    pub text: Option<String>,
    /// The metadata: `None` keeps the author's, `Some(None)` removes them. Edits never change metadata.
    pub metadata: Option<Option<Metadata>>,
}

impl Replacement {
    /// Replaces the parts of a message.
    pub(crate) fn apply(self, draft: &mut Draft) {
        if let Some(text) = self.text {
            draft.text = text;
        }
        if let Some(metadata) = self.metadata {
            draft.metadata = metadata;
        }
    }
}
