//! A RESP2 client for tests that inspect a real Redis: one command at a time, answers as JSON.
//!
//! Blocking commands work (`XREAD BLOCK`, `BLPOP`). There is no pipelining and no TLS.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Error, PATIENCE};

/// A connection to Redis.
#[derive(Debug)]
pub struct RespClient {
    stream: BufReader<TcpStream>,
}

impl RespClient {
    /// Connects, and authenticates if there is a password.
    ///
    /// # Errors
    /// [`Error::Io`] if the connection fails; [`Error::Redis`] if the password is wrong.
    pub async fn connect(addr: SocketAddr, password: Option<&str>) -> Result<Self, Error> {
        let stream = TcpStream::connect(addr).await;
        let stream = stream.map_err(Error::io("connecting to Redis"))?;
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        if let Some(password) = password {
            client.call(&["AUTH", password]).await?;
        }
        Ok(client)
    }

    /// Sends a command and returns its answer: text as a string, nil as null. An error within an array is
    /// `{"error": text}`.
    ///
    /// # Errors
    /// [`Error::Redis`] if the answer is an error; [`Error::TimedOut`] if it takes longer than [`PATIENCE`].
    pub async fn call(&mut self, words: &[&str]) -> Result<Value, Error> {
        let answer = timeout(PATIENCE, async {
            self.send(words).await?;
            self.answer().await
        });
        let Ok(answer) = answer.await else {
            return Err(Error::TimedOut {
                what: format!("the answer to {words:?}"),
                waited: PATIENCE,
                seen: "nothing".into(),
            });
        };
        match answer? {
            Value::Object(error) => Err(Error::Redis(
                error["error"].as_str().unwrap_or_default().to_owned(),
            )),
            value => Ok(value),
        }
    }

    async fn send(&mut self, words: &[&str]) -> Result<(), Error> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        let sent = self.stream.write_all(&bytes).await;
        sent.map_err(Error::io("writing to Redis"))
    }

    /// Reads one value. Boxed because arrays nest.
    fn answer(&mut self) -> std::pin::Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + '_>> {
        Box::pin(async move {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).await;
            read.map_err(Error::io("reading from Redis"))?;
            let line = line.strip_suffix("\r\n").ok_or_else(|| Error::Closed {
                reason: "end of the stream".into(),
                what: "an answer of Redis".into(),
            })?;
            let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
            let number = || {
                rest.parse::<i64>()
                    .map_err(|_| Error::Protocol(format!("Redis answered {line:?}")))
            };
            match kind {
                "+" => Ok(json!(rest)),
                "-" => Ok(json!({ "error": rest })),
                ":" => Ok(json!(number()?)),
                "$" => self.bulk(number()?).await,
                "*" => {
                    let Ok(length) = u64::try_from(number()?) else {
                        return Ok(Value::Null);
                    };
                    let mut values = Vec::new();
                    for _ in 0..length {
                        values.push(self.answer().await?);
                    }
                    Ok(Value::Array(values))
                }
                _ => Err(Error::Protocol(format!("Redis answered {line:?}"))),
            }
        })
    }

    async fn bulk(&mut self, length: i64) -> Result<Value, Error> {
        let Ok(length) = usize::try_from(length) else {
            return Ok(Value::Null);
        };
        let mut bytes = vec![0; length.saturating_add(2)];
        let read = self.stream.read_exact(&mut bytes).await;
        read.map_err(Error::io("reading from Redis"))?;
        bytes.truncate(length);
        Ok(json!(String::from_utf8_lossy(&bytes)))
    }
}
