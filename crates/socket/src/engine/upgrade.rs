//! The WebSocket opening handshake: detection of the request and the 101 response.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use roomful_wire::frame;

use super::http_error::HttpError;

/// Whether the request asks for a WebSocket (RFC 6455, 4.2.1).
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(token))
        })
}

/// The first subprotocol that the client offers. The stock server selects it too, and browsers refuse a
/// connection without a selection.
fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offered.split(',').next()?.trim();
    let is_token = !first.is_empty()
        && first
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if is_token {
        HeaderValue::from_str(first).ok()
    } else {
        None
    }
}

/// The 101 response (RFC 6455, 4.2.2), if the request is valid.
pub(super) fn switch_protocols(headers: &HeaderMap) -> Result<Response<Body>, HttpError> {
    let version = headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .map(HeaderValue::as_bytes);
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok());
    let (Some(b"13"), Some(key), true) = (version, key, has_token(headers, &header::CONNECTION, "upgrade"))
    else {
        return Err(HttpError::BadRequest);
    };
    if !frame::is_valid_key(key) {
        return Err(HttpError::BadRequest);
    }
    let accept = HeaderValue::try_from(frame::accept_key(key)).map_err(|_| HttpError::BadRequest)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    out.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    out.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = first_protocol(headers) {
        out.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(offered: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        if let Some(offered) = offered {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered.parse().unwrap());
        }
        let response = switch_protocols(&headers).ok().unwrap();
        let selected = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL)?;
        Some(selected.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_first_offered_subprotocol_is_selected() {
        assert_eq!(selected(None), None);
        assert_eq!(selected(Some("chat")).as_deref(), Some("chat"));
        assert_eq!(selected(Some("v1.chat , v2.chat")).as_deref(), Some("v1.chat"));
        assert_eq!(selected(Some("no token, chat")), None);
        assert_eq!(selected(Some("")), None);
    }
}
