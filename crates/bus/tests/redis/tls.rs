//! TLS with a CA of one's own, and a user who may do only what the bus needs.

use std::{fs, path::Path};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use roomful_bus::{Beat, BusError, Options, contract::until, open};
use roomful_testkit::{RedisServer, ports::free_port};

use super::{LONG, arrives, end, hear};

const NOTHING: Bytes = Bytes::new();

/// A CA's certificate, and a server's with its key, in this folder.
fn certificates(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
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

/// The rule for the user, as `docs/cluster-bus.md` has it.
fn rule() -> Vec<String> {
    let docs = include_str!("../../../../docs/cluster-bus.md");
    let rule = docs.lines().find_map(|line| line.strip_prefix("ACL SETUSER "));
    let rule = rule.expect("the docs have a rule").replace("PASSWORD", "pw");
    rule.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn tls_with_its_own_ca_and_a_user_with_few_rights() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(ours.path());
    certificates(others.path());
    let port = free_port().unwrap().to_string();
    let path = |name: &str| ours.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("server.pem"), path("server.key"));
    let args = [
        ["--tls-port", &port],
        ["--tls-cert-file", &cert],
        ["--tls-key-file", &key],
        ["--tls-auth-clients", "no"],
    ];
    let redis = RedisServer::start_with(None, args.as_flattened()).await.unwrap();
    let mut client = redis.client().await.unwrap();
    let rule = rule();
    let words: Vec<_> = ["ACL", "SETUSER"]
        .into_iter()
        .chain(rule.iter().map(String::as_str))
        .collect();
    client.call(&words).await.unwrap();
    // Only who signs in may do anything. This connection has.
    client
        .call(&["ACL", "SETUSER", "default", "resetpass", ">other"])
        .await
        .unwrap();

    let url = format!("rediss://{}:pw@localhost:{port}", rule[0]);
    let with_ca = |folder: &Path| Options {
        ca_file: Some(folder.join("ca.pem")),
        ..Options::default()
    };
    let distrustful = open(&url, with_ca(others.path())).unwrap();
    let error = distrustful.check().await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(!error.to_string().contains("pw"), "{error}");

    let (a, b) = (
        end(&url, with_ca(ours.path())).await.unwrap(),
        end(&url, with_ca(ours.path())).await.unwrap(),
    );
    let (at_b, of_b) = hear(&b, "t").await;
    arrives(&a, "t", &at_b, "by TLS").await.unwrap();
    drop(of_b);
    assert_eq!(a.beat("a", NOTHING, LONG).await, Ok(Beat::Began));
    a.beat("b", NOTHING, LONG).await.unwrap();
    a.put("a", "key", NOTHING).await.unwrap();
    a.put("a", "another", NOTHING).await.unwrap();
    a.remove("a", "another").await.unwrap();
    assert!(a.hold("a", "sweeper", LONG).await.unwrap());
    assert_eq!(b.members().await.unwrap().len(), 2);
    assert_eq!(b.entries(&["key".into()]).await.unwrap().concat().len(), 1);
    a.resign("a").await.unwrap();
    assert_eq!(b.sweep(10).await.unwrap().len(), 1);
    assert_eq!(b.sweep(10).await.unwrap(), []);
    a.close().await;
    // Nothing was refused on the way that was not noticed.
    let log = client.call(&["ACL", "LOG"]).await.unwrap();
    assert_eq!(log.as_array().unwrap().len(), 0, "{log}");

    // Under another prefix it may do nothing.
    let options = Options {
        prefix: "other:".into(),
        ..with_ca(ours.path())
    };
    let other = end(&url, options).await.unwrap();
    let refused = other.beat("a", NOTHING, LONG).await;
    assert!(
        matches!(&refused, Err(BusError::Unavailable(text)) if text.contains("NOPERM")),
        "{refused:?}"
    );
    let subscription = other.subscribe("t", roomful_bus::contract::Recorder::new());
    until("a refusal", async || {
        let log = client.call(&["ACL", "LOG"]).await.unwrap();
        Ok(log.to_string().contains("other:t:t"))
    })
    .await
    .unwrap();
    assert!(!subscription.is_heard());
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
