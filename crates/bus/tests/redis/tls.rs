//! TLS with a CA of one's own.

use std::{fs, path::Path};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use roomful_bus::{Beat, BusError, Options, open};
use roomful_testkit::{RedisCluster, RedisServer, ports::free_port};

use super::{LONG, arrives, end, hear};

const NOTHING: Bytes = Bytes::new();

/// A CA's certificate, and a server's with its key, in this folder.
fn certificates(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // OpenSSL takes who signs under its own name for its own CA.
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

/// What `redis-server` is started with to have the certificates of this folder.
fn certified(folder: &Path) -> Vec<String> {
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

/// Trusts the CA of this folder alone.
fn trusting(folder: &Path) -> Options {
    Options {
        ca_file: Some(folder.join("ca.pem")),
        ..Options::default()
    }
}

#[tokio::test]
async fn tls_with_its_own_ca() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(ours.path());
    certificates(others.path());
    let port = free_port().unwrap().to_string();
    let args = certified(ours.path());
    let mut args: Vec<_> = args.iter().map(String::as_str).collect();
    args.extend(["--tls-port", &port]);
    let _redis = RedisServer::start_with(Some("pw"), &args).await.unwrap();

    let url = format!("rediss://:pw@localhost:{port}");
    let distrustful = open(&url, trusting(others.path())).unwrap();
    let error = distrustful.check().await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(!error.to_string().contains("pw"), "{error}");
    let (a, b) = (
        end(&url, trusting(ours.path())).await.unwrap(),
        end(&url, trusting(ours.path())).await.unwrap(),
    );
    let (at_b, _b) = hear(&b, "t").await;
    arrives(&a, "t", &at_b, "by TLS").await.unwrap();
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
}

#[tokio::test]
async fn all_masters_of_a_cluster_by_tls() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let args = certified(folder.path());
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let cluster = RedisCluster::start_with_tls(3, &args).await.unwrap();
    let url = format!("rediss+cluster://127.0.0.1:{}", cluster.tls_port().unwrap());
    let (a, b) = (
        end(&url, trusting(folder.path())).await.unwrap(),
        end(&url, trusting(folder.path())).await.unwrap(),
    );
    for topic in 0..20 {
        let topic = topic.to_string();
        let (at_b, _b) = hear(&b, &topic).await;
        arrives(&a, &topic, &at_b, "by TLS").await.unwrap();
    }
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
}

#[tokio::test]
async fn a_ca_that_cannot_be_read_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let with_ca = || Options {
        ca_file: Some(path.clone()),
        ..Options::default()
    };
    let setup = |url: &str| matches!(open(url, with_ca()), Err(BusError::CaFile(_)));
    assert!(setup("rediss://localhost"), "there is no file");
    fs::write(&path, "nothing").unwrap();
    assert!(setup("rediss://localhost"), "there is none in it");
    fs::write(
        &path,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(setup("rediss://localhost"), "it is none");
    assert!(setup("redis://localhost"), "it is of no use");
}
