//! An issuer of tokens: an HTTP server with a discovery document and a JWK Set, and keys that a test rotates.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use parking_lot::Mutex;
use rcgen::{KeyPair, RsaKeySize};
use roomful_testkit::{PATIENCE, token::now};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// The issuer's reaction to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers with the documents.
    Serve,
    /// Answers once the mood is another.
    Hold,
    /// Answers 302 to itself.
    Redirect,
    /// Answers this status.
    Answer(u16),
    /// Answers with a document of this many bytes.
    Oversized(usize),
    /// Answers with the discovery document of another issuer.
    OtherIssuer,
    /// Answers with a discovery document whose `jwks_uri` is a file.
    FileUri,
    /// Answers with a JWK Set without keys.
    NoKeys,
}

/// A key pair of an issuer.
#[derive(Clone)]
pub(crate) struct Key {
    algorithm: Algorithm,
    kid: Option<String>,
    pub(crate) signing: EncodingKey,
    /// The public key as the issuer publishes it.
    pub(crate) public: Value,
    pub(crate) public_pem: String,
}

impl Key {
    /// Generates a key for one algorithm.
    pub(crate) fn new(algorithm: Algorithm, kid: &str) -> Self {
        let pair = match algorithm {
            Algorithm::ES256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Algorithm::ES384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Algorithm::EdDSA => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            _ => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        };
        let pair = pair.unwrap();
        let pem = pair.serialize_pem();
        let signing = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let signing = signing.unwrap();
        let mut public = match algorithm {
            // The library cannot derive this one.
            Algorithm::EdDSA => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
                json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x })
            }
            _ => serde_json::to_value(Jwk::from_encoding_key(&signing, algorithm).unwrap()).unwrap(),
        };
        public["kid"] = json!(kid);
        public["use"] = json!("sig");
        Self {
            algorithm,
            kid: Some(kid.to_owned()),
            signing,
            public,
            public_pem: pair.public_key_pem(),
        }
    }

    /// The same key for another algorithm; the published one allows every algorithm of its type.
    pub(crate) fn for_any(&self, algorithm: Algorithm) -> Self {
        let mut key = self.clone();
        key.algorithm = algorithm;
        key.public.as_object_mut().unwrap().remove("alg");
        key
    }

    /// The same key, and tokens without a `kid`.
    pub(crate) fn unnamed(&self) -> Self {
        Self {
            kid: None,
            ..self.clone()
        }
    }

    /// The same key, and tokens with this `kid`.
    pub(crate) fn named(&self, kid: &str) -> Self {
        Self {
            kid: Some(kid.to_owned()),
            ..self.clone()
        }
    }

    /// A token with exactly these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: self.kid.clone(),
            ..Header::new(self.algorithm)
        };
        encode(&header, claims, &self.signing).unwrap()
    }
}

/// An issuer on its own port. Dropping it stops it.
pub(crate) struct Issuer {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    url: String,
    keys: Mutex<Vec<Value>>,
    mood: watch::Sender<Mood>,
    /// Requests so far: for the discovery document, and for the JWK Set.
    requests: watch::Sender<(usize, usize)>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            url: format!("http://{addr}"),
            keys: Mutex::default(),
            mood: watch::Sender::new(Mood::Serve),
            requests: watch::Sender::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        let issuer = Self { addr, shared, task };
        issuer.publish(keys);
        issuer
    }

    /// The `iss` of its tokens.
    pub(crate) fn url(&self) -> &str {
        &self.shared.url
    }

    /// Publishes these keys from now on.
    pub(crate) fn publish(&self, keys: &[&Key]) {
        *self.shared.keys.lock() = keys.iter().map(|key| key.public.clone()).collect();
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// The number of requests for the JWK Set.
    pub(crate) fn fetches(&self) -> usize {
        self.shared.requests.borrow().1
    }

    /// Waits for so many requests for either document.
    pub(crate) async fn wait_for_requests(&self, count: usize) {
        let mut requests = self.shared.requests.subscribe();
        let enough = requests.wait_for(|(discovery, jwks)| discovery + jwks >= count);
        timeout(PATIENCE, enough).await.expect("requests").unwrap();
    }

    /// Closes the port.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Opens the same port again.
    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.task = tokio::spawn(accept(listener, Arc::clone(&self.shared)));
    }

    /// Claims of `user`, valid for an hour.
    pub(crate) fn claims(&self, user: &str) -> Value {
        json!({ "iss": self.url(), "sub": user, "aud": "chat", "iat": now(), "exp": now() + 3600 })
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

/// Answers one request.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let discovery = request.starts_with(b"GET /.well-known/openid-configuration ");
    shared.requests.send_modify(|(documents, sets)| {
        *(if discovery { documents } else { sets }) += 1;
    });
    let mut mood = shared.mood.subscribe();
    let mood = *mood.wait_for(|mood| *mood != Mood::Hold).await.unwrap();
    let (status, body) = shared.answer(discovery, mood);
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nlocation: {}/jwks\r\nconnection: close\r\n\r\n",
        body.len(),
        shared.url
    );
    // The server may hang up on an answer that it refuses.
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

impl Shared {
    fn answer(&self, discovery: bool, mood: Mood) -> (u16, String) {
        let url = &self.url;
        let keys = json!({ "keys": *self.keys.lock() }).to_string();
        let document = |issuer: &str, jwks: &str| json!({ "issuer": issuer, "jwks_uri": jwks }).to_string();
        match (mood, discovery) {
            (Mood::Serve | Mood::Hold, false) => (200, keys),
            (Mood::Redirect, _) => (302, keys),
            (Mood::Answer(status), _) => (status, keys),
            (Mood::Oversized(bytes), false) => (
                200,
                json!({ "keys": *self.keys.lock(), "pad": "x".repeat(bytes) }).to_string(),
            ),
            (Mood::NoKeys, false) => (200, json!({ "keys": [] }).to_string()),
            (Mood::OtherIssuer, _) => (200, document("https://other.example", &format!("{url}/jwks"))),
            (Mood::FileUri, _) => (200, document(url, "file:///etc/passwd")),
            _ => (200, document(url, &format!("{url}/jwks"))),
        }
    }
}
