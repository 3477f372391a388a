//! Tests of moderation over HTTP and of keys with scopes, on the running binary.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

use std::fmt::Write as _;

use roomful_testkit::{
    ServerProcess, SioClient,
    http::{self, HttpClient},
    server::Config,
    token,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const SCOPES: [&str; 11] = [
    "rooms:read",
    "rooms:write",
    "messages:read",
    "messages:write",
    "users:read",
    "users:write",
    "notifications:write",
    "moderation",
    "files:write",
    "stats:read",
    "admin",
];

struct Api {
    server: ServerProcess,
    _folder: TempDir,
}

/// The secret of the key with this one scope.
fn secret_of(scope: &str) -> String {
    format!("secret of the key with the scope {scope}")
}

/// The secret of the key with all scopes but this one.
fn secret_without(scope: &str) -> String {
    format!("secret of the key without the scope {scope}")
}

impl Api {
    /// A server with one key for each scope and one for all others, one with two scopes, and one with none.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = String::new();
        let mut add = |name: &str, secret: &str, scopes: &[&str]| {
            writeln!(
                keys,
                "[[api.keys]]\nname = {name:?}\nsecret = {secret:?}\nscopes = {scopes:?}"
            )
            .unwrap();
        };
        for scope in SCOPES {
            add(&scope.replace(':', "-"), &secret_of(scope), &[scope]);
            let others: Vec<_> = SCOPES.into_iter().filter(|other| *other != scope).collect();
            let name = format!("not-{}", scope.replace(':', "-"));
            add(&name, &secret_without(scope), &others);
        }
        add(
            "support",
            "a secret of the support team",
            &["users:read", "moderation"],
        );
        add("nothing", "a secret that opens no door", &[]);
        let path = folder.path().join("roomful.toml");
        std::fs::write(&path, keys).unwrap();
        let mut config = Config::new(env!("CARGO_BIN_EXE_roomful")).env("ROOMFUL_LIMITS", "off");
        config.args = vec!["--config".into(), path.display().to_string()];
        Self {
            server: ServerProcess::start_with(config).await.unwrap(),
            _folder: folder,
        }
    }

    async fn with_key(&self, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = http::call_api(self.server.addr(), key, method, path, body)
            .await
            .unwrap();
        (answer.status, answer.json())
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.with_key(self.server.api_key(), method, path, &body).await
    }

    async fn connect(&self, user: &str) -> SioClient {
        let auth = json!({ "token": token::for_user(self.server.secret(), user) });
        let client = SioClient::connect(self.server.addr(), "/", &auth).await.unwrap();
        client.next_event("session").await.unwrap();
        client
    }
}

/// Every call of the served description, as method, path below `/api/v1` with names in it, and scopes. A call
/// without scopes is open to every key.
async fn described_calls(api: &Api) -> Vec<(String, String, Vec<String>)> {
    let mut client = HttpClient::connect(api.server.addr()).await.unwrap();
    let document = client
        .request("GET", "/api/openapi.json", &[], b"")
        .await
        .unwrap();
    let mut calls = Vec::new();
    for (path, item) in document.json()["paths"].as_object().unwrap() {
        let path = path
            .trim_start_matches("/api/v1")
            .replace("{room}", "lobby")
            .replace("{user}", "ann")
            .replace("{blocked}", "bob")
            .replace("{id}", "one");
        for (method, call) in item.as_object().unwrap() {
            let scopes = call["security"][0]["key"].as_array().into_iter().flatten();
            let scopes = scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect();
            calls.push((method.to_uppercase(), path.clone(), scopes));
        }
    }
    calls
}

#[tokio::test]
async fn members_are_listed_with_their_mutes_to_keys_for_moderation_only() {
    let api = Api::start().await;
    api.call("PUT", "/rooms/lobby", json!({})).await;
    for user in ["ann", "bob"] {
        api.call("PUT", &format!("/rooms/lobby/members/{user}"), json!({}))
            .await;
    }
    let mute = json!({ "reason": "spam" });
    let (_, mute) = api.call("PUT", "/rooms/lobby/mutes/ann", mute).await;
    let path = "/rooms/lobby/members";
    let (_, list) = api.call("GET", path, Value::Null).await;
    assert_eq!(list["members"][0]["muted"], mute);
    assert_eq!(list["members"][1].get("muted"), None, "{list}");
    let (status, list) = api
        .with_key(&secret_without("moderation"), "GET", path, &Value::Null)
        .await;
    assert_eq!(
        (status, list["members"][0].get("muted")),
        (200, None),
        "a mute has a reason, which not every key may read"
    );
}

#[tokio::test]
async fn every_call_is_open_to_its_scopes_and_closed_to_all_others() {
    let api = Api::start().await;
    let calls = described_calls(&api).await;
    assert!(calls.len() >= 34, "{calls:?}");
    let open: Vec<_> = calls.iter().filter(|(_, _, scopes)| scopes.is_empty()).collect();
    assert_eq!(open, [&("GET".to_owned(), "/key".to_owned(), Vec::new())]);
    let nothing = "a secret that opens no door";
    let own = api.with_key(nothing, "GET", "/key", &Value::Null).await;
    assert_eq!(own, (200, json!({ "name": "nothing", "scopes": [] })));
    for (method, path, needed) in calls {
        if needed.is_empty() {
            continue;
        }
        assert!(
            needed.iter().all(|scope| SCOPES.contains(&&**scope)),
            "{method} {path} needs {needed:?}"
        );
        for scope in SCOPES {
            let is_needed = needed.iter().any(|needed| needed == scope);
            let without = refusal(&api, &secret_without(scope), &method, &path).await;
            assert_eq!(without.is_some(), is_needed, "{method} {path} without {scope}");
            if let Some(message) = without {
                assert!(message.contains(&format!("scope {scope}")), "{message}");
            }
            let alone = refusal(&api, &secret_of(scope), &method, &path).await;
            assert_eq!(alone.is_none(), needed == [scope], "{method} {path} with {scope}");
        }
        let none = api.with_key(nothing, &method, &path, &json!({})).await;
        assert_eq!(none.0, 403, "{method} {path}: {}", none.1);
        let wrong = api
            .with_key("a secret of nobody", &method, &path, &json!({}))
            .await;
        assert_eq!(wrong.0, 401, "{method} {path}: {}", wrong.1);
    }
    let support = "a secret of the support team";
    let shown = api.with_key(support, "GET", "/bans", &Value::Null).await;
    assert_eq!(shown, (200, json!({ "sanctions": [] })));
    let unknown = api.with_key(support, "GET", "/nothing", &Value::Null).await;
    assert_eq!(unknown.0, 404);
}

/// The message of the error if the call refuses the key for its scopes.
async fn refusal(api: &Api, key: &str, method: &str, path: &str) -> Option<String> {
    // A body that no call accepts: with the right scopes the call fails later, or has no body.
    let wrong = json!({ "no such field": 1 });
    let (status, answer) = api.with_key(key, method, path, &wrong).await;
    let refused = status == 403 && answer["error"]["code"] == "forbidden";
    refused.then(|| answer["error"]["message"].as_str().unwrap().to_owned())
}

/// A method without a scope would be open to keys with all scopes only, and to nobody's knowledge.
#[tokio::test]
async fn each_method_that_is_not_described_is_refused() {
    let api = Api::start().await;
    let calls = described_calls(&api).await;
    let described = |method: &str, path: &str| calls.iter().any(|call| call.0 == method && call.1 == path);
    for (_, path, _) in &calls {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if described(method, path) {
                continue;
            }
            let key = api.server.api_key();
            let (status, answer) = api.with_key(key, method, path, &json!({})).await;
            assert_eq!(status, 405, "{method} {path}: {answer}");
            for scope in SCOPES {
                let (status, answer) = api.with_key(&secret_of(scope), method, path, &json!({})).await;
                assert_eq!(status, 403, "{method} {path} with {scope}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn a_backend_bans_and_mutes_in_a_room_and_everywhere() {
    let api = Api::start().await;
    let ann = api.connect("ann").await;
    ann.call("chat:join", &json!("lobby")).await.unwrap();
    let until = 4_102_444_800_000_i64;
    for (path, list, kind) in [
        ("/rooms/lobby/bans/ann", "/rooms/lobby/bans", "ban"),
        ("/rooms/lobby/mutes/ann", "/rooms/lobby/mutes", "mute"),
        ("/users/ann/mute", "/mutes", "mute"),
        ("/users/ann/ban", "/bans", "ban"),
    ] {
        let order = json!({ "until": until, "reason": "spam" });
        let (status, made) = api.call("PUT", path, order).await;
        assert_eq!(
            (
                status,
                &made["userId"],
                &made["kind"],
                &made["until"],
                &made["actor"]
            ),
            (
                201,
                &json!("ann"),
                &json!(kind),
                &json!(until),
                &json!("key:default")
            ),
            "{path}: {made}"
        );
        assert_eq!(made["room"] == "lobby", path.contains("lobby"), "{made}");
        let (status, again) = api.call("PUT", path, Value::Null).await;
        assert_eq!(
            (status, again.get("until"), again.get("reason")),
            (200, None, None)
        );
        let (_, listed) = api.call("GET", list, Value::Null).await;
        assert_eq!(listed, json!({ "sanctions": [again] }));
    }
    let (_, of_ann) = api.call("GET", "/users/ann/sanctions", Value::Null).await;
    let mut kinds: Vec<_> = of_ann["sanctions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sanction| (sanction.get("room"), sanction["kind"].as_str().unwrap()))
        .collect();
    kinds.sort_unstable_by_key(|(room, kind)| (room.is_some(), *kind));
    let lobby = json!("lobby");
    let in_lobby = Some(&lobby);
    assert_eq!(
        kinds,
        [
            (None, "ban"),
            (None, "mute"),
            (in_lobby, "ban"),
            (in_lobby, "mute")
        ]
    );
    for (event, expected) in [("chat:room_removed", "banned"), ("session:ended", "banned")] {
        let notice = ann.next_event(event).await.unwrap();
        assert!(
            notice["reason"] == expected || notice["code"] == expected,
            "{notice}"
        );
    }
    let auth = json!({ "token": token::for_user(api.server.secret(), "ann") });
    let refused = SioClient::connect(api.server.addr(), "/", &auth)
        .await
        .err()
        .unwrap();
    assert!(format!("{refused:?}").contains("banned"), "{refused:?}");
    let post = json!({ "userId": "ann", "text": "hi" });
    let (status, answer) = api.call("POST", "/rooms/lobby/messages", post).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("banned")));

    let lifted = api.call("DELETE", "/users/ann/ban", Value::Null).await;
    assert_eq!((lifted.0, &lifted.1["userId"]), (200, &json!("ann")));
    let ann = api.connect("ann").await;
    let refused = ann.call("chat:join", &json!("lobby")).await.unwrap();
    assert_eq!(refused["error"]["code"], "banned");
    for path in [
        "/rooms/lobby/bans/ann",
        "/rooms/lobby/mutes/ann",
        "/users/ann/mute",
    ] {
        assert_eq!(api.call("DELETE", path, Value::Null).await.0, 200, "{path}");
        assert_eq!(api.call("DELETE", path, Value::Null).await.0, 404, "{path}");
    }
    let (_, of_ann) = api.call("GET", "/users/ann/sanctions", Value::Null).await;
    assert_eq!(of_ann, json!({ "sanctions": [] }));
    let joined = ann.call("chat:join", &json!("lobby")).await.unwrap();
    assert_eq!(joined["ok"], true, "{joined}");
}

#[tokio::test]
async fn a_room_is_frozen_and_slowed_down_over_http() {
    let api = Api::start().await;
    let rules = json!({ "slowMode": 30, "frozen": true });
    let (status, made) = api.call("PUT", "/rooms/lobby", rules).await;
    assert_eq!(
        (status, &made["slowMode"], &made["frozen"]),
        (201, &json!(30), &json!(true))
    );
    let post = json!({ "userId": "ann", "text": "hi" });
    let (status, frozen) = api.call("POST", "/rooms/lobby/messages", post.clone()).await;
    assert_eq!((status, &frozen["error"]["code"]), (403, &json!("forbidden")));
    let (_, thawed) = api.call("PUT", "/rooms/lobby", json!({ "frozen": false })).await;
    assert_eq!(
        (&thawed["slowMode"], &thawed["frozen"]),
        (&json!(30), &json!(false))
    );
    assert_eq!(
        api.call("POST", "/rooms/lobby/messages", post.clone()).await.0,
        201
    );
    let (status, slow) = api.call("POST", "/rooms/lobby/messages", post).await;
    assert_eq!((status, &slow["error"]["code"]), (429, &json!("slow_mode")));
}

#[tokio::test]
async fn a_backend_blocks_for_a_user_and_lists_blocks() {
    let api = Api::start().await;
    let ann = api.connect("ann").await;
    for user in ["cy", "bob"] {
        let (status, made) = api
            .call("PUT", &format!("/users/ann/blocks/{user}"), Value::Null)
            .await;
        assert_eq!((status, &made["userId"]), (201, &json!(user)), "{made}");
        let (status, again) = api
            .call("PUT", &format!("/users/ann/blocks/{user}"), Value::Null)
            .await;
        assert_eq!((status, again), (200, made));
        let notice = ann.next_event("user:block_changed").await.unwrap();
        assert_eq!(
            (&notice["userId"], &notice["blocked"]),
            (&json!(user), &json!(true))
        );
    }
    let (_, first) = api.call("GET", "/users/ann/blocks?limit=1", Value::Null).await;
    assert_eq!(first["users"][0]["userId"], "bob");
    let next = first["next"].as_str().unwrap();
    let path = format!("/users/ann/blocks?limit=1&cursor={next}");
    let (_, second) = api.call("GET", &path, Value::Null).await;
    assert_eq!(
        (&second["users"][0]["userId"], second.get("next")),
        (&json!("cy"), None)
    );
    // The recipient who has blocked the sender gets no copy.
    let post = json!({ "userIds": ["ann"], "fromUserId": "bob", "kind": "poke", "title": "Hey", "body": "" });
    assert_eq!(api.call("POST", "/notifications", post).await.0, 201);
    let list = ann.call("notification:list", &json!({})).await.unwrap();
    assert_eq!(list["data"]["notifications"], json!([]));
    let bob = "/users/ann/blocks/bob";
    let (status, ended) = api.call("DELETE", bob, Value::Null).await;
    assert_eq!((status, &ended["userId"]), (200, &json!("bob")));
    for (method, path, expected) in [
        ("DELETE", bob, 404),
        ("DELETE", "/users/ann/blocks/%00", 400),
        ("PUT", "/users/ann/blocks/ann", 400),
        ("PUT", "/users/ann/blocks/%00", 400),
        ("GET", "/users/%00/blocks", 400),
        ("GET", "/users/ann/blocks?limit=0", 400),
        ("POST", bob, 405),
    ] {
        let (status, answer) = api.call(method, path, Value::Null).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn a_backend_lists_and_resolves_reports() {
    let api = Api::start().await;
    let (ann, troll) = (api.connect("ann").await, api.connect("troll").await);
    for client in [&ann, &troll] {
        client.call("chat:join", &json!("lobby")).await.unwrap();
    }
    let mut ids = Vec::new();
    for seq in 1..=2 {
        let message = json!({ "room": "lobby", "text": format!("buy this {seq}") });
        troll.call("chat:send_message", &message).await.unwrap();
        let report = json!({ "room": "lobby", "seq": seq, "reason": "spam", "text": "hm" });
        let made = ann.call("chat:report", &report).await.unwrap();
        ids.push(made["data"]["id"].as_i64().unwrap());
    }
    let list = "/moderation/reports?state=open&limit=1";
    let (_, first) = api.call("GET", list, Value::Null).await;
    let report = &first["reports"][0];
    assert_eq!(
        (&report["id"], &report["userId"], &report["reporter"]),
        (&json!(ids[0]), &json!("troll"), &json!("ann"))
    );
    assert_eq!(
        (&report["reason"], &report["text"], &report["message"]["text"]),
        (&json!("spam"), &json!("hm"), &json!("buy this 1"))
    );
    let next = first["next"].as_str().unwrap();
    let (_, second) = api
        .call("GET", &format!("{list}&cursor={next}"), Value::Null)
        .await;
    assert_eq!(
        (&second["reports"][0]["id"], second.get("next")),
        (&json!(ids[1]), None)
    );
    let path = format!("/moderation/reports/{}", ids[0]);
    let (status, resolved) = api.call("POST", &path, json!({ "action": "delete" })).await;
    assert_eq!(
        (status, &resolved["state"], &resolved["resolvedBy"]),
        (200, &json!("deleted"), &json!("key:default"))
    );
    assert_eq!(resolved.get("message"), None, "{resolved}");
    let until = 4_102_444_800_000_i64;
    let other = format!("/moderation/reports/{}", ids[1]);
    for (method, path, body, expected) in [
        ("POST", &*path, json!({ "action": "dismiss" }), 404),
        (
            "POST",
            "/moderation/reports/9999",
            json!({ "action": "dismiss" }),
            404,
        ),
        (
            "POST",
            "/moderation/reports/x",
            json!({ "action": "dismiss" }),
            400,
        ),
        ("POST", &*other, json!({ "action": "praise" }), 400),
        ("POST", &*other, json!({}), 400),
        ("POST", &*other, json!({ "action": "mute", "until": 5 }), 400),
        (
            "POST",
            &*other,
            json!({ "action": "delete", "until": until }),
            400,
        ),
        ("POST", &*other, json!({ "action": "ban", "by": "ann" }), 400),
        ("GET", &*other, Value::Null, 405),
        ("GET", "/moderation/reports?state=closed", Value::Null, 400),
        ("GET", "/moderation/reports?limit=0", Value::Null, 400),
        ("GET", "/moderation/reports?cursor=YQ", Value::Null, 400),
        ("POST", &*other, json!({ "action": "ban", "until": until }), 200),
    ] {
        let (status, answer) = api.call(method, path, body.clone()).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
    }
    let (_, bans) = api.call("GET", "/rooms/lobby/bans", Value::Null).await;
    assert_eq!(
        (&bans["sanctions"][0]["userId"], &bans["sanctions"][0]["until"]),
        (&json!("troll"), &json!(until))
    );
    let (_, open) = api
        .call("GET", "/moderation/reports?state=open", Value::Null)
        .await;
    assert_eq!(open, json!({ "reports": [] }));
}

#[tokio::test]
async fn malformed_orders_are_refused_and_change_nothing() {
    let api = Api::start().await;
    api.call("PUT", "/rooms/lobby", Value::Null).await;
    let long = "x".repeat(501);
    let attempts = [
        ("PUT", "/rooms/lobby/bans/ann", json!({ "until": 5 }), 400),
        ("PUT", "/rooms/lobby/bans/ann", json!({ "until": -5 }), 400),
        ("PUT", "/rooms/lobby/bans/ann", json!({ "until": "soon" }), 400),
        ("PUT", "/rooms/lobby/bans/ann", json!({ "until": 1e40 }), 400),
        ("PUT", "/rooms/lobby/bans/ann", json!({ "until": [1] }), 400),
        ("PUT", "/rooms/lobby/bans/ann", json!({ "reason": 5 }), 400),
        ("PUT", "/rooms/lobby/bans/ann", json!({ "reason": long }), 413),
        (
            "PUT",
            "/rooms/lobby/bans/ann",
            json!({ "actor": "key:other" }),
            400,
        ),
        ("PUT", "/rooms/lobby/bans/ann", json!({ "kind": "mute" }), 400),
        ("PUT", "/rooms/lobby/bans/ann", json!([1]), 400),
        ("PUT", "/rooms/lobby/bans/%00", Value::Null, 400),
        ("PUT", "/rooms/nowhere/bans/ann", Value::Null, 404),
        ("PUT", "/rooms/%01cluster/bans/ann", Value::Null, 400),
        ("PUT", "/rooms/lobby/mutes/ann", json!({ "until": 0 }), 400),
        ("DELETE", "/rooms/lobby/bans/ann", Value::Null, 404),
        ("DELETE", "/rooms/nowhere/mutes/ann", Value::Null, 404),
        ("DELETE", "/users/ann/ban", Value::Null, 404),
        ("DELETE", "/users/ann/mute", Value::Null, 404),
        ("PUT", "/users/ann/ban", json!({ "until": 1 }), 400),
        ("PUT", "/users/ann/ban", json!({ "room": "lobby" }), 400),
        ("POST", "/users/ann/ban", Value::Null, 405),
        ("GET", "/rooms/nowhere/bans", Value::Null, 404),
        ("GET", "/bans?limit=0", Value::Null, 400),
        ("GET", "/bans?cursor=%25", Value::Null, 400),
        ("GET", "/mutes?limit=x", Value::Null, 400),
        ("PUT", "/rooms/lobby", json!({ "slowMode": -1 }), 400),
        ("PUT", "/rooms/lobby", json!({ "slowMode": 1.5 }), 400),
        ("PUT", "/rooms/lobby", json!({ "slowMode": 86_401 }), 400),
        ("PUT", "/rooms/lobby", json!({ "slowMode": "fast" }), 400),
        ("PUT", "/rooms/lobby", json!({ "frozen": 1 }), 400),
        ("PUT", "/rooms/lobby", json!({ "frozen": "true" }), 400),
        (
            "PUT",
            "/rooms/lobby",
            json!({ "frozen": null, "slowmode": 1 }),
            400,
        ),
        ("PUT", "/rooms/lobby", json!({ "members": ["ann"] }), 400),
        ("PUT", "/rooms/lobby/members/ann", json!({ "role": "admin" }), 400),
    ];
    for (method, path, body, expected) in attempts {
        let (status, answer) = api.call(method, path, body.clone()).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
    }
    for list in ["/bans", "/mutes", "/rooms/lobby/bans", "/rooms/lobby/mutes"] {
        let (_, listed) = api.call("GET", list, Value::Null).await;
        assert_eq!(listed, json!({ "sanctions": [] }), "{list}");
    }
    let (_, room) = api.call("GET", "/rooms/lobby", Value::Null).await;
    assert_eq!((&room["slowMode"], &room["frozen"]), (&json!(0), &json!(false)));
}
