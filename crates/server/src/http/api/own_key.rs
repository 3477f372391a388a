//! The API call that tells what the caller's own key may do.

use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::problems::Problems;
use crate::scope::{Caller, Scope};

/// The key of the call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OwnKey {
    /// Its name in `api.keys`.
    name: String,
    /// The scopes that it has.
    scopes: Vec<&'static str>,
}

/// Shows the name and the scopes of the key that makes the call. Every key may.
#[utoipa::path(get, operation_id = "showKey", path = "/api/v1/key", tag = "stats",
    responses((status = 200, body = OwnKey), Problems))]
pub(super) async fn show(Extension(caller): Extension<Caller>) -> Json<OwnKey> {
    Json(OwnKey {
        name: caller.name().to_owned(),
        scopes: caller.scopes().map(Scope::name).collect(),
    })
}
