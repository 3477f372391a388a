//! Tests of `auth.issuers` on the running binary, with real issuers that rotate their keys, hang and stop.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod issuer;

use issuer::{Issuer, Key, Mood};
use jsonwebtoken::Algorithm;
use roomful_testkit::{
    Error, PATIENCE, ServerProcess, SioClient, http,
    server::Config,
    token::{self, now},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// One entry of `auth.issuers`.
fn entry(issuer: &Issuer) -> String {
    format!(
        "{{ issuer = \"{}\", audience = \"chat\", allow_private = true }}",
        issuer.url()
    )
}

/// A server with these entries of `auth.issuers`, which fetches keys at most each second.
fn config(entries: &[String]) -> Config {
    Config::new(env!("CARGO_BIN_EXE_roomful"))
        .env("ROOMFUL__AUTH__ISSUERS", &format!("[{}]", entries.join(", ")))
        .env("ROOMFUL__AUTH__ISSUER_PAUSE", "1s")
        .env("ROOMFUL_LIMITS", "off")
}

async fn server(entries: &[String]) -> ServerProcess {
    ServerProcess::start_with(config(entries)).await.unwrap()
}

async fn connect(server: &ServerProcess, token: &str) -> Result<SioClient, Error> {
    SioClient::connect(server.addr(), "/", &json!({ "token": token })).await
}

/// The `connect_error` that a token gets; `closed` if the connection ends without one; empty if it is
/// accepted.
async fn outcome(server: &ServerProcess, token: &str) -> String {
    match connect(server, token).await {
        Ok(_) => String::new(),
        Err(Error::ConnectRefused(refusal)) => refusal["data"]["code"].as_str().unwrap().to_owned(),
        Err(Error::Closed { .. }) => "closed".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

/// Connects until the server accepts the token.
async fn connect_eventually(server: &ServerProcess, token: &str) -> SioClient {
    let accepted = timeout(PATIENCE, async {
        loop {
            if let Ok(client) = connect(server, token).await {
                return client;
            }
        }
    });
    accepted.await.expect("the server accepts the token in time")
}

/// Waits until so many fetches from this issuer had this outcome.
async fn wait_for_fetches(server: &ServerProcess, issuer: &str, outcome: &str, at_least: usize) {
    let series = format!("roomful_auth_key_fetches_total{{issuer=\"{issuer}\",outcome=\"{outcome}\"}} ");
    let found = timeout(PATIENCE, async {
        loop {
            let text = metrics(server).await;
            let count = text
                .lines()
                .find_map(|line| line.strip_prefix(&series)?.parse::<usize>().ok());
            if count.is_some_and(|count| count >= at_least) {
                return;
            }
        }
    });
    let found = found.await.is_ok();
    assert!(found, "{series} is below {at_least} in {}", metrics(server).await);
}

async fn metrics(server: &ServerProcess) -> String {
    http::get(server.addr(), "/metrics").await.unwrap().text()
}

#[tokio::test]
async fn tokens_of_an_issuer_are_accepted_with_each_algorithm_and_beside_the_secret() {
    let rsa = Key::new(Algorithm::RS256, "rsa");
    let keys = [
        rsa.for_any(Algorithm::RS256),
        rsa.for_any(Algorithm::RS384),
        rsa.for_any(Algorithm::RS512),
        rsa.for_any(Algorithm::PS256),
        rsa.for_any(Algorithm::PS384),
        rsa.for_any(Algorithm::PS512),
        Key::new(Algorithm::ES256, "p256"),
        Key::new(Algorithm::ES384, "p384"),
        Key::new(Algorithm::EdDSA, "ed"),
    ];
    let issuer = Issuer::start(&[&keys[0], &keys[6], &keys[7], &keys[8]]).await;
    let server = server(&[entry(&issuer)]).await;
    for key in &keys {
        assert_eq!(outcome(&server, &key.sign(&issuer.claims("alice"))).await, "");
    }
    let unnamed = keys[6].unnamed();
    assert_eq!(
        outcome(&server, &unnamed.sign(&issuer.claims("alice"))).await,
        "",
        "no kid"
    );
    let mut several = issuer.claims("alice");
    several["aud"] = json!(["web", "chat"]);
    assert_eq!(
        outcome(&server, &keys[6].sign(&several)).await,
        "",
        "a list of audiences"
    );
    assert_eq!(
        outcome(&server, &token::for_user(server.secret(), "bob")).await,
        "",
        "the secret"
    );
    let mut named = json!({ "iss": "my-backend", "sub": "bob", "exp": now() + 60 });
    let own = token::with_claims(server.secret(), &named);
    assert_eq!(
        outcome(&server, &own).await,
        "",
        "an iss that is no configured issuer"
    );
    named["iss"] = json!(issuer.url());
    let forged = token::with_claims(server.secret(), &named);
    assert_eq!(
        outcome(&server, &forged).await,
        "unauthorized",
        "the secret is no key of the issuer"
    );
    assert_eq!(issuer.fetches(), 1, "all tokens used the keys of the first fetch");
}

#[tokio::test]
async fn claims_have_configured_names() {
    let key = Key::new(Algorithm::ES256, "1");
    let issuer = Issuer::start(&[&key]).await;
    let claims = r#"{ user = "uid", name = "/profile/name", rooms = "https://chat.example/rooms" }"#;
    let entry = format!(
        "{{ issuer = \"{}\", jwks_url = \"{}/jwks\", allow_private = true, claims = {claims} }}",
        issuer.url(),
        issuer.url()
    );
    let server = server(&[entry]).await;
    let claims = json!({
        "iss": issuer.url(), "sub": "not this", "uid": "alice", "profile": { "name": "Alice" },
        "https://chat.example/rooms": ["team-*"], "exp": now() + 60,
    });
    let alice = connect_eventually(&server, &key.sign(&claims)).await;
    assert_eq!(alice.next_event("session").await.unwrap()["userId"], "alice");
    let ack = alice.call("chat:join", &json!("team-1")).await.unwrap();
    assert_eq!(ack["ok"], true, "{ack}");
    alice
        .call("chat:send_message", &json!({ "room": "team-1", "text": "hello" }))
        .await
        .unwrap();
    assert_eq!(
        alice.next_event("chat:receive_message").await.unwrap()["name"],
        "Alice"
    );
    let ack = alice.call("chat:join", &json!("lobby")).await.unwrap();
    assert_eq!(ack["error"]["code"], "forbidden", "{ack}");
    let claims = json!({ "iss": issuer.url(), "sub": "alice", "exp": now() + 60 });
    assert_eq!(
        outcome(&server, &key.sign(&claims)).await,
        "unauthorized",
        "no user"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of attempts")]
async fn each_forged_token_is_refused() {
    let (key, other) = (Key::new(Algorithm::RS256, "1"), Key::new(Algorithm::RS256, "1"));
    let (issuer, second) = (Issuer::start(&[&key]).await, Issuer::start(&[&other]).await);
    let server = server(&[entry(&issuer), entry(&second)]).await;
    connect_eventually(&server, &key.sign(&issuer.claims("alice"))).await;
    connect_eventually(&server, &other.sign(&second.claims("alice"))).await;
    let with = |field: &str, value: Value| {
        let mut claims = issuer.claims("alice");
        claims[field] = value;
        claims
    };
    let hmac = |secret: &str| {
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": "1" }).to_string();
        token::signed(secret, &header, &issuer.claims("alice").to_string())
    };
    let header = json!({ "alg": "none", "typ": "JWT", "kid": "1" }).to_string();
    let unsigned = token::with_signature(&header, &issuer.claims("alice").to_string(), "");
    let good = key.sign(&issuer.claims("alice"));
    let swapped = {
        let evil = key.sign(&issuer.claims("root"));
        let (mine, theirs): (Vec<_>, Vec<_>) = (good.split('.').collect(), evil.split('.').collect());
        [mine[0], theirs[1], mine[2]].join(".")
    };
    let twice = {
        let claims = issuer.claims("alice").to_string();
        claims.replacen('{', &format!("{{\"iss\":\"{}\",", second.url()), 1)
    };
    let twice = token::with_signature(
        &json!({ "alg": "RS256", "kid": "1" }).to_string(),
        &twice,
        good.rsplit_once('.').unwrap().1,
    );
    let modulus = key.public["n"].as_str().unwrap();
    let table = [
        ("the good token", good.clone(), ""),
        (
            "the wrong audience",
            key.sign(&with("aud", json!("web"))),
            "unauthorized",
        ),
        (
            "a list of wrong audiences",
            key.sign(&with("aud", json!(["web", 7]))),
            "unauthorized",
        ),
        ("no audience", key.sign(&with("aud", Value::Null)), "unauthorized"),
        (
            "an expired token",
            key.sign(&with("exp", json!(now() - 1))),
            "token_expired",
        ),
        ("no end", key.sign(&with("exp", Value::Null)), "unauthorized"),
        (
            "an end in milliseconds",
            key.sign(&with("exp", json!(now() * 1000))),
            "unauthorized",
        ),
        ("no user", key.sign(&with("sub", Value::Null)), "unauthorized"),
        (
            "a future token",
            key.sign(&with("nbf", json!(now() + 600))),
            "unauthorized",
        ),
        (
            "an unknown issuer",
            key.sign(&with("iss", json!("https://evil.example"))),
            "unauthorized",
        ),
        (
            "an issuer with a slash",
            key.sign(&with("iss", json!(format!("{}/", issuer.url())))),
            "unauthorized",
        ),
        ("no issuer", key.sign(&with("iss", Value::Null)), "unauthorized"),
        (
            "an issuer that is a list",
            key.sign(&with("iss", json!([issuer.url()]))),
            "unauthorized",
        ),
        ("two issuers", twice, "unauthorized"),
        (
            "the other issuer's key of the same kid",
            other.sign(&issuer.claims("alice")),
            "unauthorized",
        ),
        (
            "the same the other way round",
            key.sign(&second.claims("alice")),
            "unauthorized",
        ),
        (
            "an alg that the key is not for",
            key.for_any(Algorithm::PS256).sign(&issuer.claims("alice")),
            "unauthorized",
        ),
        (
            "HS256 with the public key in PEM",
            hmac(&key.public_pem),
            "unauthorized",
        ),
        ("HS256 with the modulus", hmac(modulus), "unauthorized"),
        (
            "HS256 with the JWK",
            hmac(&key.public.to_string()),
            "unauthorized",
        ),
        (
            "HS256 with the server's secret",
            hmac(server.secret()),
            "unauthorized",
        ),
        ("alg none", unsigned, "unauthorized"),
        (
            "no signature",
            good.rsplit_once('.').unwrap().0.to_owned() + ".",
            "unauthorized",
        ),
        ("other claims under a signature", swapped, "unauthorized"),
        (
            "an unknown kid",
            key.named("2").sign(&issuer.claims("alice")),
            "unauthorized",
        ),
        (
            "no kid and a foreign key",
            other.unnamed().sign(&issuer.claims("alice")),
            "unauthorized",
        ),
    ];
    for (attempt, token, expected) in table {
        assert_eq!(outcome(&server, &token).await, expected, "{attempt}");
    }
    let (url, metrics) = (issuer.url(), metrics(&server).await);
    let refused = format!("roomful_auth_tokens_total{{issuer=\"{url}\",outcome=\"refused\"}}");
    assert!(metrics.contains(&refused), "{metrics}");
}

#[tokio::test]
async fn keys_rotate_while_clients_are_connected() {
    let keys: Vec<_> = ["1", "2", "3"].map(|kid| Key::new(Algorithm::ES256, kid)).into();
    let issuer = Issuer::start(&[&keys[0]]).await;
    let server = server(&[entry(&issuer)]).await;
    let first = connect_eventually(&server, &keys[0].sign(&issuer.claims("alice"))).await;
    for (old, new) in keys.iter().zip(&keys[1..]) {
        issuer.publish(&[old, new]);
        connect_eventually(&server, &new.sign(&issuer.claims("bob"))).await;
        assert_eq!(
            outcome(&server, &old.sign(&issuer.claims("carol"))).await,
            "",
            "both keys are valid"
        );
        issuer.publish(&[new]);
        // Only a token with an unknown key, or the interval, makes the server look again.
        let withdrawn = timeout(PATIENCE, async {
            while outcome(&server, &old.sign(&issuer.claims("carol"))).await != "unauthorized" {
                outcome(&server, &new.named("other").sign(&issuer.claims("eve"))).await;
            }
        });
        withdrawn.await.expect("a withdrawn key is no longer valid");
    }
    let renewed = json!({ "token": keys[2].sign(&issuer.claims("alice")) });
    let ack = first.call("token:refresh", &renewed).await.unwrap();
    assert_eq!(ack["ok"], true, "{ack}");
}

#[tokio::test]
async fn a_token_refresh_with_a_new_key_waits_for_the_key() {
    let (old, new) = (Key::new(Algorithm::ES256, "1"), Key::new(Algorithm::ES256, "2"));
    let issuer = Issuer::start(&[&old]).await;
    let server = server(&[entry(&issuer)]).await;
    let alice = connect_eventually(&server, &old.sign(&issuer.claims("alice"))).await;
    issuer.publish(&[&old, &new]);
    let renewed = json!({ "token": new.sign(&issuer.claims("alice")) });
    let accepted = timeout(PATIENCE, async {
        while alice.call("token:refresh", &renewed).await.unwrap()["ok"] != true {
            // A client that is refused too often is disconnected.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    accepted
        .await
        .expect("the refresh succeeds within the pause between fetches");
}

#[tokio::test]
async fn cached_keys_outlive_the_issuer() {
    let (old, new) = (Key::new(Algorithm::ES256, "1"), Key::new(Algorithm::ES256, "2"));
    let mut issuer = Issuer::start(&[&old]).await;
    let settings = config(&[entry(&issuer)]).env("ROOMFUL__AUTH__ISSUER_REFRESH", "1s");
    let server = ServerProcess::start_with(settings).await.unwrap();
    connect_eventually(&server, &old.sign(&issuer.claims("alice"))).await;
    issuer.stop().await;
    wait_for_fetches(&server, issuer.url(), "unreachable", 2).await;
    assert_eq!(
        outcome(&server, &old.sign(&issuer.claims("alice"))).await,
        "",
        "the key is kept"
    );
    // No connect_error: stock clients would stop reconnecting after one.
    assert_eq!(outcome(&server, &new.sign(&issuer.claims("bob"))).await, "closed");
    issuer.publish(&[&new]);
    issuer.resume().await;
    connect_eventually(&server, &new.sign(&issuer.claims("bob"))).await;
    assert_eq!(
        outcome(&server, &old.sign(&issuer.claims("alice"))).await,
        "unauthorized"
    );
}

#[tokio::test]
async fn a_flood_of_unknown_kids_causes_at_most_one_fetch_a_pause() {
    let key = Key::new(Algorithm::ES256, "1");
    let issuer = Issuer::start(&[&key]).await;
    let settings = config(&[entry(&issuer)]).env("ROOMFUL__AUTH__ISSUER_PAUSE", "10s");
    let start = Instant::now();
    let server = ServerProcess::start_with(settings).await.unwrap();
    connect_eventually(&server, &key.sign(&issuer.claims("alice"))).await;
    for round in 0..20 {
        let tokens = (0..20).map(|n| key.named(&format!("{round}.{n}")).sign(&issuer.claims("eve")));
        let attempts: Vec<_> = tokens
            .map(|token| {
                let addr = server.addr();
                tokio::spawn(async move {
                    let auth = json!({ "token": token });
                    matches!(
                        SioClient::connect(addr, "/", &auth).await,
                        Err(Error::ConnectRefused(_))
                    )
                })
            })
            .collect();
        for attempt in attempts {
            assert!(attempt.await.unwrap(), "an unknown kid is refused");
        }
        assert_eq!(
            outcome(&server, &key.sign(&issuer.claims("alice"))).await,
            "",
            "a known one is not"
        );
    }
    let pauses = usize::try_from(start.elapsed().as_secs()).unwrap() / 10;
    assert!(
        issuer.fetches() <= 1 + pauses,
        "{} fetches in {pauses} pauses",
        issuer.fetches()
    );
}

#[tokio::test]
async fn a_client_that_waits_for_keys_holds_up_nobody() {
    let key = Key::new(Algorithm::ES256, "1");
    let (slow, quick) = (Issuer::start(&[&key]).await, Issuer::start(&[&key]).await);
    slow.set(Mood::Hold);
    let settings = config(&[entry(&slow), entry(&quick)]).env("ROOMFUL__AUTH__ISSUER_TIMEOUT", "30s");
    let server = ServerProcess::start_with(settings).await.unwrap();
    slow.wait_for_requests(1).await;
    let (addr, auth) = (server.addr(), json!({ "token": key.sign(&slow.claims("alice")) }));
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let auth = auth.clone();
            tokio::spawn(async move { SioClient::connect(addr, "/", &auth).await })
        })
        .collect();
    connect_eventually(&server, &key.sign(&quick.claims("bob"))).await;
    assert_eq!(
        outcome(&server, &token::for_user(server.secret(), "carol")).await,
        ""
    );
    assert!(waiting.iter().all(|attempt| !attempt.is_finished()));
    slow.set(Mood::Serve);
    for attempt in waiting {
        attempt.await.unwrap().unwrap();
    }
    assert_eq!(slow.fetches(), 1, "all waited for one fetch");
}

/// Each row: what the issuer does, the outcome of the fetch, and the text in the log.
#[tokio::test]
async fn each_unusable_issuer_is_named_and_gives_no_keys() {
    let key = Key::new(Algorithm::ES256, "1");
    let table = [
        (Mood::Redirect, "redirect", "answered 302 and a redirect"),
        (Mood::Answer(500), "status", "answered 500"),
        (Mood::Oversized(300_000), "too_large", "auth.issuer_max_size"),
        (Mood::OtherIssuer, "invalid", "is of the issuer"),
        (Mood::FileUri, "invalid", "names a jwks_uri that is not https:"),
        (Mood::NoKeys, "invalid", "none of the 0 keys"),
        (Mood::Hold, "timeout", "no answer within 500ms"),
    ];
    let mut issuers = Vec::new();
    for (mood, ..) in &table {
        let issuer = Issuer::start(&[&key]).await;
        issuer.set(*mood);
        issuers.push(issuer);
    }
    let entries: Vec<_> = issuers.iter().map(entry).collect();
    let settings = config(&entries)
        .env("ROOMFUL__AUTH__ISSUER_TIMEOUT", "500ms")
        .env("ROOMFUL__AUTH__ISSUER_PAUSE", "10s");
    let server = ServerProcess::start_with(settings).await.unwrap();
    for ((mood, cause, line), issuer) in table.iter().zip(&issuers) {
        let url = issuer.url();
        wait_for_fetches(&server, url, cause, 1).await;
        let log = server.log();
        let logged = log.lines().any(|text| text.contains(url) && text.contains(line));
        assert!(logged, "{mood:?}: {log}");
        assert_eq!(
            outcome(&server, &key.sign(&issuer.claims("alice"))).await,
            "closed",
            "{mood:?}"
        );
    }
    assert_eq!(issuers[0].fetches(), 0, "the server does not follow a redirect");
}

#[tokio::test]
async fn too_many_keys_are_refused_and_the_old_ones_kept() {
    let (key, next) = (Key::new(Algorithm::ES256, "1"), Key::new(Algorithm::ES256, "2"));
    let issuer = Issuer::start(&[&key]).await;
    let settings = config(&[entry(&issuer)]).env("ROOMFUL__AUTH__ISSUER_MAX_KEYS", "1");
    let server = ServerProcess::start_with(settings).await.unwrap();
    connect_eventually(&server, &key.sign(&issuer.claims("alice"))).await;
    issuer.publish(&[&key, &next]);
    let refused = timeout(PATIENCE, async {
        while outcome(&server, &next.sign(&issuer.claims("bob"))).await != "closed" {}
    });
    refused.await.expect("a fetch that failed");
    assert_eq!(outcome(&server, &key.sign(&issuer.claims("alice"))).await, "");
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let key = Key::new(Algorithm::ES256, "1");
    let issuer = Issuer::start(&[&key]).await;
    let port = issuer.addr.port();
    let urls = [
        format!("https://127.0.0.1:{port}"),
        format!("https://localhost:{port}"),
        format!("https://[::1]:{port}"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
        format!("https://10.0.0.1:{port}"),
        "https://169.254.169.254".to_owned(),
    ];
    let entries: Vec<_> = urls
        .iter()
        .map(|url| format!("{{ issuer = \"{url}\" }}"))
        .collect();
    let server = server(&entries).await;
    for url in &urls {
        wait_for_fetches(&server, url, "address", 1).await;
    }
    assert!(server.log().contains("allow_private"), "{}", server.log());
    assert_eq!(issuer.fetches(), 0);
    let public = Config::new(env!("CARGO_BIN_EXE_roomful")).env(
        "ROOMFUL__AUTH__ISSUERS",
        &format!("[{{ issuer = \"http://127.0.0.1:{port}\" }}]"),
    );
    let error = ServerProcess::start_with(public).await.unwrap_err().to_string();
    assert!(
        error.contains("auth.issuers: entry 1: issuer must be an https: URL"),
        "{error}"
    );
}

#[tokio::test]
async fn plain_http_is_for_private_addresses_only() {
    let entry = "{ issuer = \"http://1.1.1.1\", allow_private = true }".to_owned();
    let server = server(&[entry]).await;
    wait_for_fetches(&server, "http://1.1.1.1", "address", 1).await;
}
