//! The route table of the process.
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

/// Routes that answer from the first moment. All other requests go through `gate`.
pub(crate) fn outer(health: Health, metrics: Exporter, gate: Gate) -> Router {
    let checked = health.clone();
    Router::new()
        .route("/livez", get(async || Health::livez()))
        .route("/readyz", get(async move || health.readyz().await))
        .route(
            "/metrics",
            get(async move || {
                checked.export().await;
                metrics.answer()
            }),
        )
        .fallback(move |request: Request<Body>| gate.clone().pass(request))
}

/// Routes behind the gate: Socket.IO, the API, the sign-in of dev mode if it is on, and the page.
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

/// Adds the client's address as [`ClientAddress`], since behind a trusted proxy the TCP peer is the proxy.
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
