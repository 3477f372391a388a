//! The check of request origins, for long-polling (CORS) and for WebSocket. Browsers let any page open a
//! WebSocket, so without this check a foreign page could connect in the name of its visitor.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// The origins that may connect. Requests without an `Origin` header (from anything but a browser) and
/// requests from the server's own origin are always allowed.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    any: bool,
    origins: Vec<String>,
}

/// An allowed request, with the CORS headers of its response.
pub(crate) struct Grant {
    /// Whether the page may send cookies. Never if all origins may connect.
    credentials: bool,
    /// The request's origin, to be named in the response.
    origin: Option<HeaderValue>,
}

impl Cors {
    /// Allows every origin. Clients still need a token, but any page that has one can use it.
    pub fn any() -> Self {
        Cors {
            any: true,
            origins: Vec::new(),
        }
    }

    /// Allows only these origins. Write each as a browser sends it: scheme, host and, unless it is the
    /// scheme's default, port, without a path (`https://example.com`).
    pub fn list<S: Into<String>>(origins: impl IntoIterator<Item = S>) -> Self {
        Cors {
            any: false,
            origins: origins.into_iter().map(Into::into).collect(),
        }
    }

    /// Checks the request's origin. `None` means that it may not connect.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Option<Grant> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Some(Grant {
                credentials: false,
                origin: None,
            });
        };
        let text = origin.to_str().ok()?;
        let allowed =
            self.any || self.origins.iter().any(|allowed| allowed == text) || is_same(text, headers);
        allowed.then(|| Grant {
            credentials: !self.any,
            origin: Some(origin.clone()),
        })
    }
}

/// Whether the request comes from a page of this host and port.
fn is_same(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    matches!((host, authority), (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority))
}

impl Grant {
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        if let Some(origin) = &self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if self.credentials {
                headers.insert(
                    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
            }
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// The response to an OPTIONS request.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        self.apply(headers);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET,POST"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &Cors, origin: Option<&str>, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        cors.check(&headers).is_some()
    }

    #[test]
    fn only_listed_origins_pass() {
        let cors = Cors::list(["https://app.example"]);
        assert!(allowed(&cors, None, "api.example"));
        assert!(allowed(&cors, Some("https://app.example"), "api.example"));
        for origin in [
            "null",
            "",
            "https://APP.example",
            "https://app.example:8443",
            "http://app.example",
            "https://app.example.evil",
            "https://evil-app.example",
            "https://app.example/",
            "https://sub.app.example",
        ] {
            assert!(!allowed(&cors, Some(origin), "api.example"), "{origin}");
        }
    }

    #[test]
    fn the_servers_own_page_passes_only_from_its_own_port() {
        let cors = Cors::default();
        assert!(allowed(&cors, Some("http://127.0.0.1:3000"), "127.0.0.1:3000"));
        assert!(!allowed(&cors, Some("http://127.0.0.1:3001"), "127.0.0.1:3000"));
        assert!(!allowed(&cors, Some("file://127.0.0.1:3000"), "127.0.0.1:3000"));
    }

    #[test]
    fn any_allows_every_origin() {
        assert!(allowed(&Cors::any(), Some("null"), "x"));
    }
}
