//! Tests of streams to a Redis with TLS.

use std::{fs, path::Path};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use roomful_testkit::{RedisServer, ServerProcess, ports::free_port};

use super::{MESSAGES, client, config, more_attempts, reader::Reader, say};

/// Writes a certificate for `localhost` and its key to the folder.
fn certificate(folder: &Path) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn records_use_tls_and_only_a_trusted_certificate_is_accepted() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificate(ours.path());
    certificate(others.path());
    let [cert, key, stranger] = [
        ours.path().join("cert.pem"),
        ours.path().join("key.pem"),
        others.path().join("cert.pem"),
    ]
    .map(|path| path.to_str().unwrap().to_owned());
    let port = free_port().unwrap().to_string();
    let args = [
        ["--tls-port", &port],
        ["--tls-cert-file", &cert],
        ["--tls-key-file", &key],
        ["--tls-auth-clients", "no"],
    ];
    let redis = RedisServer::start_with(Some("hunter2"), args.as_flattened())
        .await
        .unwrap();
    let url = format!("rediss://:hunter2@localhost:{port}");
    let settings = |roots: &str| config(&url, MESSAGES, 1_000).env("SSL_CERT_FILE", roots);

    let distrustful = ServerProcess::start_with(settings(&stranger)).await.unwrap();
    say(&client(&distrustful, "alice", "lobby").await, "kept").await;
    more_attempts(&distrustful, "unreachable", 0).await;
    distrustful.wait_log("certificate").await.unwrap();

    let server = ServerProcess::start_with(settings(&cert)).await.unwrap();
    say(&client(&server, "alice", "lobby").await, "hello").await;
    let mut reader = Reader::start(&redis).await;
    let entries = reader.wait("the message", |entries| !entries.is_empty()).await;
    assert_eq!(entries[0].text(), "hello");
}
