//! Calls that hooks learn of before they take place.

/// A call of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A call that reads or enters rooms for a client and has no variant of its own.
    ForClient,
    /// [`Users::users`](roomful_store::Users::users).
    Users,
    /// [`Users::set_status`](roomful_store::Users::set_status).
    SetStatus,
    /// [`Members::inbox`](roomful_store::Members::inbox).
    Inbox,
    /// [`Sessions::begin_session`](roomful_store::Sessions::begin_session).
    BeginSession,
    /// [`Sessions::mark_session_lost`](roomful_store::Sessions::mark_session_lost).
    MarkSessionLost,
    /// [`Sessions::resume_session`](roomful_store::Sessions::resume_session).
    ResumeSession,
}
