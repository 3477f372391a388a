//! The HTTP API for an app's backend, under `/api/v1`. `roomful_chat::admin` implements the calls, this
//! module maps them to HTTP. `openapi` describes them, and `docs/openapi.json` is a copy of that
//! description.
//!
//! | file | contents |
//! |---|---|
//! | `rooms`, `members`, `messages`, `notifications`, `users`, `stats` | the calls |
//! | `key`, `access_log` | middleware of every call |
//! | `body`, `page` | extractors for input, and cursors of lists |

mod access_log;
mod body;
pub(crate) mod key;
mod members;
mod messages;
mod notifications;
mod openapi;
mod page;
mod problems;
mod rooms;
mod stats;
mod users;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    middleware::{self, Next},
    response::IntoResponse as _,
    routing::{delete, get, post, put},
};
use roomful_chat::ChatServer;

use self::{access_log::AccessLog, key::ApiKeys};
use super::Problem;

/// The API on `chat`, for requests with the key and bodies of up to `max_body` bytes. The description needs
/// no key.
pub(crate) fn router(chat: ChatServer, keys: ApiKeys, max_body: usize) -> Router {
    let log = AccessLog::new();
    let calls = Router::new()
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
        .route("/users/{user}", get(users::show))
        .route("/users/{user}/disconnect", post(users::disconnect))
        .route("/users/{user}/revoke", post(users::revoke))
        .route("/presence", get(users::presence))
        .route("/stats", get(stats::show))
        .method_not_allowed_fallback(async || Problem::Method)
        .fallback(async || Problem::NotFound)
        .with_state(chat)
        .layer(DefaultBodyLimit::max(max_body))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let keys = keys.clone();
            async move {
                match keys.check(request.headers(), request.uri()) {
                    Ok(()) => next.run(request).await,
                    Err(problem) => problem.into_response(),
                }
            }
        }));
    Router::new()
        .nest("/api/v1", calls)
        // The outermost layer, so that it sees refused calls too, and full paths.
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let log = log.clone();
            async move { log.pass(request, next).await }
        }))
        .route("/api/openapi.json", get(async || Json(openapi::document())))
}
