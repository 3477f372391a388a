//! The HTTP API for an app's backend, under `/api/v1`. `roomful_chat::admin` implements the calls, this
//! module maps them to HTTP. `openapi` describes them, and `docs/openapi.json` is a copy of that
//! description.
//!
//! | file | contents |
//! |---|---|
//! | `rooms`, `members`, `memberships`, `messages`, `moderation` | the calls of an app about rooms |
//! | `notifications`, `users`, `blocks`, `reports` | the calls of an app about users |
//! | `stats`, `connections`, `hooks`, `explain`, `records`, `settings`, `own_key` | an operator's calls |
//! | `key`, `scopes`, `access_log`, `audit` | middleware of every call; `audit` also lists its records |
//! | `body`, `page` | extractors for input, and cursors of lists |

mod access_log;
mod audit;
mod blocks;
mod body;
mod connections;
mod explain;
mod hooks;
pub(crate) mod key;
mod members;
mod memberships;
mod messages;
mod moderation;
mod notifications;
mod openapi;
mod own_key;
mod page;
mod problems;
mod records;
mod reports;
mod rooms;
mod scopes;
mod settings;
mod stats;
mod users;

use std::sync::{Arc, LazyLock};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post, put},
};
use bytes::Bytes;
use http::header;
use roomful_chat::{ChatServer, contract};

use self::{access_log::AccessLog, audit::Recorder, key::ApiKeys, scopes::scope_of};
use super::{AddressLimit, Problem, client_address::client_address};
use crate::in_force::InForce;

/// What the API needs besides chat.
pub(crate) struct Settings<'a> {
    /// Empty, or a path without a slash at its end.
    pub(crate) base_path: &'a str,
    pub(crate) keys: ApiKeys,
    /// The largest body, in bytes.
    pub(crate) max_body: usize,
    /// Whether the audit log has posts.
    pub(crate) audit_posts: bool,
    /// The settings that operators can read.
    pub(crate) in_force: InForce,
    /// The rate limit of the description, which needs no key.
    pub(crate) status_limit: Option<Arc<AddressLimit>>,
}

/// The API on `chat`, for requests with the key. The description needs no key.
pub(crate) fn router(chat: ChatServer, settings: Settings<'_>) -> Router {
    let Settings {
        base_path,
        keys,
        max_body,
        audit_posts,
        in_force,
        status_limit,
    } = settings;
    let log = AccessLog::new();
    let outage = chat.clone();
    let prefix: Arc<str> = format!("{base_path}/api/v1").into();
    let (recorder, route_prefix) = (Recorder::new(chat.clone(), audit_posts), Arc::clone(&prefix));
    let calls = routes()
        .method_not_allowed_fallback(async || Problem::Method)
        .fallback(async || Problem::NotFound)
        .with_state(chat)
        .layer(Extension(in_force))
        .layer(DefaultBodyLimit::max(max_body))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let outage = outage.has_outage();
            async move {
                if outage {
                    return Problem::Unavailable("A test asked for an outage.").into_response();
                }
                next.run(request).await
            }
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let (recorder, prefix) = (recorder.clone(), Arc::clone(&route_prefix));
            async move { recorder.pass(request, next, &prefix).await }
        }))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let (keys, prefix) = (keys.clone(), Arc::clone(&prefix));
            async move { authorise(&keys, &prefix, request, next).await }
        }));
    let describe = |document: &'static LazyLock<Bytes>| {
        let limit = status_limit.clone();
        get(async move |request: Request| description(document, limit.as_deref(), &request))
    };
    Router::new()
        .nest(&format!("{base_path}/api/v1"), calls)
        // The outermost layer, so that it sees refused calls too, and full paths.
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let log = log.clone();
            async move { log.pass(request, next).await }
        }))
        .route(&format!("{base_path}/api/openapi.json"), describe(&CALLS))
        .route(&format!("{base_path}/api/asyncapi.json"), describe(&EVENTS))
}

/// The handler of each call.
fn routes() -> Router<ChatServer> {
    Router::new()
        .route("/rooms", get(rooms::list))
        .route(
            "/rooms/{room}",
            get(rooms::show).put(rooms::change).delete(rooms::remove),
        )
        .route("/rooms/{room}/members", get(members::list))
        .route(
            "/rooms/{room}/members/{user}",
            put(members::change).merge(delete(members::remove)),
        )
        .route("/rooms/{room}/messages", get(messages::list).post(messages::post))
        .route("/notifications", post(notifications::post))
        .route(
            "/users/{user}",
            get(users::show).put(users::change).delete(users::erase),
        )
        .route("/users/{user}/rooms", get(memberships::list))
        .route("/users/{user}/export", get(users::export))
        .route("/users/{user}/disconnect", post(users::disconnect))
        .route("/users/{user}/revoke", post(users::revoke))
        .route("/users/{user}/blocks", get(blocks::list))
        .route(
            "/users/{user}/blocks/{blocked}",
            put(blocks::put).merge(delete(blocks::remove)),
        )
        .route("/presence", get(users::presence))
        .route("/stats", get(stats::show))
        .route("/audit", get(audit::list))
        .route("/stats/history", get(stats::history))
        .route("/connections", get(connections::list))
        .route("/hooks", get(hooks::list))
        .route("/settings", get(settings::list))
        .route("/key", get(own_key::show))
        .route("/explain", get(explain::show))
        .route("/webhooks/records", get(records::list))
        .route("/webhooks/records/{id}/replay", post(records::replay))
        .route("/webhooks/replay", post(records::replay_dead))
        .route("/rooms/{room}/bans", get(moderation::list_room_bans))
        .route(
            "/rooms/{room}/bans/{user}",
            put(moderation::put_room_ban).delete(moderation::remove_room_ban),
        )
        .route("/rooms/{room}/mutes", get(moderation::list_room_mutes))
        .route(
            "/rooms/{room}/mutes/{user}",
            put(moderation::put_room_mute).delete(moderation::remove_room_mute),
        )
        .route("/bans", get(moderation::list_bans))
        .route(
            "/users/{user}/ban",
            put(moderation::put_ban).delete(moderation::remove_ban),
        )
        .route("/moderation/reports", get(reports::list))
        .route("/moderation/reports/{id}", post(reports::resolve))
        .route("/mutes", get(moderation::list_mutes))
        .route("/users/{user}/sanctions", get(moderation::list_of_user))
        .route(
            "/users/{user}/mute",
            put(moderation::put_mute).delete(moderation::remove_mute),
        )
}

/// The descriptions of the calls and of the events, composed for their first reader.
static CALLS: LazyLock<Bytes> = LazyLock::new(|| openapi::document().into());
static EVENTS: LazyLock<Bytes> = LazyLock::new(|| contract::asyncapi().into());

/// Passes a call on if its key is right and has the call's scope, and the call has all fields of the query.
async fn authorise(keys: &ApiKeys, prefix: &str, mut request: Request, next: Next) -> Response {
    let caller = match keys.admit(&request) {
        Ok(caller) => caller,
        Err(problem) => return access_log::of_stranger(problem.into_response()),
    };
    // Without a route there is nothing to protect: the answer is 404.
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        let path = route.as_str().strip_prefix(prefix).unwrap_or_default();
        if let Err(missing) = caller.check(scope_of(request.method(), path)) {
            return Problem::MissingScope(missing).into_response();
        }
        if let Err(problem) = check_query(&request, path) {
            return problem.into_response();
        }
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Refuses a query with an unknown field: usually it is a typing error, and without the field the call would
/// do something else than its caller wants. `path` is the route below `/api/v1`.
fn check_query(request: &Request, path: &str) -> Result<(), Problem> {
    let query = request.uri().query().unwrap_or_default();
    if query.is_empty() {
        return Ok(());
    }
    let Some(known) = openapi::query_fields(request.method(), path) else {
        return Ok(());
    };
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let Some((unknown, _)) = fields.find(|(name, _)| !known.iter().any(|known| known == name)) else {
        return Ok(());
    };
    let takes = match known {
        [] => "no query".to_owned(),
        known => known.join(", "),
    };
    Err(Problem::Invalid(format!(
        "the query field {unknown:?} is unknown; this call takes {takes}"
    )))
}

/// A description, or 429.
fn description(document: &Bytes, limit: Option<&AddressLimit>, request: &Request) -> Response {
    if let Some(limit) = limit
        && let Err(wait) = limit.take(client_address(request.extensions()))
    {
        return Problem::TooMany(wait).into_response();
    }
    ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response()
}
