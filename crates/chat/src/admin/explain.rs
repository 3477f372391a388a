//! The backend call that explains the delivery of a message to one user.

use roomful_store::{Entry, EntryKind, Member, Record, RecordState, RoomId, Sanction, SanctionKind};

use super::{Connection, ConnectionFilter, ConnectionPage, existing, user_id};
use crate::{app::App, error::ChatError, events::webhook, server::ChatServer, types::UserId};

const NO_MESSAGE: ChatError =
    ChatError::NotFound("the room has no message of this seq; it may be older than its history");
/// The most connections and records in an explanation.
const MOST: u32 = 100;

/// The delivery of a message to one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The message.
    pub message: ExplainedMessage,
    /// The user's membership; `None` without one.
    pub member: Option<Member>,
    /// The user is banned, in the room or everywhere.
    pub banned: bool,
    /// The user is muted, in the room or everywhere.
    pub muted: bool,
    /// The user's connections to all nodes.
    pub connections: Vec<Connection>,
    /// The nodes that have not said in time which connections the user has there.
    pub missing_nodes: Vec<String>,
    /// When the user was last online; `None` if never.
    pub last_seen: Option<i64>,
    /// The records of webhooks and streams about the message that the outbox still keeps.
    pub records: Vec<Record>,
    /// The conclusions, as sentences for people.
    pub findings: Vec<String>,
}

/// The message that an [`Explanation`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedMessage {
    /// The author's id.
    pub author: String,
    /// When it was committed, in milliseconds since 1970.
    pub committed_at: i64,
    /// When it was last edited.
    pub edited_at: Option<i64>,
    /// Whether it is deleted.
    pub deleted: bool,
}

impl ChatServer {
    /// Explains the delivery of the message `seq` of a room to a user: marks, connections, sanctions, and the
    /// records of webhooks.
    ///
    /// # Errors
    /// `not_found` if the room or the message does not exist, `invalid_request` for an invalid id.
    pub async fn explain(&self, user: &str, room: &str, seq: u64) -> Result<Explanation, ChatError> {
        let app = &self.app;
        let user = user_id(user)?;
        let room = existing(app, room).await?;
        let entry = app.store.entry(room.id, seq).await?;
        let entry = entry
            .filter(|entry| entry.kind == EntryKind::Message)
            .ok_or(NO_MESSAGE)?;
        let sanctions = app
            .store
            .sanctions_of(Some(room.id), &user, app.clock.now_ms())
            .await?;
        let is = |kind| sanctions.iter().any(|sanction: &Sanction| sanction.kind == kind);
        let filter = ConnectionFilter {
            user: Some(user.to_string()),
            ..ConnectionFilter::default()
        };
        let ConnectionPage {
            connections,
            missing_nodes,
        } = self.connections(&filter, None, MOST as usize).await?;
        let mut explanation = Explanation {
            member: app.store.member(room.id, &user).await?,
            banned: is(SanctionKind::Ban),
            muted: is(SanctionKind::Mute),
            connections,
            missing_nodes,
            last_seen: last_seen(app, &user).await?,
            records: records(app, room.id, seq).await?,
            message: entry.into(),
            findings: Vec::new(),
        };
        explanation.findings = findings(&explanation, &user, seq);
        Ok(explanation)
    }
}

async fn last_seen(app: &App, user: &UserId) -> Result<Option<i64>, ChatError> {
    let states = app.presence.states(vec![user.to_string()], Some(user)).await?;
    Ok(states.first().and_then(|state| state.last_seen))
}

async fn records(app: &App, room: RoomId, seq: u64) -> Result<Vec<Record>, ChatError> {
    match app.store.outbox() {
        Some(outbox) => Ok(outbox.records_of(room, seq, MOST).await?),
        None => Ok(Vec::new()),
    }
}

impl From<Entry> for ExplainedMessage {
    fn from(entry: Entry) -> Self {
        Self {
            author: entry.user_id,
            committed_at: entry.at,
            edited_at: entry.state.edit.map(|edit| edit.at),
            deleted: entry.state.deleted,
        }
    }
}

impl Explanation {
    /// Whether a device of the user has acknowledged the message.
    pub fn is_delivered(&self, seq: u64) -> bool {
        self.member
            .as_ref()
            .is_some_and(|member| member.delivered_seq >= seq)
    }

    /// Whether the user has read the message.
    pub fn is_read(&self, seq: u64) -> bool {
        self.member.as_ref().is_some_and(|member| member.read_seq >= seq)
    }
}

/// The conclusions: first whether the user has the message, then why not.
fn findings(explained: &Explanation, user: &str, seq: u64) -> Vec<String> {
    let mut findings = Vec::new();
    let mut add = |finding: &str| findings.push(finding.to_owned());
    if explained.message.deleted {
        add("The message is deleted, so clients show no text.");
    }
    match &explained.member {
        _ if explained.message.author == user => add("The user wrote the message."),
        None if explained.banned => add("The user is banned, so they are no member and cannot see it."),
        None => add("The user is no member of the room, so the server does not send them the message."),
        Some(_) if explained.is_read(seq) => add("The user has read the message."),
        Some(_) if explained.is_delivered(seq) => {
            add("A device of the user has received the message; the user has not read it.");
        }
        Some(member) => {
            if member.joined_at > explained.message.committed_at {
                add("The user joined after the message: it is in the history, and no device was notified.");
            }
            add(absence_reason(explained));
            add(connected_then(explained));
        }
    }
    for record in &explained.records {
        findings.extend(failed(record));
    }
    findings
}

/// Why no device of a member has acknowledged the message.
fn absence_reason(explained: &Explanation) -> &'static str {
    let connected = &explained.connections;
    if connected.is_empty() && explained.missing_nodes.is_empty() {
        return "No device is connected. The message waits for the next join or sync.";
    }
    if connected.is_empty() {
        return "No device is known to be connected, but some nodes did not answer. Ask again.";
    }
    if connected.iter().any(|connection| connection.queued_bytes > 0) {
        return "A device is connected and reads slowly: bytes wait for it.";
    }
    "A device is connected, and has not acknowledged the message. Check that the app sends \
     chat:message_read or chat:message_delivered."
}

/// The known devices at the time of the message. The server keeps no list of past connections.
fn connected_then(explained: &Explanation) -> &'static str {
    let committed_at = explained.message.committed_at;
    if explained
        .connections
        .iter()
        .any(|connection| connection.was_open_at(committed_at))
    {
        return "A device that is connected now was connected when the message was sent.";
    }
    match explained.last_seen {
        None => "The user has never been online.",
        Some(seen) if seen < committed_at => "The user was last seen before the message.",
        Some(_) => {
            "No device that is connected now was connected when the message was sent. Whether another one \
             was is not known: the server keeps no list of past connections."
        }
    }
}

fn failed(record: &Record) -> Option<String> {
    let (name, sink) = (webhook::type_name(record.kind), &record.sink);
    let why = record.last_error.as_deref().unwrap_or("no error was noted");
    match record.state {
        RecordState::Dead => Some(format!("The event {name} did not reach {sink}: {why}.")),
        RecordState::Pending if record.attempts > 0 => Some(format!(
            "The event {name} has not reached {sink} in {} attempts: {why}.",
            record.attempts
        )),
        RecordState::Pending | RecordState::Delivered => None,
    }
}
