//! The error responses in the OpenAPI description. `super::Problem` writes them.

use utoipa::{IntoResponses, ToSchema};

/// The body of every error response: `{error: {code, message}}`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
pub(super) struct ProblemBody {
    error: ProblemError,
}

/// An error.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
pub(super) struct ProblemError {
    /// A fixed code for programs.
    code: String,
    /// An explanation for people.
    message: String,
}

/// The error responses that every call may have.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
pub(super) enum Problems {
    /// `invalid_request`: the request is malformed or breaks a rule. The message says which one.
    #[response(status = 400)]
    Invalid(ProblemBody),
    /// `unauthorized`: the key is missing, wrong, in the URL, or not configured.
    #[response(status = 401)]
    Unauthorized(ProblemBody),
    /// `forbidden`: the key lacks the scope of this call. `banned`, `muted`: the user may not do this.
    /// `refused`: a hook does not allow it.
    #[response(status = 403)]
    Forbidden(ProblemBody),
    /// `not_found`: the room, member or user does not exist.
    #[response(status = 404)]
    NotFound(ProblemBody),
    /// `conflict`: another message or notification was posted with this id.
    #[response(status = 409)]
    Conflict(ProblemBody),
    /// `payload_too_large`: the body or one of its fields exceeds its limit.
    #[response(status = 413)]
    TooLarge(ProblemBody),
    /// `invalid_request`: the body is not JSON.
    #[response(status = 415)]
    Media(ProblemBody),
    /// `rate_limited`: too many calls. `slow_mode`: the user sent a message a short time ago. `Retry-After`
    /// says how long to wait.
    #[response(status = 429)]
    RateLimited(ProblemBody),
    /// `internal`: the server failed. Its log says why.
    #[response(status = 500)]
    Internal(ProblemBody),
    /// `unavailable`: a temporary failure. Retry later.
    #[response(status = 503)]
    Unavailable(ProblemBody),
}
