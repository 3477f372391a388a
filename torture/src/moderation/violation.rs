//! The laws of moderation, each as its violation.

use std::time::Duration;

use roomful_testkit::history::Name;

use super::attempt::Action;
use super::mark::Mark;

/// A ban or a mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SanctionKind {
    /// The user can neither join nor write.
    Ban,
    /// The user cannot write.
    Mute,
}

impl SanctionKind {
    /// The code of its refusals.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Ban => "banned",
            Self::Mute => "muted",
        }
    }
}

impl std::fmt::Display for SanctionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ban => "ban",
            Self::Mute => "mute",
        })
    }
}

/// What a secret opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// The HTTP API.
    ApiKey,
    /// Connections: it signs tokens.
    TokenSecret,
}

impl std::fmt::Display for SecretKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiKey => "API key",
            Self::TokenSecret => "token secret",
        })
    }
}

/// A violated law, with its place. A case is a user with one act of the backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant names its fields")]
pub enum Violation {
    /// No send, edit or reaction that begins after a ban or mute is acknowledged succeeds before its end. A
    /// retry may learn that an earlier attempt had succeeded.
    #[error("case {case}: {action} began after the {kind} was acknowledged, and succeeded")]
    Wrote {
        case: u32,
        kind: SanctionKind,
        action: Action,
    },
    /// A message in the log comes from a send that began before the ban or mute was acknowledged, or that may
    /// have ended after its end.
    #[error("case {case}: the log has {client_id} at {seq}, and all its sends began under the {kind}")]
    SentUnder {
        case: u32,
        kind: SanctionKind,
        client_id: Name,
        seq: u64,
    },
    /// The user's entries end at the position of the ban or mute, whichever node stores them.
    #[error(
        "case {case}: the log has an entry of the user at {seq}, after the {kind}, which {marker} follows"
    )]
    LoggedAfter {
        case: u32,
        kind: SanctionKind,
        seq: u64,
        marker: u64,
    },
    /// A refusal under a ban says `banned`, one under a mute `muted`.
    #[error("case {case}: {action} is refused under the {kind} as {code}")]
    WrongCode {
        case: u32,
        kind: SanctionKind,
        action: Action,
        code: Name,
    },
    /// A join, or a connection, that begins after the ban is acknowledged is refused before the ban's end.
    #[error("case {case}: {action} began after the ban was acknowledged, and succeeded")]
    LetIn { case: u32, action: Action },
    /// Nobody is banned or muted before the call, or after its end.
    #[error("case {case}: {action} is refused as {code}, and nothing is in force")]
    Unfounded { case: u32, action: Action, code: Name },
    /// An erased user's token opens nothing, and nothing that begins after the erasure succeeds.
    #[error("case {case}: {action} began after the erasure was acknowledged, and succeeded")]
    CameBack { case: u32, action: Action },
    /// An erased user is nowhere. An anonymised user's texts stay, but not the id and the name.
    #[error("{place} has {mark}, whose user is erased")]
    NotErased { place: Name, mark: Mark },
    /// Nothing is known of an erased user.
    #[error("case {case}: after the erasure, {call} answers {answer}")]
    Known { case: u32, call: Name, answer: Name },
    /// The texts of an anonymised user stay.
    #[error("case {case}: the text of the message at {seq} is gone, but the user is only anonymised")]
    TextLost { case: u32, seq: u64 },
    /// No call with a valid key and no connection with a token of a valid secret is refused as unauthorized.
    /// A secret is valid from when all nodes have accepted it until its files are written without it.
    #[error("a node refused the {kind} number {number}, which is valid")]
    ValidRefused { kind: SecretKind, number: u64 },
    /// A node accepts a new secret within ten seconds after SIGHUP.
    #[error("node {node} refuses the new {kind} number {number} {after:.1?} after SIGHUP")]
    NewRefused {
        kind: SecretKind,
        number: u64,
        node: usize,
        after: Duration,
    },
    /// A node refuses an old secret within ten seconds after SIGHUP.
    #[error("node {node} accepts the old {kind} number {number} {after:.1?} after SIGHUP")]
    OldAccepted {
        kind: SecretKind,
        number: u64,
        node: usize,
        after: Duration,
    },
}
