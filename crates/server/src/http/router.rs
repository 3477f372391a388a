//! The route table of the process.
//!
//! | path | answered by |
//! |---|---|
//! | `/livez`, `/readyz` | `health`, also while starting |
//! | `/metrics` | `metrics` |
//! | `/api/v1/*`, `/api/openapi.json`, `/api/asyncapi.json` | `api` |
//! | `/demo/config`, `/demo/sign-in`, `/demo/faults` | `demo`, in dev mode alone |
//! | `/socket.io/` | `roomful-socket`, and `client_script` for the client's files |
//! | `/`, `/assets/*`, `/console`, `/console/assets/*` | `assets` |
//!
//! With `http.base_path` all but the first three lie below that path. With `http.ops_listen`, `/metrics` is
//! served at that address only.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use http::{HeaderValue, header};
use roomful_socket::ForwardedHost;

use super::{
    Problem, assets::Assets, client_address::AddressResolver, client_script, gate::Gate, health::Health,
    host, metrics::MetricsPage,
};

/// `/livez` and `/readyz`.
pub(crate) fn health(health: Health) -> Router {
    Router::new()
        .route("/livez", get(async || Health::livez()))
        .route("/readyz", get(async move || health.readyz().await))
}

/// `/metrics`. Each scrape checks the health for the gauge `roomful_ready`.
pub(crate) fn metrics(page: MetricsPage, health: Health) -> Router {
    Router::new().route(
        "/metrics",
        get(async move |request: Request| {
            health.export().await;
            page.answer(&request)
        }),
    )
}

/// Adds what every response and every request have in common: the client's address, and `nosniff`.
pub(crate) fn finished(routes: Router, resolver: AddressResolver) -> Router {
    routes.layer(middleware::from_fn(move |mut request: Request, next: Next| {
        resolver.identify(&mut request);
        async move {
            let mut response = next.run(request).await;
            response.headers_mut().insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
            response
        }
    }))
}

/// All other requests go through `gate`.
pub(crate) fn gated(routes: Router, gate: Gate) -> Router {
    routes.fallback(move |request: Request| gate.clone().pass(request))
}

/// The parts behind the gate.
pub(crate) struct Routes {
    /// Serves the full path, base path included.
    pub(crate) sockets: Router,
    /// Serves the full path, base path included.
    pub(crate) api: Router,
    /// The sign-in of dev mode.
    pub(crate) demo: Option<Router>,
    pub(crate) assets: Assets,
    /// Empty, or a path without a slash at its end.
    pub(crate) base_path: String,
    /// Whether only names of the local machine may be in the `Host` header.
    pub(crate) loopback_only: bool,
}

/// Routes behind the gate: Socket.IO, the API, the sign-in of dev mode if it is on, and the pages.
pub(crate) fn inner(routes: Routes) -> Router {
    let Routes {
        sockets,
        api,
        demo,
        assets,
        base_path,
        loopback_only,
    } = routes;
    let demo = match demo {
        Some(demo) if base_path.is_empty() => demo,
        Some(demo) => Router::new().nest(&base_path, demo),
        None => Router::new(),
    };
    let (assets, base): (_, Arc<str>) = (Arc::new(assets), base_path.as_str().into());
    let all = Router::new()
        .merge(client_script::router(&format!("{base_path}/socket.io")))
        .merge(sockets)
        .merge(api)
        .merge(demo)
        .fallback(async move |request: Request| page(&assets, &base, &request));
    if !loopback_only {
        return all;
    }
    all.layer(middleware::from_fn(async |request: Request, next: Next| {
        if host::is_loopback(request.headers()) {
            next.run(request).await
        } else {
            Problem::Forbidden(
                "Dev mode answers only to localhost and 127.0.0.1. Open one of these, or set \
                 dev.allow_remote = true.",
            )
            .into_response()
        }
    }))
}

fn page(assets: &Assets, base: &str, request: &Request) -> Response<Body> {
    let path = request.uri().path();
    if !base.is_empty() && path == base {
        return Redirect::permanent(&format!("{base}/")).into_response();
    }
    let forwarded = request.extensions().get::<ForwardedHost>();
    let own = || request.headers().get(header::HOST)?.to_str().ok();
    let host = forwarded
        .and_then(|forwarded| forwarded.host.as_deref())
        .or_else(own);
    match path.strip_prefix(base) {
        Some(path) => assets.answer(request.method(), path, request.headers(), host),
        None => Problem::NotFound.into_response(),
    }
}
