//! The API call that shows the state of the hooks.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use roomful_chat::{ChatServer, HookCircuit, HookError, HookState, admin::HookStates};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Problem, body::Query, problems::Problems};

/// Whose hooks to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HooksQuery {
    /// Only the hooks of the node of this name.
    #[param(min_length = 1)]
    node: Option<String>,
}

/// The fate of an event without a decision.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnFailure {
    /// It happens.
    Allow,
    /// It does not happen.
    Refuse,
}

/// Whether a hook's endpoint is asked.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = HookCircuit)]
#[serde(rename_all = "snake_case")]
pub(super) enum Circuit {
    /// It is.
    Closed,
    /// It is not, after failures in a row.
    Open,
    /// One question probes whether it answers again.
    HalfOpen,
}

/// The latest failure of a hook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LastError {
    /// Milliseconds since 1970.
    at: i64,
    /// The cause, as in `failures`.
    cause: String,
    /// One line.
    error: String,
}

/// A hook of one node. Counts are since the start of the node.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hook {
    /// The name of the node.
    node: String,
    /// The name of the hook.
    name: String,
    /// `message.send`, `room.join` or `connect`.
    event: &'static str,
    /// The patterns of its rooms. Empty for all rooms.
    rooms: Vec<String>,
    on_failure: OnFailure,
    circuit: Circuit,
    /// Questions that wait for an answer now.
    in_flight: u64,
    /// Answers by action: `allow`, `refuse`, `replace`.
    answers: BTreeMap<String, u64>,
    /// Questions without a decision by cause: `timeout`, `unreachable`, `status`, `invalid`, `too_large`,
    /// `busy`, `circuit_open`.
    failures: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_error: Option<LastError>,
}

/// The hooks of all nodes, by the names of the nodes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    /// The nodes that have not answered in time, whose hooks are missing.
    missing_nodes: Vec<String>,
}

impl Hook {
    fn of(node: &str, state: HookState) -> Self {
        let last_error = |HookError { at, cause, text }| LastError {
            at,
            cause,
            error: text,
        };
        Self {
            node: node.to_owned(),
            name: state.name,
            event: state.event.name(),
            rooms: state.rooms,
            on_failure: if state.allows_on_failure {
                OnFailure::Allow
            } else {
                OnFailure::Refuse
            },
            circuit: match state.circuit {
                HookCircuit::Closed => Circuit::Closed,
                HookCircuit::Open => Circuit::Open,
                HookCircuit::HalfOpen => Circuit::HalfOpen,
            },
            in_flight: state.in_flight,
            answers: state.answers,
            failures: state.failures,
            last_error: state.last_error.map(last_error),
        }
    }
}

/// Lists the hooks with their circuits, counts and latest failures, of all nodes.
#[utoipa::path(get, operation_id = "listHooks", path = "/api/v1/hooks", tag = "stats",
    params(HooksQuery), responses((status = 200, body = Hooks), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Query(HooksQuery { node }): Query<HooksQuery>,
) -> Result<Json<Hooks>, Problem> {
    let HookStates { nodes, missing_nodes } = chat.hooks(node.as_deref()).await?;
    let hooks = nodes.into_iter().flat_map(|(node, hooks)| {
        let of_node = move |hook| Hook::of(&node, hook);
        hooks.into_iter().map(of_node)
    });
    Ok(Json(Hooks {
        hooks: hooks.collect(),
        missing_nodes,
    }))
}
