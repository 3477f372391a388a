//! Tests of HTTPS and WSS on the running binary: handshakes, reloads, and clients that do not speak TLS.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail the test")]

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use roomful_testkit::{PATIENCE, ServerProcess, SioClient, server::Config, token};
use rustix::process::{Pid, Signal, kill_process};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Writes a new certificate for `localhost` and its key to the folder.
fn certificate(folder: &Path) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
}

fn settings(folder: &Path) -> Config {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let mut config = Config::new(env!("CARGO_BIN_EXE_roomful"))
        .env("ROOMFUL__HTTP__TLS__CERT", &path("cert.pem"))
        .env("ROOMFUL__HTTP__TLS__KEY", &path("key.pem"));
    config.tls = true;
    config
}

async fn start(folder: &Path) -> ServerProcess {
    certificate(folder);
    ServerProcess::start_with(settings(folder)).await.unwrap()
}

/// A connection to the server that trusts only the certificate in the folder.
async fn open(addr: SocketAddr, folder: &Path, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// The status line of an HTTPS request.
async fn get(addr: SocketAddr, folder: &Path, path: &str) -> std::io::Result<String> {
    let mut stream = open(addr, folder, &["h2", "http/1.1"]).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let answer = to_end(&mut stream).await;
    Ok(String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// Everything until the server closes the connection.
async fn to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A connection may also end by a reset.
    let _ = read.expect("the server closes the connection");
    answer
}

/// An address that carries plain connections to the server over TLS.
async fn tunnel(server: SocketAddr, folder: &Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let folder = folder.to_owned();
    tokio::spawn(async move {
        while let Ok((mut plain, _)) = listener.accept().await {
            let mut encrypted = open(server, &folder, &["http/1.1"]).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut plain, &mut encrypted).await });
        }
    });
    addr
}

async fn client(server: &ServerProcess, through: SocketAddr, user: &str) -> SioClient {
    let auth = json!({ "token": token::for_user(server.secret(), user) });
    SioClient::connect(through, "/", &auth).await.unwrap()
}

fn reload(server: &ServerProcess) {
    let pid = Pid::from_raw(server.pid().cast_signed()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
}

/// Exit code and output of a command of the binary.
async fn roomful(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_roomful"))
        .args(args)
        .args(["--data", folder.join("data").to_str().unwrap()])
        .envs(settings(folder).env)
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn https_and_wss_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    server.wait_log("https://127.0.0.1").await.unwrap();
    let status = get(server.addr(), folder.path(), "/readyz").await.unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");

    let through = tunnel(server.addr(), folder.path()).await;
    let (alice, bob) = (
        client(&server, through, "alice").await,
        client(&server, through, "bob").await,
    );
    for client in [&alice, &bob] {
        let joined = client.call("chat:join", &json!("lobby")).await.unwrap();
        assert_eq!(joined["ok"], true, "{joined}");
    }
    // Longer than a TLS record.
    let text = "x".repeat(16_000);
    for _ in 0..10 {
        let message = json!({ "room": "lobby", "text": text });
        let sent = alice.call("chat:send_message", &message).await.unwrap();
        assert_eq!(sent["ok"], true, "{sent}");
        let received = bob.next_event("chat:receive_message").await.unwrap();
        assert_eq!(received["text"], text);
    }
    let metrics = metrics(server.addr(), folder.path()).await;
    assert!(metrics.contains("roomful_tcp_connections 3\n"), "{metrics}");
    assert!(
        metrics.contains("roomful_tls_handshakes_total{outcome=\"completed\"} 4\n"),
        "{metrics}"
    );
    let (code, text) = roomful(folder.path(), &["health", "--listen", &server.addr().to_string()]).await;
    assert_eq!((code, text.as_str()), (Some(0), "alive\n"));
}

async fn metrics(addr: SocketAddr, folder: &Path) -> String {
    let mut stream = open(addr, folder, &["http/1.1"]).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    String::from_utf8_lossy(&to_end(&mut stream).await).into_owned()
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate_and_keeps_the_old_one_if_the_new_one_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path()).await;
    let through = tunnel(server.addr(), folder.path()).await;
    let alice = client(&server, through, "alice").await;
    let before = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join("cert.pem"), before.path().join("cert.pem")).unwrap();

    certificate(folder.path());
    assert!(
        get(server.addr(), folder.path(), "/livez").await.is_err(),
        "not yet"
    );
    reload(&server);
    server.wait_log("http.tls").await.unwrap();
    get(server.addr(), folder.path(), "/livez").await.unwrap();
    assert!(get(server.addr(), before.path(), "/livez").await.is_err());
    // Open connections stay.
    let joined = alice.call("chat:join", &json!("lobby")).await.unwrap();
    assert_eq!(joined["ok"], true, "{joined}");

    let good = fs::read(folder.path().join("key.pem")).unwrap();
    let CertifiedKey { signing_key, .. } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
    reload(&server);
    let log = server.wait_log("failed to reload the settings").await.unwrap();
    assert!(log.contains("does not fit the certificate"), "{log}");
    get(server.addr(), folder.path(), "/livez").await.unwrap();
    fs::write(folder.path().join("key.pem"), good).unwrap();
}

#[tokio::test]
async fn plain_and_stalled_clients_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let settings = settings(folder.path()).env("ROOMFUL__HTTP__TLS__HANDSHAKE_TIMEOUT", "2s");
    let server = ServerProcess::start_with(settings).await.unwrap();
    let mut plain = TcpStream::connect(server.addr()).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let answer = to_end(&mut plain).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let mut silent = TcpStream::connect(server.addr()).await.unwrap();
    let mut slow = TcpStream::connect(server.addr()).await.unwrap();
    // The head of a ClientHello whose rest never comes.
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    assert!(to_end(&mut silent).await.is_empty());
    assert!(to_end(&mut slow).await.is_empty());
    let metrics = metrics(server.addr(), folder.path()).await;
    for series in ["outcome=\"failed\"} 1", "outcome=\"timed_out\"} 2"] {
        let series = format!("roomful_tls_handshakes_total{{{series}\n");
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
    assert!(metrics.contains("roomful_tcp_connections 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_start_without_a_valid_pair_names_the_setting_and_the_file() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificate(others.path());
    let (cert, key) = (ours.path().join("cert.pem"), ours.path().join("key.pem"));
    let check = async |expected: &str| {
        for command in [["check-config"].as_slice(), &["serve", "--listen", "127.0.0.1:0"]] {
            let (code, text) = roomful(ours.path(), command).await;
            assert_eq!(code, Some(2), "{text}");
            assert!(text.contains(expected), "{expected}: {text}");
        }
    };
    check("http.tls.cert: failed to read").await;
    certificate(ours.path());
    fs::write(&cert, "no PEM").unwrap();
    check("cert.pem contains no certificate in PEM").await;
    fs::copy(others.path().join("cert.pem"), &cert).unwrap();
    check("key.pem does not fit the certificate in").await;
    fs::remove_file(&key).unwrap();
    check("http.tls.key: failed to read").await;
    fs::copy(&cert, &key).unwrap();
    check("key.pem contains no private key in PEM").await;
}
