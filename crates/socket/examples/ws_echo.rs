//! A plain WebSocket echo on any path with the server's frame code, for Autobahn's fuzzing client.
//!
//! `cargo run --release -p roomful-socket --example ws_echo -- 127.0.0.1:9001`

use std::io;

use axum::{Router, body::Body};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use roomful_socket::{HttpLimits, serve};
use roomful_wire::frame::{self, Decoder, Limits, Message, OpCode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

/// The suite sends up to 16 MiB in one message, and in up to 262,144 fragments.
const LIMITS: Limits = Limits {
    max_message: 32 * 1024 * 1024,
    max_fragments: 1024 * 1024,
};

async fn upgrade(mut request: Request<Body>) -> Response<Body> {
    let Some(accept) = accept(request.headers()) else {
        let mut refusal = Response::new(Body::from("this server speaks WebSocket only"));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return refusal;
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await
            && let Err(error) = echo(TokioIo::new(upgraded)).await
        {
            tracing::debug!(%error, "connection lost");
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    if !frame::is_valid_key(key) {
        return None;
    }
    frame::accept_key(key).try_into().ok()
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut frames = Decoder::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut out = Vec::new();
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        out.clear();
        let open = answer(&mut frames, buffer.get_mut(..count).unwrap_or_default(), &mut out);
        stream.write_all(&out).await?;
        if !open {
            stream.shutdown().await?;
            // Reading on until the peer closes keeps a reset from overtaking our closing frame.
            while stream.read(&mut buffer).await? > 0 {}
            return Ok(());
        }
    }
}

/// Writes the answer to `out`. `false` after a close frame.
fn answer(frames: &mut Decoder, mut bytes: &mut [u8], out: &mut Vec<u8>) -> bool {
    while !bytes.is_empty() {
        let consumed = match frames.decode(&LIMITS, bytes) {
            Err(error) => {
                frame::write_close(Some(error.close_code()), "", out);
                return false;
            }
            Ok(decoded) => {
                match decoded.message {
                    None | Some(Message::Pong(_)) => {}
                    Some(Message::Text(text)) => frame::write(OpCode::Text, text.as_bytes(), out),
                    Some(Message::Binary(bytes)) => frame::write(OpCode::Binary, &bytes, out),
                    Some(Message::Ping(payload)) => frame::write(OpCode::Pong, &payload, out),
                    Some(Message::Close(close)) => {
                        frame::write_close(close.map(|close| close.code), "", out);
                        return false;
                    }
                }
                decoded.consumed
            }
        };
        bytes = bytes.get_mut(consumed..).unwrap_or_default();
    }
    true
}

#[tokio::main]
async fn main() -> io::Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(&address).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    serve(
        listener,
        Router::new().fallback(upgrade),
        HttpLimits::default(),
        async {
            let _ = tokio::signal::ctrl_c().await;
        },
    )
    .await;
    Ok(())
}
