//! Which web pages may connect. The same check serves long-polling (CORS) and WebSocket, which browsers let any page
//! open: without it, a foreign page could connect in the name of whoever visits it.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// The origins that may connect. Requests without an `Origin` header (anything but a browser) and requests of the
/// page's own origin are always allowed.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    any: bool,
    origins: Vec<String>,
}

/// An allowed request; knows the headers of its answer.
pub(crate) struct Grant {
    /// May the page's own cookies come along? Not where every page may connect.
    credentials: bool,
    /// The origin to name in the answer; `None` for a request without one.
    origin: Option<HeaderValue>,
}

impl Cors {
    /// Every origin may connect. Fit for public demos: a token is still needed, but any page may use one it has.
    pub fn any() -> Self {
        Cors {
            any: true,
            origins: Vec::new(),
        }
    }

    /// Just these origins, each exactly as a browser sends it: scheme, host, and port unless it is the scheme's own,
    /// without a path (`https://example.com`).
    pub fn list<S: Into<String>>(origins: impl IntoIterator<Item = S>) -> Self {
        Cors {
            any: false,
            origins: origins.into_iter().map(Into::into).collect(),
        }
    }

    /// `None`: the origin may not connect.
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

/// Did a page that came from this very host and port make the request?
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

    /// The answer to an OPTIONS request.
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
    fn only_exact_origins_pass() {
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
    fn the_servers_own_page_passes_on_its_own_port_only() {
        let cors = Cors::default();
        assert!(allowed(&cors, Some("http://127.0.0.1:3000"), "127.0.0.1:3000"));
        assert!(!allowed(&cors, Some("http://127.0.0.1:3001"), "127.0.0.1:3000"));
        assert!(!allowed(&cors, Some("file://127.0.0.1:3000"), "127.0.0.1:3000"));
    }

    #[test]
    fn any_means_any() {
        assert!(allowed(&Cors::any(), Some("null"), "x"));
    }
}
