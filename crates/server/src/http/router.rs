//! Every route of the process.
//!
//! | path | answered by |
//! |---|---|
//! | `/livez`, `/readyz` | `health`, also while starting |
//! | `/metrics` | `metrics` |
//! | `/api/v1/*`, `/api/openapi.json` | `api` |
//! | `/demo/config`, `/demo/sign-in` | `demo`, in dev mode alone |
//! | `/socket.io/` | `roomful-socket` |
//! | `/`, `/assets/*` | `assets` |

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use http::Request;
use ipnet::IpNet;
use roomful_socket::ClientAddress;

use super::{assets::Assets, client_address::client_address, gate::Gate, health::Health, metrics::Exporter};

/// What can be answered from the first moment, with all else behind the gate.
pub(crate) fn outer(health: Health, metrics: Exporter, gate: Gate) -> Router {
    Router::new()
        .route("/livez", get(async || Health::livez()))
        .route("/readyz", get(async move || health.readyz().await))
        .route("/metrics", get(async move || metrics.answer()))
        .fallback(move |request: Request<Body>| gate.clone().pass(request))
}

/// What is behind the gate: Socket.IO, the API, dev mode's sign-in if there is one, and the page.
pub(crate) fn inner(
    socket: Router,
    api: Router,
    demo: Option<Router>,
    assets: Assets,
    trusted_proxies: Vec<IpNet>,
) -> Router {
    let assets = Arc::new(assets);
    let trusted: Arc<[IpNet]> = trusted_proxies.into();
    Router::new()
        .merge(socket)
        .merge(api)
        .merge(demo.unwrap_or_default())
        .fallback(async move |request: Request<Body>| {
            assets.answer(request.method(), request.uri().path(), request.headers())
        })
        .layer(middleware::from_fn(move |request: Request<Body>, next: Next| {
            let trusted = Arc::clone(&trusted);
            async move { name_client(request, next, &trusted).await }
        }))
}

/// Behind a trusted proxy the peer is the proxy: names the client in its place.
async fn name_client(mut request: Request<Body>, next: Next, trusted: &[IpNet]) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip());
    if let (Some(peer), false) = (peer, trusted.is_empty()) {
        let client = client_address(peer, request.headers(), trusted);
        request.extensions_mut().insert(ClientAddress(client));
    }
    next.run(request).await
}
