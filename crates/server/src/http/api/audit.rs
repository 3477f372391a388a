//! The audit log: middleware that records every changing call, and the call that lists the records.
//!
//! A call is recorded right after it, before its answer goes out, also if the client is gone by then. Posts
//! of messages and notifications are frequent: up to [`POSTS_IN_FLIGHT`] answers do not wait for their
//! record.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, RequestExt as _,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode};
use roomful_chat::ChatServer;
use roomful_store::{AuditEntry, AuditPage, AuditRecord};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    body::{Name, Path, Query},
    page::page_limit,
    problems::Problems,
};
use crate::scope::Caller;

/// Posts that the server answers before their record is written.
const POSTS_IN_FLIGHT: usize = 256;

/// The routes of posts.
const POSTS: [&str; 2] = ["/rooms/{room}/messages", "/notifications"];

/// The call after which no record may name the user.
const ERASURE: &str = "DELETE /users/{user}";

/// What a call changed. A handler adds it to its response, for the record.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    /// The user concerned, if it is not the one in the path.
    pub(super) user: Option<String>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// A JSON answer, which is also the state after the change in the call's record.
pub(super) struct Changed<T> {
    pub(super) status: StatusCode,
    pub(super) user: Option<String>,
    /// The state before the change.
    pub(super) before: Option<Value>,
    /// Whether nothing is left after the change.
    pub(super) removed: bool,
    pub(super) answer: T,
}

impl<T> Changed<T> {
    /// The answer to a call with nothing to tell about the state before.
    pub(super) fn to(answer: T) -> Self {
        Self {
            status: StatusCode::OK,
            user: None,
            before: None,
            removed: false,
            answer,
        }
    }

    /// With the state before, if there was one.
    pub(super) fn from(mut self, before: Option<impl Serialize>) -> Self {
        self.before = before.and_then(|before| serde_json::to_value(before).ok());
        self
    }

    /// The answer to a call that removed something, with its state before.
    pub(super) fn removed(answer: T, before: Option<impl Serialize>) -> Self {
        let removed = true;
        Self {
            removed,
            ..Self::to(answer).from(before)
        }
    }

    /// With the status 201 for what the call created.
    pub(super) fn created(mut self, created: bool) -> Self {
        if created {
            self.status = StatusCode::CREATED;
        }
        self
    }
}

impl<T: Serialize> IntoResponse for Changed<T> {
    fn into_response(self) -> Response {
        let change = Change {
            user: self.user,
            before: self.before,
            after: (!self.removed)
                .then(|| serde_json::to_value(&self.answer).ok())
                .flatten(),
        };
        let mut response = (self.status, Json(self.answer)).into_response();
        response.extensions_mut().insert(change);
        response
    }
}

/// Records the changing calls of all keys. Clones share one log.
#[derive(Clone)]
pub(super) struct Recorder {
    chat: ChatServer,
    /// Whether posts of messages and notifications are recorded.
    posts: bool,
    in_flight: Arc<Semaphore>,
}

impl Recorder {
    pub(super) fn new(chat: ChatServer, posts: bool) -> Self {
        Self {
            chat,
            posts,
            in_flight: Arc::new(Semaphore::new(POSTS_IN_FLIGHT)),
        }
    }

    /// Runs a call and records it. A changing call runs to its end although its client goes away.
    pub(super) async fn pass(self, mut request: Request, next: Next, prefix: &str) -> Response {
        let is_write = ![Method::GET, Method::HEAD].contains(request.method());
        let path = request.extensions().get::<MatchedPath>();
        let route = path.and_then(|path| path.as_str().strip_prefix(prefix));
        let caller = request.extensions().get::<Caller>();
        let (true, Some(route), Some(caller)) = (is_write, route, caller) else {
            return next.run(request).await;
        };
        let is_post = POSTS.contains(&route);
        if is_post && !self.posts {
            return next.run(request).await;
        }
        let mut change = AuditRecord {
            actor: caller.actor(),
            action: format!("{} {route}", request.method()),
            ..AuditRecord::default()
        };
        if let Ok(Path(mut names)) = request.extract_parts::<Path<BTreeMap<String, Name>>>().await {
            change.room = names.remove("room").map(|Name(room)| room);
            change.user_id = names.remove("user").map(|Name(user)| user);
        }
        let ended = tokio::spawn(async move {
            let mut response = next.run(request).await;
            let changed = response.extensions_mut().remove::<Change>();
            self.record(change, changed, response.status(), is_post).await;
            response
        });
        ended.await.unwrap_or_else(|error| {
            tracing::error!(%error, "failed to complete an API call");
            Problem::Internal.into_response()
        })
    }

    async fn record(
        &self,
        mut change: AuditRecord,
        changed: Option<Change>,
        status: StatusCode,
        is_post: bool,
    ) {
        // A call that failed with a server error may have changed a part of the data.
        if !status.is_success() && !status.is_server_error() {
            return;
        }
        // An erasure that failed is to be repeated, and its record must not name the user.
        if change.action == ERASURE && changed.is_none() {
            change.user_id = None;
        }
        let changed = changed.unwrap_or_default();
        change.status = status.as_u16();
        change.user_id = changed.user.or(change.user_id);
        change.before = changed.before.map(|before| before.to_string());
        change.after = changed.after.map(|after| after.to_string());
        if is_post && let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_owned() {
            let chat = self.chat.clone();
            tokio::spawn(async move {
                chat.record_audit(change).await;
                drop(permit);
            });
            return;
        }
        self.chat.record_audit(change).await;
    }
}

/// The wanted records: the newest, the newest before an id, or the oldest after one.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only records with a greater id.
    #[param(value_type = Option<u64>, maximum = 9_223_372_036_854_775_807_u64)]
    after: Option<i64>,
    /// Only records with a smaller id.
    #[param(value_type = Option<u64>, maximum = 9_223_372_036_854_775_807_u64)]
    before: Option<i64>,
    /// The most records to return. Defaults to 50, capped at 200.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295_u64)]
    limit: Option<u32>,
    /// Only records of this API key, as `key:NAME`, or of this moderator. Empty: of all.
    actor: Option<String>,
    /// Only records of this action. Empty: of all.
    #[param(example = "PUT /rooms/{room}")]
    action: Option<String>,
}

/// A change by an API key or a moderator.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditItem {
    /// Ascends in the order of the records. There may be gaps.
    id: i64,
    /// Milliseconds since 1970.
    at: i64,
    /// The API key as `key:NAME`, or the moderator.
    actor: String,
    /// Method and route of the call, such as `PUT /rooms/{room}`, or `chat:moderate`.
    action: String,
    /// The room that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    room: Option<String>,
    /// The user whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_id: Option<String>,
    /// Status of the answer. After a status from 500 a part of the change may have happened.
    status: u16,
    /// What the call changed, before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    before: Option<Value>,
    /// What the call changed, after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    after: Option<Value>,
}

/// A page of audit records, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditRecords {
    records: Vec<AuditItem>,
    /// True if more records follow in the direction of reading.
    more: bool,
}

impl From<AuditEntry> for AuditItem {
    fn from(entry: AuditEntry) -> Self {
        let parsed = |json: Option<String>| json.and_then(|json| serde_json::from_str(&json).ok());
        let AuditEntry { id, record } = entry;
        Self {
            id,
            at: record.at,
            actor: record.actor,
            action: record.action,
            room: record.room,
            user_id: record.user_id,
            status: record.status,
            before: parsed(record.before),
            after: parsed(record.after),
        }
    }
}

/// Lists changes by API keys and moderators.
#[utoipa::path(get, operation_id = "listAudit", path = "/api/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = AuditRecords), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditRecords>, Problem> {
    if [query.after, query.before]
        .into_iter()
        .flatten()
        .any(i64::is_negative)
    {
        return Err(Problem::Invalid(
            "after and before are ids of records, from 0".into(),
        ));
    }
    let limit = page_limit(query.limit)?;
    let oldest_first = query.after.is_some();
    let page = AuditPage {
        after: query.after,
        before: query.before,
        actor: query.actor,
        action: query.action,
        limit: limit + 1,
    };
    let mut entries = chat.audit(page).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = entries.len() > limit;
    entries.truncate(limit);
    if !oldest_first {
        entries.reverse();
    }
    let records = entries.into_iter().map(AuditItem::from).collect();
    Ok(Json(AuditRecords { records, more }))
}
