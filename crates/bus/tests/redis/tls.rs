//! TLS with a private CA.

use std::{fs, path::Path};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use roomful_bus::{BusError, Heartbeat, Options, open};
use roomful_testkit::{RedisCluster, RedisServer, ports::free_port};

use super::{LONG, arrives, connect, subscribe};

const NOTHING: Bytes = Bytes::new();

/// Writes the certificate of a CA, and a server's certificate and key, into this folder.
fn write_certificates(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // OpenSSL treats a certificate as self-signed if its subject equals its issuer.
    params.distinguished_name.push(DnType::CommonName, "CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("server.pem"), server.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

/// Arguments of `redis-server` that set the certificates of this folder.
fn tls_args(folder: &Path) -> Vec<String> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (cert, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let args = [
        ["--tls-cert-file", &cert],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &ca],
        ["--tls-auth-clients", "no"],
    ];
    args.as_flattened().iter().map(ToString::to_string).collect()
}

/// Options that trust only the CA of this folder.
fn trusting(folder: &Path) -> Options {
    let mut options = Options::default();
    options.ca_file = Some(folder.join("ca.pem"));
    options
}

#[tokio::test]
async fn tls_with_a_private_ca() {
    let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_certificates(own.path());
    write_certificates(other.path());
    let port = free_port().unwrap().to_string();
    let args = tls_args(own.path());
    let mut args: Vec<_> = args.iter().map(String::as_str).collect();
    args.extend(["--tls-port", &port]);
    let _redis = RedisServer::start_with(Some("pw"), &args).await.unwrap();

    let url = format!("rediss://:pw@localhost:{port}");
    let distrustful = open(&url, trusting(other.path())).unwrap();
    let error = distrustful.check().await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(!error.to_string().contains("pw"), "{error}");
    let (a, b) = (
        connect(&url, trusting(own.path())).await.unwrap(),
        connect(&url, trusting(own.path())).await.unwrap(),
    );
    let (at_b, _b) = subscribe(&b, "t").await;
    arrives(&a, "t", &at_b, "by TLS").await.unwrap();
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
}

#[tokio::test]
async fn tls_to_all_masters_of_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let args = tls_args(folder.path());
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let cluster = RedisCluster::start_with_tls(3, &args).await.unwrap();
    let url = format!("rediss+cluster://127.0.0.1:{}", cluster.tls_port().unwrap());
    let (a, b) = (
        connect(&url, trusting(folder.path())).await.unwrap(),
        connect(&url, trusting(folder.path())).await.unwrap(),
    );
    for topic in 0..20 {
        let topic = topic.to_string();
        let (at_b, _b) = subscribe(&b, &topic).await;
        arrives(&a, &topic, &at_b, "by TLS").await.unwrap();
    }
    assert_eq!(a.heartbeat("a", NOTHING, LONG).await, Ok(Heartbeat::Started));
}

#[tokio::test]
async fn an_unusable_ca_file_fails_at_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let with_ca = || {
        let mut options = Options::default();
        options.ca_file = Some(path.clone());
        options
    };
    let is_refused = |url: &str| matches!(open(url, with_ca()), Err(BusError::CaFile(_)));
    assert!(is_refused("rediss://localhost"), "the file does not exist");
    fs::write(&path, "nothing").unwrap();
    assert!(is_refused("rediss://localhost"), "the file has no certificate");
    fs::write(
        &path,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(is_refused("rediss://localhost"), "the certificate is invalid");
    assert!(is_refused("redis://localhost"), "the URL does not use TLS");
}
