//! Tests of the erasure of a user: a marker as their id and text in every kind of data, then nowhere.

use std::{path::Path, sync::LazyLock, time::Duration};

use roomful_testkit::{PATIENCE, PostgresServer, SioClient, server::Config, token};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::Api;

const MARKER: &str = "marker-7f3a91";

static POSTGRES: LazyLock<PostgresServer> = LazyLock::new(|| PostgresServer::start().unwrap());

fn config() -> Config {
    Api::with_webhook()
        .env("ROOMFUL__STORE__ERASE_WITHIN", "100ms")
        .env("ROOMFUL__OUTBOX__UNDELIVERED_AFTER", "1s")
        .env("ROOMFUL__PRESENCE__GRACE", "1s")
}

/// Sends messages until the connection ends.
async fn write_on(user: &SioClient) {
    let message = json!({ "room": "lobby", "text": format!("still {MARKER}"), "mentions": [MARKER] });
    while user.call("chat:send_message", &message).await.is_ok() {}
}

async fn ok(client: &SioClient, event: &str, data: Value) -> Value {
    let ack = client.call(event, &data).await.unwrap();
    assert_eq!(ack["ok"], true, "{event}: {ack}");
    ack["data"].clone()
}

/// Writes the marker into every kind of data. Returns the sockets of the user and of bob.
async fn spread(api: &Api) -> (SioClient, SioClient) {
    let bob = api.connect("bob").await;
    ok(&bob, "chat:join", json!("lobby")).await;
    let claims = json!({
        "sub": MARKER, "name": MARKER, "iat": token::now(), "exp": token::now() + 3_600
    });
    let auth = json!({ "token": token::with_claims(api.server.secret(), &claims), "device": MARKER });
    let user = SioClient::connect(api.server.addr(), "/", &auth).await.unwrap();
    for room in ["lobby", "club", "slow"] {
        ok(&user, "chat:join", json!(room)).await;
    }
    api.done("PUT", "/rooms/slow", json!({ "slowMode": 1 })).await;
    api.done(
        "PUT",
        &format!("/rooms/lobby/members/{MARKER}"),
        json!({ "role": "moderator" }),
    )
    .await;
    let first = json!({ "room": "lobby", "text": "first" });
    ok(&bob, "chat:send_message", first).await;
    for room in ["lobby", "club", "slow"] {
        let message = json!({
            "room": room, "text": format!("says {MARKER}"), "clientId": MARKER, "metadata": { "by": MARKER }
        });
        let sent = ok(&user, "chat:send_message", message).await;
        let edit = json!({
            "room": room, "seq": sent["seq"], "text": format!("edited {MARKER}"),
            "clientId": format!("{MARKER}-2")
        });
        ok(&user, "chat:edit_message", edit).await;
    }
    ok(
        &user,
        "chat:react",
        json!({ "room": "lobby", "seq": 1, "emoji": "+1" }),
    )
    .await;
    ok(&user, "chat:message_read", json!({ "room": "lobby", "seq": 2 })).await;
    ok(
        &user,
        "presence:set_status",
        json!({ "status": "busy", "text": MARKER }),
    )
    .await;
    let mention =
        json!({ "room": "lobby", "text": "hello", "mentions": [MARKER], "metadata": { "to": MARKER } });
    ok(&bob, "chat:send_message", mention).await;
    let mute = json!({ "room": "lobby", "action": "mute", "userId": "carl", "reason": "spam" });
    ok(&user, "chat:moderate", mute).await;
    api.done(
        "POST",
        "/rooms/club/messages",
        json!({ "userId": "bob", "text": "for those away" }),
    )
    .await;
    api.done("PUT", "/rooms/posts", json!({})).await;
    let post = json!({ "userId": MARKER, "text": MARKER });
    api.done("POST", "/rooms/posts/messages", post).await;
    for users in [json!([MARKER]), json!(["bob", MARKER])] {
        let news =
            json!({ "userIds": users, "kind": "news", "title": "t", "body": "b", "data": { "by": MARKER } });
        api.done("POST", "/notifications", news).await;
    }
    for path in ["/rooms/posts/bans", "/rooms/posts/mutes"] {
        api.done("PUT", &format!("{path}/{MARKER}"), json!({ "reason": MARKER }))
            .await;
    }
    api.done(
        "PUT",
        &format!("/users/{MARKER}/mute"),
        json!({ "reason": MARKER }),
    )
    .await;
    // The records of users who went offline, and of undelivered messages.
    let away = SioClient::connect(api.server.addr(), "/", &auth).await.unwrap();
    away.abort().await;
    (user, bob)
}

/// How often the marker is in the files of a folder.
fn occurrences(folder: &Path) -> usize {
    let mut found = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found += occurrences(&path);
            continue;
        }
        // The write-ahead log may be removed meanwhile.
        let bytes = std::fs::read(path).unwrap_or_default();
        let windows = bytes.windows(MARKER.len());
        found += windows.filter(|window| *window == MARKER.as_bytes()).count();
    }
    found
}

/// What the API still shows of the marker.
async fn shown(api: &Api) -> String {
    let mut shown = String::new();
    let export = format!("/users/{MARKER}/export");
    for path in [
        &*export,
        "/audit?limit=200",
        "/rooms/lobby/messages",
        "/rooms/club/messages",
        "/rooms/posts/messages",
        "/rooms/slow/messages",
        "/rooms/lobby/members",
        "/rooms/posts/bans",
        "/mutes",
        "/users/bob/export",
    ] {
        let (status, text) = api.text("GET", path, &Value::Null).await;
        assert_eq!(status, 200, "{path}: {text}");
        if text.contains(MARKER) {
            shown.extend([path, ": ", &text, "\n"]);
        }
    }
    shown
}

async fn erase(api: &Api, messages: &str) {
    let path = format!("/users/{MARKER}?messages={messages}");
    let erased = api.done("DELETE", &path, Value::Null).await;
    assert_eq!(erased["userId"], MARKER);
}

#[tokio::test]
async fn an_erased_user_is_in_no_file_of_sqlite() {
    let api = Api::start_with(config()).await;
    let (user, bob) = spread(&api).await;
    let folder = api.server.data();
    let before = occurrences(&folder);
    assert!(before > 30, "{before}");
    // The user and others write on meanwhile.
    tokio::join!(erase(&api, "delete"), write_on(&user));
    user.wait_end(PATIENCE).await.unwrap();
    let profiles = ok(&bob, "user:get", json!({ "users": [MARKER] })).await;
    let nameless = json!({ "userId": MARKER, "name": null, "avatar": null, "metadata": null });
    assert_eq!(profiles["users"], json!([nameless]));
    let deleted = bob.next_event("chat:message_deleted").await.unwrap();
    assert_eq!((&deleted["room"], &deleted["seq"]), (&json!("lobby"), &json!(2)));
    assert!(!deleted.to_string().contains(MARKER), "{deleted}");
    bob.next_event("chat:member_left").await.unwrap();
    assert_eq!(shown(&api).await, "");
    // Longer than the grace of presence, after which a node notes when it saw a user last.
    sleep(Duration::from_secs(2)).await;
    let gone = async {
        while occurrences(&folder) > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, gone)
        .await
        .unwrap_or_else(|_| panic!("{} copies of {before}", occurrences(&folder)));
    // A repetition does no harm, and old tokens stay void. To delete the messages is the default.
    api.done("DELETE", &format!("/users/{MARKER}"), Value::Null).await;
    let old = json!({ "sub": MARKER, "iat": token::now() - 5, "exp": token::now() + 3_600 });
    let auth = json!({ "token": token::with_claims(api.server.secret(), &old) });
    assert!(SioClient::connect(api.server.addr(), "/", &auth).await.is_err());
    // Others keep their own messages.
    let (_, page) = api.call("GET", "/rooms/lobby/messages", &Value::Null).await;
    let texts: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["text"])
        .collect();
    assert_eq!(texts, ["first", "", "hello"], "{page}");
    let record = api.audit("action=DELETE%20/users/%7Buser%7D", 2).await.remove(0);
    assert!(
        record["userId"].as_str().unwrap().starts_with("erased-"),
        "{record}"
    );
}

#[tokio::test]
async fn an_erased_user_is_in_no_table_of_postgresql() {
    let url = POSTGRES.new_database().unwrap();
    let database = url
        .rsplit('/')
        .next()
        .unwrap()
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    let api = Api::start_with(config().env("ROOMFUL_STORE_URL", &url)).await;
    let (user, _bob) = spread(&api).await;
    let sql = |statement: &str| POSTGRES.sql(&database, statement).unwrap();
    let tables = sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'");
    let tables: Vec<_> = tables.split_whitespace().map(str::to_owned).collect();
    let holding = || {
        let holds = |table: &&String| {
            let rows = sql(&format!(
                "SELECT 'found' FROM {table} t WHERE t::text LIKE '%{MARKER}%' LIMIT 1"
            ));
            rows.contains("found")
        };
        tables.iter().filter(holds).cloned().collect::<Vec<_>>()
    };
    assert!(holding().len() > 10, "{:?} of {tables:?}", holding());
    erase(&api, "delete").await;
    user.wait_end(PATIENCE).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(holding(), [] as [String; 0]);
    assert_eq!(shown(&api).await, "");
    // The bytes go with the vacuum that docs/http-api.md recommends. The server opens no table meanwhile.
    drop(api);
    sql("CHECKPOINT");
    assert!(occurrences(&POSTGRES.tables()) > 0, "nothing to vacuum");
    sql("VACUUM (FULL, ANALYZE)");
    sql("CHECKPOINT");
    assert_eq!(occurrences(&POSTGRES.tables()), 0);
}

#[tokio::test]
async fn an_anonymised_user_leaves_their_texts() {
    let api = Api::start_with(config()).await;
    api.done("PUT", "/rooms/lobby", json!({})).await;
    for text in ["one", "two"] {
        let post =
            json!({ "userId": MARKER, "name": MARKER, "text": text, "clientId": format!("{MARKER}{text}") });
        api.done("POST", "/rooms/lobby/messages", post).await;
    }
    erase(&api, "anonymise").await;
    let (_, page) = api.call("GET", "/rooms/lobby/messages", &Value::Null).await;
    let messages = page["messages"].as_array().unwrap();
    let texts: Vec<_> = messages.iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(messages[0]["userId"], messages[1]["userId"]);
    assert!(!page.to_string().contains(MARKER), "{page}");
    let keep = format!("/users/{MARKER}?messages=keep");
    assert_eq!(api.call("DELETE", &keep, &Value::Null).await.0, 400);
}

#[tokio::test]
async fn an_erasure_goes_on_after_a_kill() {
    let mut api = Api::start_with(config()).await;
    for room in ["a", "b", "c", "d"] {
        api.done("PUT", &format!("/rooms/{room}"), json!({})).await;
        for _ in 0..100 {
            let post = json!({ "userId": MARKER, "text": MARKER });
            api.done("POST", &format!("/rooms/{room}/messages"), post).await;
        }
    }
    let path = format!("/api/v1/users/{MARKER}?messages=delete");
    let bearer = format!("Bearer {}", api.server.api_key());
    let mut client = roomful_testkit::http::HttpClient::connect(api.server.addr())
        .await
        .unwrap();
    client
        .send("DELETE", &path, &[("authorization", &bearer)], b"")
        .await
        .unwrap();
    // The first deletion is in the log: the erasure has begun, and is not at its end.
    let begun = async {
        loop {
            let (_, page) = api.call("GET", "/rooms/a/messages?limit=1", &Value::Null).await;
            if page["messages"][0]["deleted"] == true {
                return;
            }
        }
    };
    timeout(PATIENCE, begun).await.unwrap();
    api.server.kill9().await.unwrap();
    api.server.restart().await.unwrap();
    let export = format!("/users/{MARKER}/export");
    let erased = async {
        while !api.text("GET", &export, &Value::Null).await.1.is_empty()
            || occurrences(&api.server.data()) > 0
        {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, erased).await.unwrap();
}
