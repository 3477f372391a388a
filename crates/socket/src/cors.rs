//! The check of request origins, for long-polling (CORS) and for WebSocket. Browsers let any page open a
//! WebSocket, so without this check a foreign page could connect in the name of its visitor.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use tokio::time::Instant;
use url::Url;

use crate::throttled_log::ThrottledLog;

/// How often a log line about refused origins may appear.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// How many characters of a refused origin the log shows.
const LOG_CHARS: usize = 100;

/// The origins that may connect. Requests without an `Origin` header (from anything but a browser) and
/// requests from the server's own origin are always allowed.
///
/// Origins are compared as URLs: the case of scheme and host, default ports, and the spelling of
/// international domain names make no difference.
#[derive(Debug, Clone)]
pub struct Cors {
    any: bool,
    loopback: bool,
    origins: Vec<Origin>,
    /// Whether pages may send cookies.
    credentials: bool,
    methods: HeaderValue,
    /// The request's headers that pages may set. `None` allows all that a page asks for.
    allowed_headers: Option<HeaderValue>,
    exposed_headers: Option<HeaderValue>,
    max_age: Duration,
    refused_log: Arc<ThrottledLog>,
}

/// The host and scheme that the client used, if a proxy changed them. A request extension for [`Cors`]; set
/// it only from headers of a trusted proxy, such as `X-Forwarded-Host` and `X-Forwarded-Proto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedHost {
    /// The value of the client's `Host` header. `None` if the proxy did not change it.
    pub host: Option<Box<str>>,
    /// `http` or `https`, if the proxy says which.
    pub scheme: Option<Box<str>>,
}

/// A parsed origin.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// The opaque origin of sandboxed pages and local files.
    Null,
    /// A scheme, a host and a port, where the scheme has one.
    Tuple {
        scheme: String,
        host: String,
        port: Option<u16>,
    },
}

/// An allowed request, with the CORS headers of its response.
pub(crate) struct Grant<'a> {
    cors: &'a Cors,
    /// The request's origin, to be named in the response.
    origin: Option<HeaderValue>,
}

impl Default for Cors {
    fn default() -> Self {
        Cors::list(std::iter::empty::<String>())
    }
}

impl Cors {
    /// Allows every origin. Clients still need a token, but any page that has one can use it.
    pub fn any() -> Self {
        Cors {
            any: true,
            credentials: false,
            ..Cors::default()
        }
    }

    /// Allows only these origins: scheme, host and, unless it is the scheme's default, port, without a path
    /// (`https://example.com`). Schemes of app frameworks (`capacitor://localhost`, `tauri://localhost`,
    /// `chrome-extension://…`) and `null` are possible too. An entry that is no origin matches nothing; see
    /// [`Cors::is_origin`].
    pub fn list<S: Into<String>>(origins: impl IntoIterator<Item = S>) -> Self {
        Cors {
            any: false,
            loopback: false,
            origins: origins
                .into_iter()
                .filter_map(|origin| Origin::parse(&origin.into()))
                .collect(),
            credentials: true,
            methods: HeaderValue::from_static("GET,POST"),
            allowed_headers: None,
            exposed_headers: None,
            max_age: Duration::from_mins(10),
            refused_log: Arc::new(ThrottledLog::new(LOG_INTERVAL)),
        }
    }

    /// Whether pages that this machine serves may connect, on any port: `localhost` and loopback addresses
    /// (no). For development, where the page comes from a server of its own.
    pub fn loopback(mut self, loopback: bool) -> Self {
        self.loopback = loopback;
        self
    }

    /// Whether pages may send cookies and other credentials (yes, if origins are listed; no, if any may
    /// connect).
    pub fn credentials(mut self, credentials: bool) -> Self {
        self.credentials = credentials;
        self
    }

    /// The methods that preflight answers name (`GET,POST`, all that the protocol uses).
    pub fn methods(mut self, methods: impl IntoIterator<Item = http::Method>) -> Self {
        self.methods = joined(methods.into_iter().map(|method| method.to_string()));
        self
    }

    /// The headers that pages may set (all that they ask for).
    pub fn allowed_headers(mut self, headers: impl IntoIterator<Item = http::HeaderName>) -> Self {
        self.allowed_headers = Some(joined(headers.into_iter().map(|name| name.to_string())));
        self
    }

    /// The headers of answers that pages may read (none beyond the browser's own list).
    pub fn exposed_headers(mut self, headers: impl IntoIterator<Item = http::HeaderName>) -> Self {
        self.exposed_headers = Some(joined(headers.into_iter().map(|name| name.to_string())));
        self
    }

    /// How long browsers may keep a preflight answer (10 min).
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Whether `text` is an origin that [`Cors::list`] understands.
    pub fn is_origin(text: &str) -> bool {
        Origin::parse(text).is_some()
    }

    /// Checks the request's origin. `None` means that it may not connect.
    pub(crate) fn check(&self, request: &Request<Body>) -> Option<Grant<'_>> {
        let headers = request.headers();
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Some(Grant {
                cors: self,
                origin: None,
            });
        };
        let allowed = self.any || self.allows(origin, request);
        if !allowed {
            self.refuse(origin, headers);
        }
        allowed.then(|| Grant {
            cors: self,
            origin: Some(origin.clone()),
        })
    }

    fn allows(&self, origin: &HeaderValue, request: &Request<Body>) -> bool {
        let origin = origin.to_str().ok().and_then(Origin::parse);
        origin.is_some_and(|origin| {
            self.origins.contains(&origin)
                || origin.is_of_host(request)
                || (self.loopback && origin.is_loopback())
        })
    }

    fn refuse(&self, origin: &HeaderValue, headers: &HeaderMap) {
        if let Some(count) = self.refused_log.record(Instant::now()) {
            let text = |value: &HeaderValue| -> String {
                String::from_utf8_lossy(value.as_bytes())
                    .chars()
                    .take(LOG_CHARS)
                    .collect()
            };
            let origin = text(origin);
            let host = headers.get(header::HOST).map(text).unwrap_or_default();
            tracing::warn!(
                %origin,
                %host,
                count,
                "refused the origin of a web page; if the page is yours, allow it: with Cors::list, or in \
                 the server's http.origins"
            );
        }
    }
}

/// A header value of names joined by commas.
fn joined(names: impl Iterator<Item = String>) -> HeaderValue {
    let names: Vec<String> = names.collect();
    // Methods and header names are valid in headers.
    HeaderValue::try_from(names.join(",")).unwrap_or(HeaderValue::from_static(""))
}

impl Origin {
    /// Parses an origin as browsers write it in the `Origin` header. A slash at the end is no part of an
    /// origin.
    fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Origin::Null);
        }
        let (scheme, authority) = text.split_once("://")?;
        let is_plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '?' | '#' | '@' | '*' | ' ');
        if authority.is_empty() || !authority.chars().all(is_plain) {
            return None;
        }
        let url = Url::parse(text).ok()?;
        // The parser would skip some characters that browsers do not send.
        let scheme_matches = url.scheme().eq_ignore_ascii_case(scheme);
        let host = url.host_str().filter(|host| !host.is_empty())?;
        scheme_matches.then(|| Origin::Tuple {
            scheme: url.scheme().to_owned(),
            host: host.to_ascii_lowercase(),
            port: url.port_or_known_default(),
        })
    }

    /// Whether a page of this machine has this origin.
    fn is_loopback(&self) -> bool {
        let Origin::Tuple { host, .. } = self else {
            return false;
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// Whether a page of the request's own host has this origin. Without a trusted proxy the request's
    /// scheme is unknown, since a proxy may have removed TLS; a `Host` without a port then fits either
    /// scheme.
    fn is_of_host(&self, request: &Request<Body>) -> bool {
        let Origin::Tuple { scheme, .. } = self else {
            return false;
        };
        if !matches!(scheme.as_str(), "http" | "https") {
            return false;
        }
        let forwarded = request.extensions().get::<ForwardedHost>();
        let known_scheme = forwarded.and_then(|forwarded| forwarded.scheme.as_deref());
        if known_scheme.is_some_and(|known| !known.eq_ignore_ascii_case(scheme)) {
            return false;
        }
        let named = forwarded.and_then(|forwarded| forwarded.host.as_deref());
        let own = || request.headers().get(header::HOST)?.to_str().ok();
        let Some(host) = named.or_else(own) else {
            return false;
        };
        Origin::parse(&format!("{scheme}://{host}")).as_ref() == Some(self)
    }
}

impl Grant<'_> {
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        if let Some(origin) = &self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if self.cors.credentials {
                headers.insert(
                    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
            }
            if let Some(exposed) = &self.cors.exposed_headers {
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
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
        let cors = self.cors;
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, cors.methods.clone());
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, cors.max_age.as_secs().into());
        let wanted = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(wanted) = cors.allowed_headers.as_ref().or(wanted) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(origin: Option<&str>, host: &str) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            let origin = HeaderValue::from_bytes(origin.as_bytes()).unwrap();
            request.headers_mut().insert(header::ORIGIN, origin);
        }
        request
    }

    fn allowed(cors: &Cors, origin: Option<&str>, host: &str) -> bool {
        cors.check(&request(origin, host)).is_some()
    }

    #[test]
    fn only_listed_origins_pass() {
        let cors = Cors::list(["https://app.example"]);
        assert!(allowed(&cors, None, "api.example"));
        for origin in [
            "https://app.example",
            "https://APP.example",
            "https://app.example:443",
        ] {
            assert!(allowed(&cors, Some(origin), "api.example"), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://app.example:8443",
            "http://app.example",
            "http://app.example:443",
            "https://app.example.evil",
            "https://evil-app.example",
            "https://app.example/",
            "https://app.example@evil.example",
            "https://sub.app.example",
            "https:app.example",
            "https:///app.example",
            "https://app.example\\.evil",
        ] {
            assert!(!allowed(&cors, Some(origin), "api.example"), "{origin}");
        }
    }

    #[test]
    fn international_names_pass_in_either_spelling() {
        let cors = Cors::list(["https://bücher.example"]);
        assert!(allowed(
            &cors,
            Some("https://xn--bcher-kva.example"),
            "api.example"
        ));
        let cors = Cors::list(["https://xn--bcher-kva.example"]);
        assert!(allowed(
            &cors,
            Some("https://xn--bcher-kva.example:443"),
            "api.example"
        ));
    }

    #[test]
    fn app_frameworks_and_null_can_be_listed() {
        let origins = [
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "chrome-extension://abcdefghijklmnop",
            "null",
        ];
        let cors = Cors::list(origins);
        for origin in origins {
            assert!(Cors::is_origin(origin), "{origin}");
            assert!(allowed(&cors, Some(origin), "api.example"), "{origin}");
            assert!(!allowed(&Cors::default(), Some(origin), "localhost"), "{origin}");
        }
        assert!(!allowed(&cors, Some("capacitor://other"), "api.example"));
        for wrong in [
            "",
            "*",
            "localhost",
            "https://",
            "https://a/b",
            "https://*.example",
            "https://a b",
        ] {
            assert!(!Cors::is_origin(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_servers_own_page_passes_only_from_its_own_port() {
        let cors = Cors::default();
        for (origin, host) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3000"),
            ("https://chat.example", "chat.example"),
            ("https://chat.example", "Chat.Example:443"),
            ("http://chat.example", "chat.example:80"),
            ("http://chat.example:80", "chat.example"),
            ("http://[::1]:3000", "[::1]:3000"),
        ] {
            assert!(allowed(&cors, Some(origin), host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://127.0.0.1:3001", "127.0.0.1:3000"),
            ("file://127.0.0.1:3000", "127.0.0.1:3000"),
            ("https://chat.example", "chat.example:80"),
            ("https://chat.example", "evil.example"),
            ("null", "null"),
        ] {
            assert!(!allowed(&cors, Some(origin), host), "{origin} {host}");
        }
    }

    #[test]
    fn a_trusted_proxy_names_the_host_and_the_scheme_of_the_client() {
        let forwarded = |host: Option<&str>, scheme: Option<&str>, origin: &str| {
            let mut request = request(Some(origin), "internal:3000");
            request.extensions_mut().insert(ForwardedHost {
                host: host.map(Into::into),
                scheme: scheme.map(Into::into),
            });
            Cors::default().check(&request).is_some()
        };
        assert!(forwarded(
            Some("chat.example"),
            Some("https"),
            "https://chat.example"
        ));
        assert!(forwarded(Some("chat.example"), None, "https://chat.example"));
        assert!(!forwarded(
            Some("chat.example"),
            Some("https"),
            "http://chat.example"
        ));
        assert!(!forwarded(None, None, "https://chat.example"));
        assert!(forwarded(None, Some("http"), "http://internal:3000"));
    }

    #[test]
    fn pages_of_this_machine_can_be_allowed_on_any_port() {
        let cors = Cors::list(["https://app.example"]).loopback(true);
        for origin in [
            "http://localhost:5173",
            "http://127.0.0.1:8080",
            "https://[::1]:3001",
            "https://app.example",
        ] {
            assert!(allowed(&cors, Some(origin), "127.0.0.1:3000"), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost.evil.example",
            "http://evil.example",
            "http://192.168.1.5:5173",
        ] {
            assert!(!allowed(&cors, Some(origin), "127.0.0.1:3000"), "{origin}");
        }
        assert!(!allowed(
            &Cors::default(),
            Some("http://localhost:5173"),
            "127.0.0.1:3000"
        ));
    }

    #[test]
    fn any_allows_every_origin() {
        assert!(allowed(&Cors::any(), Some("null"), "x"));
    }
}
