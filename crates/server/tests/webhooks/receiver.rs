//! An HTTP server that receives webhooks and hooks and reacts as a test tells it to.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use roomful_testkit::PATIENCE;
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

/// The signing secret of all tests.
pub(crate) const SECRET: &str = "whsec_dGhlIHdlYmhvb2sgc2VjcmV0IG9mIHRoZSB0ZXN0cyE=";

/// The receiver's reaction to a post.
#[allow(dead_code, reason = "webhooks and hooks need some of them each")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers 200.
    Take,
    /// Answers this status.
    Answer(u16),
    /// Answers 200 with this body.
    Say(&'static str),
    /// Answers 200 with a body of a megabyte.
    Flood,
    /// Never answers a post that contains the first text, and answers others with the second.
    HangOn(&'static str, &'static str),
    /// Reads the post and never answers.
    Hang,
    /// Reads the post and closes the connection.
    Die,
}

/// A received post with a valid signature.
#[allow(dead_code, reason = "webhooks and hooks need some fields each")]
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) id: String,
    pub(crate) body: Value,
    pub(crate) mood: Mood,
}

impl Post {
    #[allow(dead_code, reason = "hooks do not need it")]
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }
}

/// A receiver on its own port.
pub(crate) struct Receiver {
    pub(crate) addr: SocketAddr,
    posts: watch::Receiver<Vec<Post>>,
    mood: Arc<Mutex<Mood>>,
}

impl Receiver {
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, posts) = watch::channel(Vec::new());
        let (sender, mood) = (Arc::new(sender), Arc::new(Mutex::new(mood)));
        let current = Arc::clone(&mood);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&sender), Arc::clone(&current)));
            }
        });
        Self { addr, posts, mood }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// All posts so far.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.borrow().clone()
    }

    /// Waits until `enough` accepts the posts so far.
    pub(crate) async fn wait(&self, what: &str, mut enough: impl FnMut(&[Post]) -> bool) -> Vec<Post> {
        let mut posts = self.posts.clone();
        let Ok(found) = timeout(PATIENCE, posts.wait_for(|posts| enough(posts))).await else {
            panic!("{what}: {:#?}", self.posts());
        };
        found.unwrap().clone()
    }
}

/// Serves one connection until it ends.
async fn serve(mut stream: TcpStream, posts: Arc<watch::Sender<Vec<Post>>>, mood: Arc<Mutex<Mood>>) {
    let mut buffer = Vec::new();
    while let Some((headers, body)) = request(&mut stream, &mut buffer).await {
        let verifier = Webhook::new(SECRET).unwrap();
        verifier.verify(&body, &headers).unwrap();
        let mood = *mood.lock();
        let post = Post {
            id: headers["webhook-id"].to_str().unwrap().to_owned(),
            body: serde_json::from_slice(&body).unwrap(),
            mood,
        };
        posts.send_modify(|posts| posts.push(post));
        let (status, body) = match mood {
            Mood::Take => (200, "ok"),
            Mood::Answer(status) => (status, "ok"),
            Mood::Flood => (200, &*" ".repeat(1 << 20).leak()),
            Mood::HangOn(text, _) if String::from_utf8_lossy(&body).contains(text) => {
                std::future::pending().await
            }
            Mood::Say(body) | Mood::HangOn(_, body) => (200, body),
            Mood::Hang => std::future::pending().await,
            Mood::Die => return,
        };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nlocation: /elsewhere\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(http::HeaderMap, Vec<u8>)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            assert!(head.starts_with("POST /hook "), "{head}");
            let headers: http::HeaderMap = head
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some((headers, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
