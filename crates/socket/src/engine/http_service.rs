//! A server as a tower service, to mount at any path.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
};
use http::{Request, Response};
use tower::Service;

use super::server::EngineServer;

/// Answers each request as one to the server, whatever its path is. Clones refer to the same server.
///
/// ```no_run
/// use axum::Router;
/// use roomful_socket::WebSocketServer;
///
/// let server = WebSocketServer::builder().build();
/// let app: Router = Router::new().nest_service("/live/socket.io", server.service());
/// ```
#[derive(Clone)]
pub struct SocketService {
    server: EngineServer,
    /// Where the other nodes of a cluster serve it.
    path: Arc<str>,
}

impl EngineServer {
    /// The server as a tower service. In a cluster, the other nodes serve it at `path`.
    pub fn service(&self, path: impl Into<Arc<str>>) -> SocketService {
        SocketService {
            server: self.clone(),
            path: path.into(),
        }
    }
}

impl<B> Service<Request<B>> for SocketService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.server.handle(request.map(Body::new), &service.path).await) })
    }
}

impl std::fmt::Debug for SocketService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketService")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
