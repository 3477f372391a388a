//! Tests of the audit log.

use roomful_testkit::{PATIENCE, http::HttpClient};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Api;

const TEXT: &str = "words that no audit record may hold";

/// A body for a call; `null` for one without.
fn body_of(operation: &str, user: &str) -> Value {
    match operation {
        "postMessage" => json!({ "userId": user, "text": TEXT }),
        "postNotification" => json!({ "userIds": [user], "kind": "news", "title": TEXT, "body": TEXT }),
        "putMember" => json!({ "role": "moderator" }),
        "resolveReport" => json!({ "action": "dismiss" }),
        "changeUser" => json!({ "name": "Ann" }),
        "putRoom" => json!({ "kind": "private", "slowMode": 3 }),
        _ => Value::Null,
    }
}

/// Has a message reported, with texts that no record may hold. Returns the report's id.
async fn reported(api: &Api) -> String {
    let ann = api.connect("ann").await;
    ann.call("chat:join", &json!("reported")).await.unwrap();
    let message = json!({ "room": "reported", "text": TEXT });
    ann.call("chat:send_message", &message).await.unwrap();
    let report = json!({ "room": "reported", "seq": 1, "reason": "spam", "text": TEXT });
    let made = ann.call("chat:report", &report).await.unwrap();
    made["data"]["id"].to_string()
}

/// The id of a webhook's record whose attempts are used up.
async fn dead_record(api: &Api) -> String {
    loop {
        let dead = api.done("GET", "/webhooks/records?state=dead", Value::Null).await;
        if let Some(id) = dead["records"][0]["id"].as_str() {
            return id.to_owned();
        }
    }
}

#[tokio::test]
async fn every_changing_call_leaves_a_record() {
    let api = Api::start_with(Api::with_webhook().env("ROOMFUL__OUTBOX__ATTEMPTS", "1")).await;
    api.done("PUT", "/rooms/first", json!({})).await;
    let post = json!({ "userId": "ann", "text": TEXT });
    api.done("POST", "/rooms/first/messages", post).await;
    let record = timeout(PATIENCE, dead_record(&api)).await.unwrap();
    let mut client = HttpClient::connect(api.server.addr()).await.unwrap();
    let described = client
        .request("GET", "/api/openapi.json", &[], b"")
        .await
        .unwrap();
    let mut changing = 0;
    for (path, item) in described.json()["paths"].as_object().unwrap() {
        let route = path.strip_prefix("/api/v1").unwrap();
        for (method, call) in item.as_object().unwrap() {
            if method == "get" {
                continue;
            }
            changing += 1;
            let (method, operation) = (method.to_uppercase(), call["operationId"].as_str().unwrap());
            let (room, user) = (format!("room{changing}"), format!("user{changing}"));
            let filled = route
                .replace("{room}", &room)
                .replace("{user}", &user)
                .replace("{blocked}", "troll");
            let filled = match route {
                _ if !filled.contains("{id}") => filled,
                _ if route.starts_with("/webhooks/") => filled.replace("{id}", &record),
                _ => filled.replace("{id}", &reported(&api).await),
            };
            assert!(
                !filled.contains('{'),
                "{method} {route}: add the parameters of this path to the test"
            );
            api.done("PUT", &format!("/rooms/{room}"), json!({})).await;
            if method == "DELETE" && !item["put"].is_null() {
                api.done("PUT", &filled, json!({})).await;
            }
            let query = match operation {
                "eraseUser" => "?messages=delete",
                _ => "",
            };
            api.done(&method, &format!("{filled}{query}"), body_of(operation, &user))
                .await;
            let action = format!("{method} {route}").replace(' ', "%20");
            let is_of_call = |record: &Value| !filled.contains(&room) || record["room"] == *room;
            let found = async {
                loop {
                    let mut records = api.audit(&format!("limit=200&action={action}"), 1).await;
                    records.retain(is_of_call);
                    if let Some(record) = records.pop() {
                        return record;
                    }
                }
            };
            let record = timeout(PATIENCE, found)
                .await
                .unwrap_or_else(|_| panic!("no record of {method} {filled}"));
            assert_eq!(record["actor"], "key:default", "{record}");
            assert!(record["at"].as_i64().unwrap() > 1_700_000_000_000, "{record}");
            if filled.contains(&user) && operation != "eraseUser" {
                assert_eq!(record["userId"], *user, "{record}");
            }
            let has_state = record["before"].is_object() || record["after"].is_object();
            assert!(has_state, "{method} {route}: {record}");
        }
    }
    assert!(changing >= 16, "{changing}");
    let all = api.audit("limit=200", 1).await;
    let all = Value::from(all).to_string();
    assert!(
        !all.contains(TEXT) && !all.contains(api.server.api_key()),
        "{all}"
    );
    // Calls that change nothing, refused calls among them, leave no record.
    let before = api.audit("limit=1", 1).await;
    assert_eq!(api.call("DELETE", "/rooms/none", &Value::Null).await.0, 404);
    assert_eq!(
        api.call("PUT", "/rooms/room1", &json!({ "kind": "secret" }))
            .await
            .0,
        400
    );
    assert_eq!(api.audit("limit=1", 1).await, before);
}

#[tokio::test]
async fn a_record_has_the_state_before_and_after() {
    let api = Api::start().await;
    api.done("PUT", "/rooms/lobby", json!({ "history": 7 })).await;
    api.done("PUT", "/rooms/lobby", json!({ "frozen": true })).await;
    let records = api.audit("action=PUT%20/rooms/%7Broom%7D", 2).await;
    assert_eq!((records.len(), records[0].get("before")), (2, None));
    assert_eq!(records[1]["before"]["history"], 7);
    assert_eq!(
        (&records[1]["before"]["frozen"], &records[1]["after"]["frozen"]),
        (&json!(false), &json!(true))
    );
    for (role, before) in [("member", Value::Null), ("owner", json!("member"))] {
        api.done("PUT", "/rooms/lobby/members/~Li4", json!({ "role": role }))
            .await;
        let record = api.audit("limit=1", 1).await.remove(0);
        assert_eq!(
            (&record["before"]["role"], &record["after"]["role"]),
            (&before, &json!(role))
        );
        assert_eq!(
            (&record["room"], &record["userId"]),
            (&json!("lobby"), &json!(".."))
        );
    }
}

#[tokio::test]
async fn acts_of_moderators_are_recorded() {
    let api = Api::start().await;
    for (user, role) in [("mod", "moderator"), ("ann", "member")] {
        api.done("PUT", "/rooms/lobby", json!({})).await;
        api.done(
            "PUT",
            &format!("/rooms/lobby/members/{user}"),
            json!({ "role": role }),
        )
        .await;
    }
    let moderator = api.connect("mod").await;
    moderator.call("chat:join", &json!("lobby")).await.unwrap();
    let act = async |act: Value| {
        let answer = moderator.call("chat:moderate", &act).await.unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
    };
    act(json!({ "room": "lobby", "action": "mute", "userId": "ann", "reason": "spam" })).await;
    act(json!({ "room": "lobby", "action": "unmute", "userId": "ann" })).await;
    act(json!({ "room": "lobby", "action": "slow_mode", "seconds": 9 })).await;
    for author in ["ann", "mod"] {
        let post = json!({ "userId": author, "text": "hi" });
        let posted = api.done("POST", "/rooms/lobby/messages", post).await;
        let mut edit = json!({ "room": "lobby", "seq": posted["seq"], "text": "kinder" });
        let edited = moderator.call("chat:edit_message", &edit).await.unwrap();
        assert_eq!(edited["ok"], true, "{edited}");
        edit.as_object_mut().unwrap().remove("text");
        let delete = edit;
        let deleted = moderator.call("chat:delete_message", &delete).await.unwrap();
        assert_eq!(deleted["ok"], true, "{deleted}");
    }
    for action in ["chat:edit_message", "chat:delete_message"] {
        let [change] = &api.audit(&format!("actor=mod&action={action}"), 1).await[..] else {
            panic!("a moderator's own message needs no record");
        };
        assert_eq!(
            (&change["userId"], &change["after"]),
            (&json!("ann"), &json!({ "seq": 1 }))
        );
    }
    let refused = moderator
        .call(
            "chat:moderate",
            &json!({ "room": "lobby", "action": "ban", "userId": "mod" }),
        )
        .await;
    assert_eq!(refused.unwrap()["ok"], false);
    let records = api.audit("actor=mod&action=chat:moderate", 3).await;
    let [mute, unmute, slow] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!((&mute["room"], &mute["userId"]), (&json!("lobby"), &json!("ann")));
    assert_eq!(mute["after"], json!({ "action": "mute", "reason": "spam" }));
    assert_eq!(
        (mute.get("before"), &unmute["before"]["reason"]),
        (None, &json!("spam"))
    );
    assert_eq!(slow["before"], json!({ "frozen": false, "slowMode": 0 }));
    assert_eq!(slow["after"], json!({ "action": "slow_mode", "seconds": 9 }));
}

#[tokio::test]
async fn the_audit_log_is_paged_and_cannot_be_changed() {
    let api = Api::start().await;
    for room in ["a", "b", "c"] {
        api.done("PUT", &format!("/rooms/{room}"), json!({})).await;
    }
    let rooms = |page: &Value| {
        let records = page["records"].as_array().unwrap();
        let rooms = records.iter().map(|record| record["room"].as_str().unwrap());
        rooms.collect::<String>()
    };
    let all = api.audit("", 3).await;
    let id = |at: usize| all[at]["id"].as_i64().unwrap();
    let page = async |query: String| {
        let page = api.done("GET", &format!("/audit?{query}"), Value::Null).await;
        (rooms(&page), page["more"].as_bool().unwrap())
    };
    assert_eq!(page("limit=2".into()).await, ("bc".into(), true));
    assert_eq!(
        page(format!("limit=2&before={}", id(1))).await,
        ("a".into(), false)
    );
    assert_eq!(page("after=0&limit=2".into()).await, ("ab".into(), true));
    assert_eq!(page(format!("after={}", id(1))).await, ("c".into(), false));
    assert_eq!(page("actor=key:other".into()).await, (String::new(), false));
    for wrong in ["after=-1", "before=x", "limit=0"] {
        let refused = api.call("GET", &format!("/audit?{wrong}"), &Value::Null).await;
        assert_eq!(
            (refused.0, &refused.1["error"]["code"]),
            (400, &json!("invalid_request"))
        );
    }
    for method in ["PUT", "POST", "PATCH", "DELETE"] {
        assert_eq!(api.call(method, "/audit", &json!({})).await.0, 405, "{method}");
    }
}

#[tokio::test]
async fn a_call_whose_client_hangs_up_is_recorded() {
    let api = Api::start().await;
    let bearer = format!("Bearer {}", api.server.api_key());
    let (mut made, mut sent) = (Vec::new(), 0);
    // The server may notice that a client is gone before it reads the request.
    while made.len() < 5 {
        for _ in 0..20 {
            sent += 1;
            let mut client = HttpClient::connect(api.server.addr()).await.unwrap();
            let headers = [("authorization", bearer.as_str())];
            let path = format!("/api/v1/rooms/room{sent}");
            client.send("PUT", &path, &headers, b"").await.unwrap();
        }
        let rooms = api.done("GET", "/rooms", Value::Null).await;
        made = rooms["rooms"].as_array().unwrap().clone();
    }
    let every_room_is_recorded = async {
        loop {
            let records = api.audit("limit=200", made.len()).await;
            let is_recorded = |room: &Value| records.iter().any(|record| record["room"] == room["room"]);
            if made.iter().all(is_recorded) {
                return;
            }
        }
    };
    timeout(PATIENCE, every_room_is_recorded).await.unwrap();
}
