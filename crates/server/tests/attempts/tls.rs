//! Attempts against the TLS listener: clients that speak something else, or an old version.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use roomful_testkit::{PATIENCE, ServerProcess, server::Config};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// The first byte of a TLS alert.
const ALERT: u8 = 21;

/// What a client sends instead of a handshake. The server closes, after an alert at most.
fn rows() -> Vec<(&'static str, Vec<u8>)> {
    let record = |version: [u8; 2], length: u16, bytes: &[u8]| {
        [&[22], &version[..], &length.to_be_bytes(), bytes].concat()
    };
    vec![
        (
            "a plain HTTP request",
            b"GET /console HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
        ),
        (
            "a plain request with a key",
            b"GET /api/v1/audit HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n\r\n".to_vec(),
        ),
        ("a record larger than any", record([3, 1], u16::MAX, &[1; 64])),
        ("a handshake of nonsense", record([3, 3], 4, &[1, 0, 0, 0])),
        (
            "a handshake of TLS 1.0",
            record([3, 1], 45, &client_hello([3, 1])),
        ),
        ("a handshake of SSL 3", record([3, 0], 45, &client_hello([3, 0]))),
        ("an alert before a handshake", vec![ALERT, 3, 3, 0, 2, 2, 40]),
    ]
}

/// A `ClientHello` of an old version, with one old cipher suite and no extension (RFC 2246, 7.4.1.2).
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let random = [7; 32];
    let rest = [0, 0, 2, 0, 0x2f, 1, 0];
    [&[1, 0, 0, 41], &version[..], &random, &rest].concat()
}

#[tokio::test]
async fn clients_that_do_not_speak_tls_get_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(path("cert.pem"), cert.pem()).unwrap();
    fs::write(path("key.pem"), signing_key.serialize_pem()).unwrap();
    let mut config = Config::new(env!("CARGO_BIN_EXE_roomful"))
        .env("ROOMFUL__HTTP__TLS__CERT", path("cert.pem").to_str().unwrap())
        .env("ROOMFUL__HTTP__TLS__KEY", path("key.pem").to_str().unwrap());
    config.tls = true;
    let server = ServerProcess::start_with(config).await.unwrap();
    for (name, bytes) in rows() {
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let answer = to_end(&mut stream).await;
        let is_alert = answer.first().is_none_or(|first| *first == ALERT);
        assert!(is_alert && answer.len() <= 7, "{name}: {answer:?}");
    }
    let metrics = get(server.addr(), folder.path(), "/metrics").await;
    let failed = format!(
        "roomful_tls_handshakes_total{{outcome=\"failed\"}} {}\n",
        rows().len()
    );
    assert!(metrics.contains(&failed), "{failed}{metrics}");
    let ready = get(server.addr(), folder.path(), "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
}

/// The answer to a request over TLS.
async fn get(addr: SocketAddr, folder: &Path, path: &str) -> String {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    String::from_utf8_lossy(&to_end(&mut stream).await).into_owned()
}

/// Everything until the server closes the connection.
async fn to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A connection may also end by a reset.
    let _ = read.expect("the server closes the connection");
    answer
}
