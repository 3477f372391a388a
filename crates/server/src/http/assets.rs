//! The chat page and the console: files that `build.rs` packs into the binary, served with caching and
//! security headers.

use std::{collections::HashMap, io::Write as _};

use axum::{body::Body, response::IntoResponse};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::Problem;

/// The prefix of the chat page's files that have their hash in their name.
const HASHED_PREFIX: &str = "/assets/";
const INDEX: &str = "/index.html";
/// The same for the console. All its files are below `CONSOLE`.
const CONSOLE_HASHED_PREFIX: &str = "/console/assets/";
const CONSOLE_INDEX: &str = "/console/index.html";
const CONSOLE: &str = "/console/";
const NOT_BUILT: &[u8] = b"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Roomful</title>\
    <h1>Roomful is running</h1><p>This binary has no chat page. To get it, install Node 20 or later, run \
    <code>npm ci &amp;&amp; npm run build -w apps/web</code>, and build the server again; or just \
    <code>make run</code>.</p><p>Socket.IO clients connect here all the same.</p></html>\n";
const CONSOLE_NOT_BUILT: &[u8] =
    b"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Roomful</title>\
    <h1>The console is missing</h1><p>This binary has no console. To get it, install Node 20 or later, run \
    <code>npm ci &amp;&amp; npm run build -w apps/console</code>, and build the server again.</p>\
    </html>\n";

/// One file of a page, as `build.rs` packed it.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: &'static str,
    pub(crate) hash: &'static str,
    pub(crate) identity: &'static [u8],
    pub(crate) gzip: Option<&'static [u8]>,
    pub(crate) brotli: Option<&'static [u8]>,
}

/// The pages in this binary, without those that were not built.
pub(crate) static BUILT: &[File] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// One file in every encoding, with its headers.
struct Asset {
    identity: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
    etag: HeaderValue,
    kind: &'static str,
    immutable: bool,
}

/// All files of the pages, by path.
pub(crate) struct Assets {
    files: HashMap<&'static str, Asset>,
    /// Further sources of the chat page's scripts and styles, with a space in front of each.
    sources: String,
}

impl Assets {
    /// Prepares `files`. A non-empty `assets_url` replaces `/assets/` in the chat page, and its content
    /// security policy then allows scripts and styles from `assets_origin`. The console, where people type
    /// API keys, loads scripts from this server alone.
    ///
    /// With a non-empty `base_path` the pages learn it from a `meta` element.
    pub(crate) fn new(
        files: &'static [File],
        assets_url: &str,
        assets_origin: Option<&str>,
        base_path: &str,
    ) -> Self {
        let mut ready: HashMap<_, _> = files
            .iter()
            .map(|file| (file.path, Asset::packed(file)))
            .collect();
        for (path, prefix, assets_url, not_built) in [
            (INDEX, HASHED_PREFIX, assets_url, NOT_BUILT),
            (CONSOLE_INDEX, CONSOLE_HASHED_PREFIX, "", CONSOLE_NOT_BUILT),
        ] {
            let index = files.iter().find(|file| file.path == path);
            if let Some(index) = index
                && !(assets_url.is_empty() && base_path.is_empty())
            {
                ready.insert(path, Asset::rewritten(index, prefix, assets_url, base_path));
            }
            if index.is_none() {
                ready.insert(path, Asset::plain(Bytes::from_static(not_built), "not-built"));
            }
        }
        Assets {
            files: ready,
            sources: assets_origin
                .map(|origin| format!(" {origin}"))
                .unwrap_or_default(),
        }
    }

    /// Whether `files` contain the chat page.
    pub(crate) fn is_built(files: &[File]) -> bool {
        files.iter().any(|file| file.path == INDEX)
    }

    /// The response to a request for `path`: the file, 304, 404 or 405. `host` is the host that the browser
    /// used.
    pub(crate) fn answer(
        &self,
        method: &Method,
        path: &str,
        request: &HeaderMap,
        host: Option<&str>,
    ) -> Response<Body> {
        let path = match path {
            "/" => INDEX,
            "/console" | CONSOLE => CONSOLE_INDEX,
            path => path,
        };
        let Some(file) = self.files.get(path) else {
            return Problem::NotFound.into_response();
        };
        if method != Method::GET && method != Method::HEAD {
            return Problem::Method.into_response();
        }
        let mut response = file.response(request);
        let policy = if path.starts_with(CONSOLE) {
            // It opens no sockets.
            policy("", None)
        } else {
            policy(&self.sources, host)
        };
        Self::secure(response.headers_mut(), policy);
        response
    }

    fn secure(headers: &mut HeaderMap, policy: HeaderValue) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(
            "cross-origin-opener-policy",
            HeaderValue::from_static("same-origin"),
        );
    }
}

impl Asset {
    fn packed(file: &File) -> Self {
        Asset {
            identity: Bytes::from_static(file.identity),
            gzip: file.gzip.map(Bytes::from_static),
            brotli: file.brotli.map(Bytes::from_static),
            etag: etag(file.hash),
            kind: kind(file.path),
            immutable: [HASHED_PREFIX, CONSOLE_HASHED_PREFIX]
                .iter()
                .any(|prefix| file.path.starts_with(prefix)),
        }
    }

    /// The page with the URLs of its files replaced. Compressed here, since the build did not know the
    /// settings.
    fn rewritten(index: &File, prefix: &str, assets_url: &str, base_path: &str) -> Self {
        let url = if assets_url.is_empty() {
            format!("{base_path}{prefix}")
        } else {
            assets_url.to_owned()
        };
        let base = format!("<head><meta name=\"roomful-base\" content=\"{base_path}\">");
        let mut text =
            String::from_utf8_lossy(index.identity).replace(&format!("\"{prefix}"), &format!("\"{url}"));
        if !base_path.is_empty() {
            text = text.replacen("<head>", &base, 1);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = encoder
            .write_all(text.as_bytes())
            .and_then(|()| encoder.finish())
            .ok()
            .map(Bytes::from);
        let hash = format!("{}-{:08x}", index.hash, text.len());
        Asset {
            gzip,
            ..Asset::plain(Bytes::from(text), &hash)
        }
    }

    fn plain(identity: Bytes, hash: &str) -> Self {
        Asset {
            identity,
            gzip: None,
            brotli: None,
            etag: etag(hash),
            kind: kind(INDEX),
            immutable: false,
        }
    }

    fn response(&self, request: &HeaderMap) -> Response<Body> {
        let cache = if self.immutable {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if self.immutable {
            // With `assets_url` a page on another origin loads these scripts, which needs CORS. The files are
            // public.
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        if matches_etag(request, &self.etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        let (encoding, bytes) = self.encoding(request);
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        *response.body_mut() = Body::from(bytes.clone());
        response
    }

    fn encoding(&self, request: &HeaderMap) -> (Option<&'static str>, &Bytes) {
        [("br", &self.brotli), ("gzip", &self.gzip)]
            .into_iter()
            .find_map(|(name, bytes)| Some((Some(name), bytes.as_ref().filter(|_| accepts(request, name))?)))
            .unwrap_or((None, &self.identity))
    }
}

/// A weak tag, since all encodings of a file share it (RFC 9110, section 8.8.1).
fn etag(hash: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("W/\"{hash}\"")).unwrap_or_else(|_| HeaderValue::from_static("W/\"0\""))
}

fn matches_etag(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let ours = etag.to_str().map(opaque).unwrap_or_default();
    values(request, header::IF_NONE_MATCH).any(|tag| tag == "*" || opaque(&tag) == ours)
}

fn accepts(request: &HeaderMap, encoding: &str) -> bool {
    values(request, header::ACCEPT_ENCODING).any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((&offer, ""));
        let weight = weight
            .trim()
            .trim_start_matches("q=")
            .parse::<f32>()
            .unwrap_or(1.0);
        name.trim().eq_ignore_ascii_case(encoding) && weight > 0.0
    })
}

/// The items of a list header, over all its lines.
fn values(request: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = String> {
    let lines = request
        .get_all(name)
        .into_iter()
        .filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|item| item.trim().to_owned())
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The content security policy. The page connects only to its own host; older browsers do not count a `ws:`
/// URL of that host as `'self'`, so they are named.
fn policy(sources: &str, host: Option<&str>) -> HeaderValue {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let sockets = host
        .filter(|host| !host.is_empty() && host.chars().all(is_plain))
        .map(|host| format!(" ws://{host} wss://{host}"))
        .unwrap_or_default();
    let text = format!(
        "default-src 'self'{sources}; connect-src 'self'{sockets}; object-src 'none'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&text)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAGE: &[File] = &[
        File {
            path: "/assets/main-abc.js",
            hash: "11",
            identity: b"plain",
            gzip: Some(b"zipped"),
            brotli: Some(b"brotli"),
        },
        File {
            path: "/index.html",
            hash: "22",
            identity: b"<script src=\"/assets/main-abc.js\"></script>",
            gzip: None,
            brotli: None,
        },
    ];

    fn get(assets: &Assets, path: &str, headers: &[(&'static str, &str)]) -> Response<Body> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        assets.answer(&Method::GET, path, &headers, Some("chat.example"))
    }

    async fn body(response: Response<Body>) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_best_accepted_encoding_is_sent() {
        let assets = Assets::new(PAGE, "", None, "");
        for (accepted, encoding, text) in [
            ("gzip, deflate, br", Some("br"), "brotli"),
            ("gzip", Some("gzip"), "zipped"),
            ("br;q=0, gzip;q=0.5", Some("gzip"), "zipped"),
            ("identity", None, "plain"),
        ] {
            let response = get(&assets, "/assets/main-abc.js", &[("accept-encoding", accepted)]);
            assert_eq!(
                response
                    .headers()
                    .get("content-encoding")
                    .map(|value| value.to_str().unwrap()),
                encoding
            );
            assert_eq!(response.headers()["vary"], "accept-encoding");
            assert_eq!(body(response).await, text, "{accepted}");
        }
    }

    #[test]
    fn hashed_files_are_immutable_and_the_page_is_revalidated() {
        let assets = Assets::new(PAGE, "", None, "");
        let script = get(&assets, "/assets/main-abc.js", &[]);
        assert_eq!(
            script.headers()["cache-control"],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
        assert_eq!(get(&assets, "/", &[]).headers()["cache-control"], "no-cache");
    }

    #[test]
    fn a_known_etag_answers_not_modified() {
        let assets = Assets::new(PAGE, "", None, "");
        let etag = get(&assets, "/", &[]).headers()["etag"]
            .to_str()
            .unwrap()
            .to_owned();
        for (given, status) in [
            (etag.as_str(), 304),
            ("\"x\", \"22\"", 304),
            ("*", 304),
            ("\"x\"", 200),
        ] {
            let response = get(&assets, "/", &[("if-none-match", given)]);
            assert_eq!(response.status(), status, "{given}");
            assert!(response.headers().contains_key("content-security-policy"));
        }
    }

    #[tokio::test]
    async fn assets_url_replaces_the_prefix_of_the_pages_files() {
        let assets = Assets::new(PAGE, "https://cdn.example/x/", Some("https://cdn.example"), "");
        let response = get(&assets, "/index.html", &[]);
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        let expected = "default-src 'self' https://cdn.example; \
             connect-src 'self' ws://chat.example wss://chat.example;";
        assert!(policy.starts_with(expected), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(
            body(response).await,
            "<script src=\"https://cdn.example/x/main-abc.js\"></script>"
        );
    }

    #[tokio::test]
    async fn the_page_below_a_base_path_finds_its_files_and_learns_the_path() {
        static INDEX_WITH_HEAD: &[File] = &[File {
            path: "/index.html",
            hash: "33",
            identity: b"<head></head><script src=\"/assets/main-abc.js\"></script>",
            gzip: None,
            brotli: None,
        }];
        let assets = Assets::new(INDEX_WITH_HEAD, "", None, "/chat");
        assert_eq!(
            body(get(&assets, "/", &[])).await,
            "<head><meta name=\"roomful-base\" content=\"/chat\"></head>\
             <script src=\"/chat/assets/main-abc.js\"></script>"
        );
    }

    #[tokio::test]
    async fn the_console_loads_its_files_from_this_server_alone() {
        static PAGES: &[File] = &[
            File {
                path: "/console/assets/main-abc.js",
                hash: "44",
                identity: b"plain",
                gzip: None,
                brotli: None,
            },
            File {
                path: "/console/index.html",
                hash: "55",
                identity: b"<head></head><script src=\"/console/assets/main-abc.js\"></script>",
                gzip: None,
                brotli: None,
            },
        ];
        let assets = Assets::new(
            PAGES,
            "https://cdn.example/x/",
            Some("https://cdn.example"),
            "/chat",
        );
        for path in ["/console", "/console/", "/console/index.html"] {
            let response = get(&assets, path, &[]);
            let policy = response.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .to_owned();
            assert!(
                policy.starts_with("default-src 'self'; connect-src 'self'; "),
                "{policy}"
            );
            assert_eq!(response.headers()["cache-control"], "no-cache");
            assert_eq!(
                body(response).await,
                "<head><meta name=\"roomful-base\" content=\"/chat\"></head>\
                 <script src=\"/chat/console/assets/main-abc.js\"></script>"
            );
        }
        let script = get(&assets, "/console/assets/main-abc.js", &[]);
        assert_eq!(
            script.headers()["cache-control"],
            "public, max-age=31536000, immutable"
        );
        assert!(body(get(&assets, "/", &[])).await.contains("has no chat page"));
    }

    #[test]
    fn a_host_cannot_extend_the_content_security_policy() {
        let assets = Assets::new(PAGE, "", None, "");
        for host in [Some("evil.example; script-src *"), Some("a b"), Some(""), None] {
            let response = assets.answer(&Method::GET, "/", &HeaderMap::new(), host);
            let policy = response.headers()["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("connect-src 'self';"), "{host:?}: {policy}");
        }
    }

    #[tokio::test]
    async fn without_a_page_the_server_explains_how_to_build_it() {
        let assets = Assets::new(&[], "", None, "");
        let response = get(&assets, "/", &[]);
        assert_eq!(response.status(), 200);
        assert!(body(response).await.contains("has no chat page"));
        assert!(
            body(get(&assets, "/console", &[]))
                .await
                .contains("has no console")
        );
        assert_eq!(get(&assets, "/assets/none.js", &[]).status(), 404);
        assert_eq!(get(&assets, "/console/assets/none.js", &[]).status(), 404);
    }

    #[test]
    fn methods_other_than_get_and_head_are_refused() {
        let assets = Assets::new(PAGE, "", None, "");
        assert_eq!(
            assets
                .answer(&Method::POST, "/", &HeaderMap::new(), None)
                .status(),
            405
        );
        assert_eq!(
            assets
                .answer(&Method::GET, "/../secret", &HeaderMap::new(), None)
                .status(),
            404
        );
    }
}
