//! The start-up gate: answers 503 to every request until the routes that need the store exist.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use http::Request;
use tower::ServiceExt as _;

use super::Problem;

/// Holds the routes once the start-up has built them. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    routes: Arc<OnceLock<Router>>,
}

impl Gate {
    /// Passes requests to `routes` from now on. Only the first call has an effect.
    pub(crate) fn open(&self, routes: Router) {
        // The start-up opens it once.
        let _ = self.routes.set(routes);
    }

    /// Passes the request to the routes, or answers 503 while the gate is closed.
    pub(crate) async fn pass(self, request: Request<Body>) -> Response {
        match self.routes.get() {
            Some(routes) => routes.clone().oneshot(request).await.into_response(),
            None => Problem::Unavailable("The server is starting; try again in a moment.").into_response(),
        }
    }
}
