//! A server in this process, and connections to it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::LazyLock,
    thread,
    time::Duration,
};

/// The key of the server's HTTP API.
pub const API_KEY: &str = "the API key of fuzzing, of 32 bytes";
/// The longest wait for an answer. Under a sanitizer on a busy machine the server is slow.
const PATIENCE: Duration = Duration::from_secs(30);

static SERVER: LazyLock<SocketAddr> = LazyLock::new(start);

fn start() -> SocketAddr {
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .expect("a free port");
    let data = std::env::temp_dir().join(format!("roomful-fuzz-{}", std::process::id()));
    let settings = [
        ("ROOMFUL_LISTEN", address.to_string()),
        ("ROOMFUL_DATA", data.display().to_string()),
        ("ROOMFUL_API_KEY", API_KEY.to_owned()),
        ("ROOMFUL_LIMITS", "off".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    roomful::fuzzing::serve(settings.to_vec());
    while !answer(
        &address,
        b"GET /readyz HTTP/1.0\r\nhost: localhost\r\n\r\n",
        false,
    )
    .starts_with(b"HTTP/1.0 200")
    {
        thread::sleep(Duration::from_millis(10));
    }
    address
}

/// Sends a whole request that closes its connection, and returns the answer.
pub fn request(bytes: &[u8]) -> Vec<u8> {
    answer(&SERVER, bytes, false)
}

/// Sends any bytes and then the end of the input on a connection of their own. Returns everything that the
/// server answers until it closes the connection. It need not answer a client that has ended its input.
#[allow(dead_code, reason = "not every target sends such bytes")]
pub fn exchange(bytes: &[u8]) -> Vec<u8> {
    answer(&SERVER, bytes, true)
}

fn answer(address: &SocketAddr, bytes: &[u8], ends: bool) -> Vec<u8> {
    let mut answer = Vec::new();
    let Ok(mut connection) = TcpStream::connect(address) else {
        return answer;
    };
    connection.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // The server may answer and close before it has read everything.
    let mut written = connection.write_all(bytes);
    if ends {
        written = written.and_then(|()| connection.shutdown(Shutdown::Write));
    }
    drop(written);
    if let Err(error) = connection.read_to_end(&mut answer) {
        let in_time = !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(in_time, "no end of the answer within {PATIENCE:?}");
    }
    answer
}

/// The status of an answer; `None` if there is none.
pub fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(line).ok()?.parse().ok()
}
