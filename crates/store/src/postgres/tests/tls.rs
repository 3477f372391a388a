//! An encrypted line, to a server that has to show who it is or does not.

use roomful_testkit::PostgresServer;

use crate::{Options, Outage, StoreError};

#[test]
fn tls_verifies_the_name_of_the_server() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let server = PostgresServer::start_with_tls(&certificate, &key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.crt");
    std::fs::write(&root, certificate).unwrap();
    let root = root.display();
    let url = server.new_database().unwrap();
    let named = url.replace("127.0.0.1", "localhost");
    let mut open = Vec::new();
    for query in [
        "sslmode=require".to_owned(),
        format!("sslmode=verify-full&sslrootcert={root}"),
    ] {
        let opened = crate::open(&format!("{named}?{query}"), Options::default());
        open.push(opened.unwrap_or_else(|error| panic!("{query}: {error}")));
    }
    // A node that is open has connections, for it tells that it is alive.
    let plain = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
        WHERE a.application_name = 'roomful' AND NOT s.ssl";
    assert_eq!(server.sql("postgres", plain).unwrap(), "0");
    // An authority that the system does not know, and a name that is not in the certificate.
    for url in [
        format!("{named}?sslmode=verify-full"),
        format!("{url}?sslmode=verify-full&sslrootcert={root}"),
    ] {
        let refused = crate::open(&url, Options::default()).err();
        assert!(
            matches!(
                &refused,
                Some(StoreError::Unavailable(Outage::Connection(text))) if text.contains("certificate")
            ),
            "{url}: {refused:?}"
        );
    }
    let nothing = format!("{named}?sslmode=verify-full&sslrootcert=/nowhere.crt");
    let refused = crate::open(&nothing, Options::default()).err();
    assert!(
        matches!(&refused, Some(StoreError::Setup(text)) if text.contains("/nowhere.crt")),
        "{refused:?}"
    );
}
