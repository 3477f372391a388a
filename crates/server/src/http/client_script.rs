//! An explanation in place of the client's script. Socket.IO's own server serves its JavaScript client at
//! `/socket.io/socket.io.js`, this server does not.

use axum::{Router, response::IntoResponse, routing::get};
use http::header;

/// The files that Socket.IO's server has.
const FILES: [&str; 5] = [
    "socket.io.js",
    "socket.io.min.js",
    "socket.io.esm.min.js",
    "socket.io.msgpack.min.js",
    "socket.io.slim.js",
];
/// Runs in the page that loads the script, so that its developer reads the reason in the console.
const EXPLANATION: &str = "throw new Error(\"This server does not contain the Socket.IO client. Install it \
    with `npm install socket.io-client`, or load it from \
    https://cdn.socket.io/4.8.3/socket.io.min.js\");\n";

/// Routes for the files below `path`, such as `/socket.io`.
pub(crate) fn router(path: &str) -> Router {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(&format!("{path}/{file}"), get(async || explain()))
    })
}

fn explain() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, EXPLANATION)
}
