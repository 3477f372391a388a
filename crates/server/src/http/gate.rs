//! What stands between the listener and the routes while the process starts: probes are answered from the first moment,
//! everything else from when the store is open.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use http::Request;
use tower::ServiceExt as _;

use super::Problem;

/// Holds the routes once they exist. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    routes: Arc<OnceLock<Router>>,
}

impl Gate {
    /// Lets requests through to `routes` from now on.
    pub(crate) fn open(&self, routes: Router) {
        // Only the start-up opens it, once.
        let _ = self.routes.set(routes);
    }

    /// Passes a request on, or answers 503.
    pub(crate) async fn pass(self, request: Request<Body>) -> Response {
        match self.routes.get() {
            Some(routes) => routes.clone().oneshot(request).await.into_response(),
            None => Problem::Unavailable("The server is starting; try again in a moment.").into_response(),
        }
    }
}
