//! Tests of the HTTP API on the running binary: the key, the JSON shapes, and the effects on live sockets.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

use roomful_testkit::{
    PATIENCE, ServerProcess, SioClient,
    http::{Answer, HttpClient},
    server::Config,
    session::End,
    token,
};
use serde_json::{Value, json};

struct Api {
    server: ServerProcess,
}

impl Api {
    async fn start() -> Self {
        let config = Config::new(env!("CARGO_BIN_EXE_roomful"));
        let server = ServerProcess::start_with(config).await.unwrap();
        Self { server }
    }

    async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut client = HttpClient::connect(self.server.addr()).await.unwrap();
        client.request(method, path, headers, body).await.unwrap()
    }

    /// Makes a call with the key. `path` is relative to `/api/v1`.
    async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.server.api(method, path, body).await.unwrap();
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        (answer.status, answer.json())
    }

    /// Makes a call and closes the connection before the response arrives.
    async fn call_and_hang_up(&self, method: &str, path: &str) {
        let bearer = format!("Bearer {}", self.server.api_key());
        let mut client = HttpClient::connect(self.server.addr()).await.unwrap();
        let headers = [("authorization", bearer.as_str())];
        client
            .send(method, &format!("/api/v1{path}"), &headers, b"")
            .await
            .unwrap();
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, &Value::Null).await
    }

    async fn connect(&self, user: &str) -> SioClient {
        let auth = json!({ "token": token::for_user(self.server.secret(), user) });
        let client = SioClient::connect(self.server.addr(), "/", &auth).await.unwrap();
        client.next_event("session").await.unwrap();
        client
    }
}

#[track_caller]
fn refused((status, answer): (u16, Value), expected: u16, code: &str) {
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (expected, Some(code)),
        "{answer}"
    );
    assert!(
        answer["error"]["message"]
            .as_str()
            .is_some_and(|why| !why.is_empty())
    );
}

#[tokio::test]
async fn rooms_are_created_changed_listed_and_deleted() {
    let api = Api::start().await;
    refused(api.get("/rooms/club").await, 404, "not_found");
    let wish = json!({ "kind": "private", "history": 100 });
    let (status, made) = api.call("PUT", "/rooms/club", &wish).await;
    assert_eq!(
        (status, &made["room"], &made["kind"], &made["history"]),
        (201, &json!("club"), &json!("private"), &json!(100))
    );
    assert_eq!(
        (&made["head"], &made["first"], &made["members"], &made["online"]),
        (&json!(0), &json!(1), &json!(0), &json!(0))
    );
    assert_eq!(api.get("/rooms/club").await, (200, made.clone()));
    let (status, changed) = api.call("PUT", "/rooms/club", &json!({ "history": null })).await;
    assert_eq!(
        (status, &changed["kind"], &changed["history"], &changed["epoch"]),
        (200, &json!("private"), &Value::Null, &made["epoch"])
    );
    assert_eq!(
        api.call("PUT", "/rooms/plain", &Value::Null).await.1["kind"],
        "public"
    );
    // A slash in a name is escaped as %2F.
    assert_eq!(api.call("PUT", "/rooms/a%2Fb", &json!({})).await.1["room"], "a/b");
    for wrong in [
        json!({ "kind": "secret" }),
        json!({ "history": 0 }),
        json!({ "history": -1 }),
        json!([]),
        json!([null, null]),
    ] {
        refused(
            api.call("PUT", "/rooms/club", &wrong).await,
            400,
            "invalid_request",
        );
    }
    refused(
        api.call("PUT", "/rooms/%20", &json!({})).await,
        400,
        "invalid_request",
    );

    let (_, first) = api.get("/rooms?limit=2").await;
    let names = |page: &Value| {
        page["rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|room| room["room"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["a/b", "club"]);
    let next = format!("/rooms?limit=2&cursor={}", first["next"].as_str().unwrap());
    let (_, second) = api.get(&next).await;
    assert_eq!((names(&second), second.get("next")), (vec![json!("plain")], None));
    refused(api.get("/rooms?cursor=%25").await, 400, "invalid_request");
    refused(api.get("/rooms?limit=many").await, 400, "invalid_request");

    assert_eq!(
        api.call("DELETE", "/rooms/club", &Value::Null).await,
        (200, json!({ "room": "club" }))
    );
    refused(
        api.call("DELETE", "/rooms/club", &Value::Null).await,
        404,
        "not_found",
    );
}

#[tokio::test]
async fn a_backend_manages_the_members_of_a_private_room_and_posts_to_it() {
    let api = Api::start().await;
    api.call("PUT", "/rooms/club", &json!({ "kind": "private" }))
        .await;
    let bob = api.connect("bob").await;
    let join = bob.call("chat:join", &json!("club")).await.unwrap();
    assert_eq!(join["error"]["code"], "forbidden");

    let (status, member) = api
        .call("PUT", "/rooms/club/members/bob", &json!({ "role": "moderator" }))
        .await;
    assert_eq!(
        (status, &member["userId"], &member["role"], &member["readSeq"]),
        (201, &json!("bob"), &json!("moderator"), &json!(0))
    );
    let (status, again) = api.call("PUT", "/rooms/club/members/bob", &Value::Null).await;
    assert_eq!((status, &again), (200, &member));
    api.call("PUT", "/rooms/club/members/away", &Value::Null).await;
    let (_, members) = api.get("/rooms/club/members?limit=1").await;
    assert_eq!(members["members"][0]["userId"], "away");
    let next = members["next"].as_str().unwrap();
    let (_, members) = api.get(&format!("/rooms/club/members?cursor={next}")).await;
    assert_eq!(members, json!({ "members": [member] }));
    assert_eq!(bob.call("chat:join", &json!("club")).await.unwrap()["ok"], true);

    let message =
        json!({ "userId": "bot", "name": "Bot", "text": "hi", "clientId": "1", "metadata": { "a": 1 } });
    let (status, sent) = api.call("POST", "/rooms/club/messages", &message).await;
    assert_eq!(
        (status, &sent["room"], &sent["seq"], &sent["duplicate"]),
        (201, &json!("club"), &json!(1), &json!(false))
    );
    let received = bob.next_event("chat:receive_message").await.unwrap();
    assert_eq!(
        received,
        json!({ "id": sent["id"], "room": "club", "seq": 1, "userId": "bot", "name": "Bot", "at": sent["at"],
            "clientId": "1", "text": "hi", "metadata": { "a": 1 } })
    );
    let (status, again) = api.call("POST", "/rooms/club/messages", &message).await;
    assert_eq!(
        (status, &again["id"], &again["duplicate"]),
        (201, &sent["id"], &json!(true))
    );
    let (status, page) = api.get("/rooms/club/messages?limit=10").await;
    assert_eq!((status, &page["messages"]), (200, &json!([received])));
    assert_eq!(page["more"], false);
    let (_, none) = api.get("/rooms/club/messages?after=1").await;
    assert_eq!(none["messages"], json!([]));

    let post = async |body: Value| api.call("POST", "/rooms/club/messages", &body).await;
    refused(
        post(json!({ "userId": "bot", "text": "other", "clientId": "1" })).await,
        409,
        "conflict",
    );
    refused(post(json!({ "userId": "bot" })).await, 400, "invalid_request");
    refused(
        post(json!({ "userId": "", "text": "x" })).await,
        400,
        "invalid_request",
    );
    let long = json!({ "userId": "bot", "text": "x".repeat(17_000) });
    refused(post(long).await, 413, "payload_too_large");
    let huge = json!({ "userId": "bot", "text": "x".repeat(200_000) });
    refused(post(huge).await, 413, "payload_too_large");
    let nowhere = api
        .call(
            "POST",
            "/rooms/x/messages",
            &json!({ "userId": "bot", "text": "x" }),
        )
        .await;
    refused(nowhere, 404, "not_found");
    refused(
        api.get("/rooms/club/messages?before=2&after=1").await,
        400,
        "invalid_request",
    );

    let (status, removed) = api.call("DELETE", "/rooms/club/members/bob", &Value::Null).await;
    assert_eq!(
        (status, removed),
        (200, json!({ "room": "club", "userId": "bob" }))
    );
    let left = bob.next_event("chat:member_left").await.unwrap();
    assert_eq!(left, json!({ "room": "club", "userId": "bob" }));
    let gone = api.call("DELETE", "/rooms/club/members/bob", &Value::Null).await;
    refused(gone, 404, "not_found");
}

/// The app's own fields keep the order of their keys and the digits of their numbers. So a retry on a socket
/// has the same text as the first attempt over HTTP.
#[tokio::test]
async fn metadata_over_http_is_kept_as_written() {
    const METADATA: &str = r#"{"b":1,"a":{"d":1.0,"c":12345678901234567890123}}"#;
    let api = Api::start().await;
    let bearer = format!("Bearer {}", api.server.api_key());
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let call = async |method: &str, path: &str, body: String| {
        let answer = api.raw(method, path, &headers, body.as_bytes()).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
        answer.text()
    };
    call("PUT", "/api/v1/rooms/lobby", "{}".into()).await;
    let post = format!(r#"{{"userId":"ann","text":"hi","clientId":"1","metadata":{METADATA}}}"#);
    call("POST", "/api/v1/rooms/lobby/messages", post).await;
    let page = call("GET", "/api/v1/rooms/lobby/messages", String::new()).await;
    assert!(page.contains(METADATA), "{page}");
    let profile = call(
        "PUT",
        "/api/v1/users/ann",
        format!(r#"{{"metadata":{METADATA}}}"#),
    )
    .await;
    assert!(profile.contains(METADATA), "{profile}");
    for list in ["[]", "7", "null"] {
        let refused = api
            .raw("PUT", "/api/v1/users/ann", &headers, list.as_bytes())
            .await;
        assert_eq!(refused.status, 400, "{list}");
    }
}

#[tokio::test]
async fn whole_numbers_may_have_a_fraction_of_zero() {
    let api = Api::start().await;
    let (status, room) = api
        .call(
            "PUT",
            "/rooms/lobby",
            &json!({ "slowMode": 3.0, "history": 50.0 }),
        )
        .await;
    assert_eq!(
        (status, &room["slowMode"], &room["history"]),
        (201, &json!(3), &json!(50))
    );
    for wrong in [
        json!({ "slowMode": 3.5 }),
        json!({ "slowMode": 1e300 }),
        json!({ "history": -1 }),
    ] {
        let (status, problem) = api.call("PUT", "/rooms/lobby", &wrong).await;
        assert_eq!(
            (status, &problem["error"]["code"]),
            (400, &json!("invalid_request")),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_call_takes_full_effect_though_the_caller_hangs_up() {
    let api = Api::start().await;
    let mut members = Vec::new();
    for n in 0..8 {
        let user = format!("user-{n}");
        let member = api.connect(&user).await;
        for room in [format!("kept-{n}"), format!("deleted-{n}")] {
            member.call("chat:join", &json!(room)).await.unwrap();
        }
        members.push((user, member));
    }
    // A call may get lost before the server reads it, so check its effects only where it took effect.
    for (n, (user, member)) in members.iter().enumerate() {
        let kept = format!("/rooms/kept-{n}/members/{user}");
        api.call_and_hang_up("DELETE", &kept).await;
        if !api.get(&format!("/rooms/kept-{n}/members")).await.1["members"]
            .to_string()
            .contains(user.as_str())
        {
            member.next_event("chat:member_left").await.unwrap();
        }
        api.call_and_hang_up("DELETE", &format!("/rooms/deleted-{n}"))
            .await;
        if api.get(&format!("/rooms/deleted-{n}")).await.0 == 404 {
            member.next_event("chat:room_deleted").await.unwrap();
            let joined = member
                .call("chat:join", &json!(format!("deleted-{n}")))
                .await
                .unwrap();
            assert_eq!(joined["ok"], true, "the name is free: {joined}");
        }
        api.call_and_hang_up("POST", &format!("/users/{user}/revoke"))
            .await;
    }
    for (user, member) in members {
        let auth = json!({ "token": token::for_user(api.server.secret(), &user) });
        if SioClient::connect(api.server.addr(), "/", &auth).await.is_err() {
            assert_eq!(member.wait_end(PATIENCE).await.unwrap(), End::Disconnected);
        }
    }
}

#[tokio::test]
async fn a_notification_reaches_connected_users_and_returning_ones() {
    let api = Api::start().await;
    let bob = api.connect("bob").await;
    let notice = json!({ "userIds": ["bob", "away"], "kind": "invite", "title": "Come", "body": "to the club",
        "data": { "room": "club" }, "id": "n1" });
    let (status, posted) = api.call("POST", "/notifications", &notice).await;
    assert_eq!(
        (status, &posted["id"], &posted["duplicate"]),
        (201, &json!("n1"), &json!(false))
    );
    let expected = json!({ "id": "n1", "kind": "invite", "title": "Come", "body": "to the club",
        "data": { "room": "club" }, "at": posted["at"] });
    assert_eq!(bob.next_event("notification:receive").await.unwrap(), expected);
    let (status, again) = api.call("POST", "/notifications", &notice).await;
    assert_eq!(
        (status, &again["at"], &again["duplicate"]),
        (201, &posted["at"], &json!(true))
    );
    let away = api.connect("away").await;
    assert_eq!(away.next_event("notification:receive").await.unwrap(), expected);

    let mut other = notice.clone();
    other["title"] = json!("Go");
    refused(api.call("POST", "/notifications", &other).await, 409, "conflict");
    other["userIds"] = json!([]);
    refused(
        api.call("POST", "/notifications", &other).await,
        400,
        "invalid_request",
    );
}

#[tokio::test]
async fn users_are_shown_and_disconnected_and_a_revocation_survives_a_restart() {
    let mut api = Api::start().await;
    let bob = api.connect("bob").await;
    let (status, user) = api.get("/users/bob").await;
    assert_eq!(
        (status, &user["userId"], &user["status"]),
        (200, &json!("bob"), &json!("online"))
    );
    assert_eq!(user["devices"][0]["sessionId"], bob.id());
    refused(api.get("/users/nobody").await, 404, "not_found");
    let (_, presence) = api.get("/presence?users=nobody,bob").await;
    assert_eq!(
        (&presence["users"][0], &presence["users"][1]["status"]),
        (
            &json!({ "userId": "nobody", "status": "offline", "lastSeen": null }),
            &json!("online")
        )
    );
    refused(api.get("/presence").await, 400, "invalid_request");
    refused(api.get("/presence?users=").await, 400, "invalid_request");
    let (_, figures) = api.get("/stats").await;
    assert_eq!(
        (
            &figures["connections"],
            &figures["users"],
            &figures["nodes"][0]["users"]
        ),
        (&json!(1), &json!(1), &json!(1))
    );

    let (status, answer) = api.call("POST", "/users/bob/disconnect", &Value::Null).await;
    assert_eq!((status, answer), (200, json!({ "userId": "bob", "closed": 1 })));
    assert_eq!(bob.wait_end(PATIENCE).await.unwrap(), End::Disconnected);

    let bob = api.connect("bob").await;
    let (status, answer) = api.call("POST", "/users/bob/revoke", &Value::Null).await;
    assert_eq!((status, &answer["closed"]), (200, &json!(1)));
    assert_eq!(bob.wait_end(PATIENCE).await.unwrap(), End::Disconnected);
    api.server.kill9().await.unwrap();
    api.server.restart().await.unwrap();
    let old = json!({ "token": token::for_user(api.server.secret(), "bob") });
    let error = SioClient::connect(api.server.addr(), "/", &old)
        .await
        .map(|client| client.id().to_owned());
    assert!(
        matches!(
            &error,
            Err(roomful_testkit::Error::ConnectRefused(why)) if why["data"]["code"] == "unauthorized"
        ),
        "{error:?}"
    );
    // The earliest token that is not revoked. The server accepts it once its date has come.
    let issued = answer["revokedBefore"].as_u64().unwrap() / 1_000;
    let claims = json!({ "sub": "bob", "iat": issued, "exp": issued + 60 });
    let fresh = json!({ "token": token::with_claims(api.server.secret(), &claims) });
    while let Err(error) = SioClient::connect(api.server.addr(), "/", &fresh).await {
        let too_early = matches!(&error, roomful_testkit::Error::ConnectRefused(why)
            if why["message"].as_str().is_some_and(|text| text.contains("dated in the future")));
        assert!(too_early, "{error:?}");
    }
}

#[tokio::test]
async fn the_backend_sees_a_status_and_it_survives_a_restart() {
    let mut api = Api::start().await;
    let set = async |client: &SioClient, status: &str, text: Option<&str>| {
        let ask = json!({ "status": status, "text": text });
        let ack = client.call("presence:set_status", &ask).await.unwrap();
        assert_eq!(ack, json!({ "ok": true, "data": {} }));
    };
    let bob = api.connect("bob").await;
    let carol = api.connect("carol").await;
    set(&bob, "busy", Some("Deep work")).await;
    set(&carol, "invisible", Some("Ssh")).await;
    let (_, presence) = api.get("/presence?users=bob,carol").await;
    let shown = |at: usize| {
        (
            &presence["users"][at]["status"],
            presence["users"][at].get("text"),
        )
    };
    assert_eq!(shown(0), (&json!("busy"), Some(&json!("Deep work"))));
    assert_eq!(shown(1), (&json!("offline"), None));
    let (_, truth) = api.get("/users/carol").await;
    assert_eq!(
        (&truth["status"], &truth["text"]),
        (&json!("invisible"), &json!("Ssh"))
    );
    assert_eq!(truth["devices"][0]["sessionId"], carol.id());

    api.server.kill9().await.unwrap();
    api.server.restart().await.unwrap();
    let last_seen = presence["users"][1]["lastSeen"].clone();
    let carol = api.connect("carol").await;
    let own = json!({ "userId": "carol", "status": "invisible", "text": "Ssh" });
    assert_eq!(carol.next_event("presence:status").await.unwrap(), own);
    let (_, presence) = api.get("/presence?users=bob,carol").await;
    assert_eq!(presence["users"][0]["status"], "offline");
    assert_eq!(
        presence["users"][1],
        json!({ "userId": "carol", "status": "offline", "lastSeen": last_seen })
    );
}

#[tokio::test]
async fn every_call_needs_the_key_and_the_key_is_never_logged() {
    let api = Api::start().await;
    let key = api.server.api_key();
    let wrong = format!("Bearer {key}x");
    let good = format!("Bearer {key}");
    let in_url = format!("/api/v1/stats?api_key={key}");
    for (path, headers) in [
        ("/api/v1/stats", vec![]),
        ("/api/v1/stats", vec![("authorization", "Bearer")]),
        ("/api/v1/stats", vec![("authorization", wrong.as_str())]),
        ("/api/v1/nothing", vec![]),
        (in_url.as_str(), vec![]),
        (in_url.as_str(), vec![("authorization", good.as_str())]),
    ] {
        let answer = api.raw("GET", path, &headers, b"").await;
        refused((answer.status, answer.json()), 401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    refused(api.get("/nothing").await, 404, "not_found");
    refused(
        api.call("PATCH", "/stats", &Value::Null).await,
        405,
        "invalid_request",
    );
    let plain = [("authorization", good.as_str()), ("content-type", "text/plain")];
    let answer = api.raw("POST", "/api/v1/rooms/a/messages", &plain, b"{}").await;
    refused((answer.status, answer.json()), 415, "invalid_request");
    let log = api.server.wait_log("/api/v1/stats").await.unwrap();
    assert!(
        log.contains("/api/v1/stats") && !log.contains(key),
        "the log must contain the calls, but not the key:\n{log}"
    );
}

#[tokio::test]
async fn without_a_configured_key_the_api_refuses_every_call() {
    let config = Config::new(env!("CARGO_BIN_EXE_roomful")).env("ROOMFUL_API_KEY", "");
    let api = Api {
        server: ServerProcess::start_with(config).await.unwrap(),
    };
    for header in ["Bearer ", "Bearer x"] {
        let answer = api
            .raw("GET", "/api/v1/stats", &[("authorization", header)], b"")
            .await;
        assert!(answer.text().contains("no key is configured"));
        refused((answer.status, answer.json()), 401, "unauthorized");
    }
}

/// `docs/asyncapi.json` is a copy of the served description, which `roomful schema` prints. When the events
/// change, save the new one: `roomful schema > docs/asyncapi.json`.
#[tokio::test]
async fn the_docs_have_the_served_description_of_events() {
    let api = Api::start().await;
    let served = api.raw("GET", "/api/asyncapi.json", &[], b"").await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/asyncapi.json");
    assert_eq!(served.status, 200);
    let saved: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(
        served.json() == saved,
        "docs/asyncapi.json differs from /api/asyncapi.json; run: roomful schema > docs/asyncapi.json"
    );
}

/// `docs/openapi.json` is a copy of the served description. `UPDATE_DOCS=1` saves the new one there.
#[tokio::test]
async fn the_docs_have_the_served_openapi_description() {
    let api = Api::start().await;
    let served = api.raw("GET", "/api/openapi.json", &[], b"").await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{:#}\n", served.json())).unwrap();
    }
    let saved: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(
        served.json() == saved,
        "docs/openapi.json differs from /api/openapi.json; UPDATE_DOCS=1 saves the new one"
    );
    // Every described call exists: none answers 405 or the 404 of an unknown path.
    for (path, calls) in saved["paths"].as_object().unwrap() {
        let path = path
            .replace("{room}", "r")
            .replace("{user}", "u")
            .replace("{blocked}", "b")
            .replace("{id}", "i");
        for method in calls
            .as_object()
            .unwrap()
            .keys()
            .map(|method| method.to_uppercase())
        {
            let bearer = format!("Bearer {}", api.server.api_key());
            let answer = api.raw(&method, &path, &[("authorization", &bearer)], b"").await;
            assert!(answer.status != 405, "{method} {path}");
            let body = String::from_utf8_lossy(&answer.body);
            assert!(
                !body.contains("There is nothing at this address."),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn no_call_takes_a_query_field_that_it_does_not_have() {
    let api = Api::start().await;
    let described = api.raw("GET", "/api/openapi.json", &[], b"").await.json();
    for (path, calls) in described["paths"].as_object().unwrap() {
        let path = path
            .strip_prefix("/api/v1")
            .unwrap()
            .replace("{room}", "r")
            .replace("{user}", "u")
            .replace("{blocked}", "b")
            .replace("{id}", "1");
        for method in calls.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            for query in ["surplus=1", "Limit=1", "limit%20=1", "=1"] {
                let answer = api.call(&method, &format!("{path}?{query}"), &Value::Null).await;
                let message = answer.1["error"]["message"].as_str().unwrap().to_owned();
                refused(answer, 400, "invalid_request");
                assert!(
                    message.contains("is unknown"),
                    "{method} {path}?{query}: {message}"
                );
            }
        }
    }
    assert_eq!(api.get("/rooms?limit=1").await.0, 200);
    let (_, answer) = api.get("/rooms?limt=1").await;
    assert_eq!(
        answer["error"]["message"],
        "the query field \"limt\" is unknown; this call takes limit, cursor"
    );
}

#[tokio::test]
async fn a_method_that_a_call_does_not_have_gets_405_with_those_that_it_has() {
    let api = Api::start().await;
    for (method, path, allowed) in [
        ("GET", "/users/ann/ban", "PUT,DELETE"),
        ("GET", "/rooms/tea/mutes/ann", "PUT,DELETE"),
        ("POST", "/rooms", "GET,HEAD"),
    ] {
        let bearer = format!("Bearer {}", api.server.api_key());
        let headers = [("authorization", bearer.as_str())];
        let answer = api.raw(method, &format!("/api/v1{path}"), &headers, b"").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allowed)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_operator_sees_the_rooms_sanctions_and_reports_of_a_user() {
    let api = Api::start().await;
    for room in ["tea", "coffee"] {
        let member = format!("/rooms/{room}/members/ann");
        assert_eq!(
            api.call("PUT", &format!("/rooms/{room}"), &json!({})).await.0,
            201
        );
        assert_eq!(
            api.call("PUT", &member, &json!({ "role": "moderator" })).await.0,
            201
        );
    }
    let names = |page: &Value| {
        let rooms = page["rooms"].as_array().unwrap().iter();
        rooms.map(|room| room["room"].clone()).collect::<Vec<_>>()
    };
    let (status, all) = api.get("/users/ann/rooms").await;
    assert_eq!(status, 200, "{all}");
    let listed = names(&all);
    assert_eq!(listed.len(), 2, "{all}");
    assert_eq!(
        (&all["rooms"][0]["role"], all.get("next")),
        (&json!("moderator"), None)
    );
    let (_, first) = api.get("/users/ann/rooms?limit=1").await;
    let next = format!(
        "/users/ann/rooms?limit=1&cursor={}",
        first["next"].as_str().unwrap()
    );
    let (_, second) = api.get(&next).await;
    assert_eq!([names(&first), names(&second)].concat(), listed);
    assert_eq!(second.get("next"), None);
    refused(
        api.get("/users/ann/rooms?cursor=eA").await,
        400,
        "invalid_request",
    );

    api.call("PUT", "/rooms/tea/bans/ann", &json!({ "reason": "spam" }))
        .await;
    api.call("PUT", "/users/ann/mute", &Value::Null).await;
    let (_, held) = api.get("/users/ann/sanctions").await;
    let held: Vec<_> = held["sanctions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["kind"].as_str(), one.get("room").and_then(Value::as_str)))
        .collect();
    assert_eq!(held, [(Some("mute"), None), (Some("ban"), Some("tea"))]);

    let bob = api.connect("bob").await;
    bob.call("chat:join", &json!({ "room": "coffee" })).await.unwrap();
    api.call("DELETE", "/users/ann/mute", &Value::Null).await;
    let message = json!({ "userId": "ann", "text": "rude" });
    let (_, posted) = api.call("POST", "/rooms/coffee/messages", &message).await;
    let report = json!({ "room": "coffee", "seq": posted["seq"], "reason": "abuse" });
    let reported = bob.call("chat:report", &report).await.unwrap();
    assert_eq!(reported["ok"], true, "{reported}");
    for (query, count) in [
        ("user=ann", 1),
        ("user=bob", 0),
        ("reporter=bob", 1),
        ("reporter=ann", 0),
        ("user=ann&state=open", 1),
        ("user=ann&state=dismissed", 0),
    ] {
        let (_, page) = api.get(&format!("/moderation/reports?{query}")).await;
        assert_eq!(
            page["reports"].as_array().unwrap().len(),
            count,
            "{query}: {page}"
        );
    }
    let both = api.get("/moderation/reports?user=ann&reporter=bob").await;
    refused(both, 400, "invalid_request");
}

#[tokio::test]
async fn an_operator_finds_connections_by_user_and_room() {
    let api = Api::start().await;
    let anna = api.connect("anna").await;
    let _bob = api.connect("bob").await;
    anna.call("chat:join", &json!({ "room": "tea" })).await.unwrap();
    let (status, all) = api.get("/connections").await;
    assert_eq!(status, 200);
    let users: Vec<_> = all["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["userId"])
        .collect();
    assert_eq!(users, ["anna", "bob"]);
    assert_eq!(all.get("next"), None);

    let (_, page) = api.get("/connections?limit=1").await;
    let (_, rest) = api
        .get(&format!(
            "/connections?limit=1&cursor={}",
            page["next"].as_str().unwrap()
        ))
        .await;
    assert_eq!(
        (
            &page["connections"][0]["userId"],
            &rest["connections"][0]["userId"]
        ),
        (&json!("anna"), &json!("bob"))
    );

    let (_, found) = api.get("/connections?room=tea").await;
    let one = &found["connections"][0];
    assert_eq!(found["connections"].as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &one["userId"],
            &one["node"],
            &one["rooms"],
            &one["address"],
            &one["transport"]
        ),
        (
            &json!("anna"),
            &json!("local"),
            &json!(1),
            &json!("127.0.0.1"),
            &json!("websocket")
        )
    );
    assert_eq!(one["sessionId"].as_str(), Some(anna.id()));
    assert!(one["connectedAt"].as_i64().unwrap() > 1_500_000_000_000, "{one}");
    assert!(one["expiresAt"].as_i64() > one["connectedAt"].as_i64(), "{one}");
    assert!(one["queuedBytes"].is_u64(), "{one}");
    let (_, none) = api.get("/connections?user=bob&room=tea").await;
    assert_eq!(
        (&none["connections"], &none["missingNodes"]),
        (&json!([]), &json!([]))
    );
    let (_, here) = api.get("/connections?node=local").await;
    assert_eq!(here["connections"].as_array().unwrap().len(), 2);
    refused(api.get("/connections?node=elsewhere").await, 404, "not_found");
    refused(api.get("/connections?cursor=eA").await, 400, "invalid_request");
}

#[tokio::test]
async fn an_operator_learns_why_a_user_has_not_read_a_message() {
    let api = Api::start().await;
    let anna = api.connect("anna").await;
    anna.call("chat:join", &json!({ "room": "tea" })).await.unwrap();
    api.call("PUT", "/rooms/tea/members/bob", &Value::Null).await;
    let message = json!({ "room": "tea", "text": "hello" });
    anna.call("chat:send_message", &message).await.unwrap();

    let explain = async |user: &str| api.get(&format!("/explain?user={user}&room=tea&seq=1")).await.1;
    let absent = explain("bob").await;
    assert_eq!(
        (
            &absent["message"]["author"],
            &absent["delivered"],
            &absent["read"]
        ),
        (&json!("anna"), &json!(false), &json!(false))
    );
    assert_eq!(
        absent["findings"],
        json!([
            "No device is connected. The message waits for the next join or sync.",
            "The user has never been online."
        ])
    );
    assert_eq!(
        explain("anna").await["findings"],
        json!(["The user wrote the message."])
    );
    assert_eq!(
        explain("carol").await["findings"],
        json!(["The user is no member of the room, so the server does not send them the message."])
    );

    let bob = api.connect("bob").await;
    let late = explain("bob").await;
    assert_eq!(late["devices"][0]["connectedThen"], json!(false), "{late}");
    let known = late["findings"].as_array().unwrap().last().unwrap().as_str();
    assert!(
        known.is_some_and(|known| known.contains("keeps no list of past connections")),
        "{late}"
    );
    bob.call("chat:join", &json!({ "room": "tea" })).await.unwrap();
    bob.call("chat:message_read", &json!({ "room": "tea", "seq": 1 }))
        .await
        .unwrap();
    let read = explain("bob").await;
    assert_eq!(
        (&read["delivered"], &read["read"], &read["findings"]),
        (
            &json!(true),
            &json!(true),
            &json!(["The user has read the message."])
        )
    );

    refused(
        api.get("/explain?user=bob&room=tea&seq=2").await,
        404,
        "not_found",
    );
    refused(
        api.get("/explain?user=bob&room=none&seq=1").await,
        404,
        "not_found",
    );
    refused(
        api.get("/explain?user=bob&room=tea&seq=0").await,
        400,
        "invalid_request",
    );
    refused(
        api.get("/explain?user=bob&room=tea").await,
        400,
        "invalid_request",
    );
}

#[tokio::test]
async fn a_key_learns_its_own_scopes() {
    let api = Api::start().await;
    let (status, key) = api.get("/key").await;
    assert_eq!(status, 200);
    let scopes = key["scopes"].as_array().unwrap();
    assert!(
        scopes.contains(&json!("admin")) && scopes.contains(&json!("rooms:read")),
        "{key}"
    );
    let answer = api.raw("GET", "/api/v1/key", &[], b"").await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn the_settings_in_force_are_listed_with_their_sources_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roomful.toml");
    let hook = format!("whsec_{}", "B3".repeat(22));
    let text = format!(
        "[[webhooks]]\nurl = \"http://127.0.0.1:1/hidden-path\"\nsecret = \"{hook}\"\n\
         events = [\"room.created\"]\n[limits]\nmentions = 7\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut config = Config::new(env!("CARGO_BIN_EXE_roomful"))
        .env("ROOMFUL__HTTP__ORIGINS", "*")
        .env("ROOMFUL__HTTP__METRICS_KEY", "abababababababab");
    config.args = vec!["--config".to_owned(), file.to_str().unwrap().to_owned()];
    let api = Api {
        server: ServerProcess::start_with(config).await.unwrap(),
    };
    let (status, answer) = api.get("/settings").await;
    assert_eq!(status, 200, "{answer}");
    let settings = answer["settings"].as_array().unwrap();
    assert_eq!(settings[0]["key"], "listen");
    let find = |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap();
    for expected in [
        json!({ "key": "listen", "value": "127.0.0.1:0", "source": "argument" }),
        json!({ "key": "webhooks[0].url", "value": "http://127.0.0.1:1/…", "source": "file" }),
        json!({ "key": "webhooks[0].secret", "set": true, "source": "file" }),
        json!({ "key": "http.origins", "value": ["*"], "source": "environment" }),
        json!({ "key": "http.metrics_key", "set": true, "source": "environment" }),
        json!({ "key": "limits.mentions", "value": 7, "source": "file" }),
        json!({ "key": "auth.second_secret", "set": false, "source": "default" }),
        json!({ "key": "history.max_age", "value": "90d", "source": "default" }),
    ] {
        assert_eq!(find(expected["key"].as_str().unwrap()), &expected);
    }
    let whole = answer.to_string();
    for secret in [
        &hook,
        "hidden-path",
        "abababab",
        api.server.secret(),
        api.server.api_key(),
    ] {
        assert!(!whole.contains(secret), "{secret} is in {whole}");
    }
    let warnings = answer["warnings"].as_array().unwrap().iter();
    let unsafe_keys: Vec<_> = warnings.map(|warning| warning["key"].as_str().unwrap()).collect();
    assert_eq!(unsafe_keys, ["http.origins", "http.metrics_key"]);
}

#[tokio::test]
async fn figures_of_the_last_hours_are_kept() {
    let api = Api::start().await;
    let (status, history) = api.get("/stats/history").await;
    assert_eq!((status, &history["intervalMs"]), (200, &json!(15_000)));
    assert_eq!(history["node"], "local");
    let (status, sum) = api.get("/stats/history?all=true").await;
    assert_eq!(status, 200, "{sum}");
    assert!(sum["samples"].is_array() && sum.get("node").is_none(), "{sum}");
    let (_, other) = api.get("/stats/history?node=elsewhere").await;
    assert_eq!(other["samples"], json!([]));
    refused(
        api.get("/stats/history?node=a&all=true").await,
        400,
        "invalid_request",
    );
}

#[tokio::test]
async fn the_command_explain_asks_the_running_server() {
    let api = Api::start().await;
    let anna = api.connect("anna").await;
    anna.call("chat:join", &json!({ "room": "tea" })).await.unwrap();
    api.call("PUT", "/rooms/tea/members/bob", &Value::Null).await;
    let message = json!({ "room": "tea", "text": "hello" });
    anna.call("chat:send_message", &message).await.unwrap();
    let explain = async |args: &[&str]| {
        let listen = api.server.addr().to_string();
        tokio::process::Command::new(env!("CARGO_BIN_EXE_roomful"))
            .args(["--listen", &listen, "explain", "--room", "tea"])
            .args(args)
            .env("ROOMFUL_API_KEY", api.server.api_key())
            .output()
            .await
            .unwrap()
    };
    let answer = explain(&["--user", "bob", "--seq", "1"]).await;
    let output = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.status.success(), "{output}");
    let committed = output.lines().next().unwrap();
    assert!(
        committed.starts_with("committed   20") && committed.ends_with(" by anna"),
        "{output}"
    );
    assert!(output.contains("last seen   never"), "{output}");
    assert!(output.contains("finding     No device is connected."), "{output}");

    let json = explain(&["--user", "bob", "--seq", "1", "--json"]).await;
    let whole: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&whole["user"], &whole["seq"]), (&json!("bob"), &json!(1)));

    let unknown = explain(&["--user", "bob", "--seq", "7"]).await;
    let why = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(why.contains("the room has no message of this seq"), "{why}");
}
