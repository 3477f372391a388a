//! HTTP long-polling: GET requests that wait for packets and POST requests that deliver them.

use std::{
    io::{self, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use roomful_wire::{
    engine::{Packet, payload, session::TransportConflict},
    frame::{self, OpCode},
};

use super::{
    Engine, OwnedMessage,
    http_error::HttpError,
    registry::CapacityError,
    session::{Answer, Session},
};
use crate::{outbox::Batch, reason::Reason};

/// Maximum number of packets in one POST. More would only burden the decoder.
const MAX_PACKETS: usize = 4096;

/// Handles a request with the id of an open session.
pub(super) async fn handle(
    engine: &Engine,
    session: Arc<Session>,
    request: Request<Body>,
) -> Result<Response<Body>, HttpError> {
    session.check_heartbeat();
    match *request.method() {
        Method::GET => get(engine, &session, request.headers()).await,
        Method::POST => post(engine, &session, request).await,
        _ => Err(HttpError::BadRequest),
    }
}

async fn get(
    engine: &Engine,
    session: &Arc<Session>,
    headers: &HeaderMap,
) -> Result<Response<Body>, HttpError> {
    if let Err(error) = session.open_get() {
        return Err(refuse(session, error));
    }
    let guard = RequestGuard { session, armed: true };
    let answer = std::future::poll_fn(|cx| session.poll_answer(cx)).await;
    guard.finished();
    let mut body = Vec::new();
    match answer {
        Answer::Frames(frames) => encode(&frames, &mut body),
        Answer::Noop => payload::encode_text(&mut body, "6"),
        Answer::Close => {
            payload::encode_text(&mut body, "1");
            session.forget();
        }
        Answer::Cut => {
            session.forget();
            return Ok(Response::new(Body::new(CutBody)));
        }
    }
    engine.metrics.bytes_out.increment(body.len() as u64);
    Ok(respond(engine, headers, body))
}

/// Converts WebSocket frames to a polling payload.
fn encode(frames: &Batch, body: &mut Vec<u8>) {
    for buffer in frames {
        let mut rest: &[u8] = buffer;
        while let Some((op, bytes, after)) = frame::split(rest) {
            match op {
                // The server has encoded it as UTF-8.
                OpCode::Text => payload::encode_text(body, std::str::from_utf8(bytes).unwrap_or_default()),
                OpCode::Binary => payload::encode_binary(body, bytes),
                _ => {}
            }
            rest = after;
        }
    }
}

fn respond(engine: &Engine, headers: &HeaderMap, body: Vec<u8>) -> Response<Body> {
    let large = engine
        .settings
        .compression_threshold
        .is_some_and(|threshold| body.len() >= threshold);
    let compressed = if large && accepts_gzip(headers) {
        gzip(&body)
    } else {
        None
    };
    let encoded = compressed.is_some();
    let mut response = Response::new(Body::from(compressed.unwrap_or(body)));
    let out = response.headers_mut();
    out.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
    );
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if encoded {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|item| {
                let mut parts = item.split(';').map(str::trim);
                let named = parts
                    .next()
                    .is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
                let refused = parts.any(|parameter| {
                    parameter
                        .strip_prefix("q=")
                        .and_then(|q| q.parse::<f32>().ok())
                        .is_some_and(|q| q <= 0.0)
                });
                named && !refused
            })
        })
}

/// `None` if compression fails, which a write to memory does not.
fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

async fn post(
    engine: &Engine,
    session: &Arc<Session>,
    request: Request<Body>,
) -> Result<Response<Body>, HttpError> {
    if let Err(error) = session.open_post() {
        return Err(refuse(session, error));
    }
    let guard = RequestGuard { session, armed: true };
    let outcome = receive(engine, session, request).await;
    guard.finished();
    session.close_post();
    outcome?;
    let mut response = Response::new(Body::from("ok"));
    // Not text/plain: some user agents offer that as a download.
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn receive(engine: &Engine, session: &Session, request: Request<Body>) -> Result<(), HttpError> {
    if !is_text(request.headers()) {
        session.end(Reason::TransportError);
        return Err(HttpError::BadRequest);
    }
    let body = read(session, request.into_body()).await?;
    engine.metrics.bytes_in.increment(body.len() as u64);
    let packets = match payload::decode(&body, MAX_PACKETS) {
        Ok(packets) => packets,
        Err(error) => {
            tracing::debug!(%error, "failed to decode a polling payload");
            session.end(Reason::ParseError);
            return Err(HttpError::BadRequest);
        }
    };
    let mut messages = Vec::new();
    let mut ending = None;
    for packet in packets {
        match packet {
            Packet::Message(text) => messages.push(OwnedMessage::Text(text.to_owned())),
            Packet::Binary(bytes) => messages.push(OwnedMessage::Binary(Bytes::copy_from_slice(&bytes))),
            Packet::Pong(_) => {
                session.count_idle_packet();
                session.pong();
            }
            Packet::Close => {
                ending = Some(Reason::TransportClose);
                break;
            }
            // In Engine.IO 4 only the server pings.
            Packet::Ping(_) => {
                ending = Some(Reason::TransportError);
                break;
            }
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => session.count_idle_packet(),
        }
    }
    engine.metrics.packets_in.increment(messages.len() as u64);
    std::future::poll_fn(|cx| session.poll_deliver(cx, &mut messages)).await;
    if !messages.is_empty() {
        // The session has ended or moved to WebSocket meanwhile. "ok" would claim that the messages were
        // taken.
        return Err(HttpError::BadRequest);
    }
    // The packets before it in the body are already on their way.
    match ending {
        None => Ok(()),
        Some(Reason::TransportClose) => {
            session.closed_by_client();
            Ok(())
        }
        Some(reason) => {
            session.end(reason);
            Err(HttpError::BadRequest)
        }
    }
}

/// Any text type, or none. Binary bodies belong to Engine.IO 3.
fn is_text(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_none_or(|value| {
        value.to_str().is_ok_and(|value| {
            let kind = value.split(';').next().unwrap_or_default().trim();
            !kind.eq_ignore_ascii_case("application/octet-stream")
        })
    })
}

/// Reads a body. It counts as unfinished until it is complete.
async fn read(session: &Session, body: Body) -> Result<Bytes, HttpError> {
    let body = Limited::new(body, session.max_message());
    let timeout = session.settings().body_timeout;
    let (reason, error) = match tokio::time::timeout(timeout, collect(session, body)).await {
        Ok(Ok(body)) => return Ok(body),
        Ok(Err(BodyError::TooLarge)) => (Reason::TooLarge, HttpError::TooLarge),
        Ok(Err(BodyError::NoRoom)) => (Reason::OutOfMemory, HttpError::TooMany(CapacityError::Server)),
        Ok(Err(BodyError::Lost)) => (Reason::TransportClose, HttpError::BadRequest),
        Err(_) => (Reason::MessageTimeout, HttpError::TimedOut),
    };
    session.end(reason);
    Err(error)
}

enum BodyError {
    TooLarge,
    NoRoom,
    Lost,
}

async fn collect(session: &Session, mut body: Limited<Body>) -> Result<Bytes, BodyError> {
    let mut counted = BodyBytes { session, bytes: 0 };
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                BodyError::TooLarge
            } else {
                BodyError::Lost
            }
        })?;
        if let Ok(data) = frame.into_data() {
            counted.grow(data.len());
            if session.has_ended_for(Reason::OutOfMemory) {
                return Err(BodyError::NoRoom);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.into())
}

/// The unfinished bytes of a body. They count no longer once this is dropped.
struct BodyBytes<'a> {
    session: &'a Session,
    bytes: usize,
}

impl BodyBytes<'_> {
    /// Counts more bytes. May end this session or others, if there are too many.
    fn grow(&mut self, bytes: usize) {
        let before = self.bytes;
        self.bytes += bytes;
        self.session.change_unfinished(before, self.bytes);
    }
}

impl Drop for BodyBytes<'_> {
    fn drop(&mut self) {
        self.session.change_unfinished(self.bytes, 0);
    }
}

/// A body that fails, on which hyper closes the connection without completing the response. The client sees
/// a network error, after which every stock client reconnects.
struct CutBody;

impl hyper::body::Body for CutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}

fn refuse(session: &Session, error: TransportConflict) -> HttpError {
    if error == TransportConflict::Overlap {
        session.end(Reason::TransportError);
    }
    HttpError::BadRequest
}

/// Ends the session if the request is dropped before its answer: the client would miss that answer.
struct RequestGuard<'a> {
    session: &'a Session,
    armed: bool,
}

impl RequestGuard<'_> {
    fn finished(mut self) {
        self.armed = false;
    }
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.session.end(Reason::TransportClose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
        accepts_gzip(&headers)
    }

    #[test]
    fn gzip_is_used_only_if_the_client_accepts_it() {
        for value in ["gzip", "br, gzip;q=0.5", "GZIP", "*"] {
            assert!(accepting(value), "{value}");
        }
        for value in ["", "br", "gzip;q=0", "gzip; q=0.0, br"] {
            assert!(!accepting(value), "{value}");
        }
    }

    #[test]
    fn only_octet_streams_are_refused() {
        let mut headers = HeaderMap::new();
        assert!(is_text(&headers));
        for (value, expected) in [
            ("text/plain;charset=UTF-8", true),
            ("application/x-www-form-urlencoded", true),
            ("application/octet-stream", false),
            ("Application/Octet-Stream; x=y", false),
        ] {
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(is_text(&headers), expected, "{value}");
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_bytes(b"text/\xff").unwrap(),
        );
        assert!(!is_text(&headers));
    }
}
