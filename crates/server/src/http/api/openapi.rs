//! The description of the API, put together from the calls themselves.

use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{members, messages, notifications, rooms, stats, users};

/// `{error: {code, message}}`: the shape of every refusal.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
pub(super) struct ProblemBody {
    error: ProblemError,
}

/// What went wrong.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
pub(super) struct ProblemError {
    /// What a program decides by.
    code: String,
    /// What a person reads.
    message: String,
}

/// What any call may be answered with.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
pub(super) enum Problems {
    /// `invalid_request`: something in the request is not as it must be; the message says what.
    #[response(status = 400)]
    Invalid(ProblemBody),
    /// `unauthorized`: the key is missing, wrong, in the URL, or not configured.
    #[response(status = 401)]
    Unauthorized(ProblemBody),
    /// `not_found`: there is no such thing.
    #[response(status = 404)]
    NotFound(ProblemBody),
    /// `conflict`: the clientId stands for another message.
    #[response(status = 409)]
    Conflict(ProblemBody),
    /// `payload_too_large`: the body, or a part of it, is larger than its limit.
    #[response(status = 413)]
    TooLarge(ProblemBody),
    /// `invalid_request`: the body is not JSON.
    #[response(status = 415)]
    Media(ProblemBody),
    /// `rate_limited`: too much at once; `Retry-After` says when to come again.
    #[response(status = 429)]
    RateLimited(ProblemBody),
    /// `internal`: a fault of the server.
    #[response(status = 500)]
    Internal(ProblemBody),
    /// `unavailable`: not now; the same call may succeed later.
    #[response(status = 503)]
    Unavailable(ProblemBody),
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Roomful", description = "What an app's own backend can do with its chat server.",
        license(name = "MIT OR Apache-2.0")),
    paths(
        rooms::list, rooms::show, rooms::change, rooms::remove,
        members::list, members::change, members::remove,
        messages::post, messages::list,
        notifications::post,
        users::show, users::presence, users::disconnect, users::revoke,
        stats::show,
    ),
    components(schemas(ProblemBody)),
    security(("key" = [])),
    modifiers(&Key)
)]
struct Api;

/// How the key is shown.
struct Key;

impl Modify for Key {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The key of `api.key` or `ROOMFUL_API_KEY`."))
            .build();
        api.components
            .get_or_insert_default()
            .add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

/// What `/api/openapi.json` answers.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
