//! Tests of the export of a user.

use serde_json::{Value, json};

use super::Api;

async fn lines(api: &Api, user: &str) -> Vec<Value> {
    let (status, text) = api
        .text("GET", &format!("/users/{user}/export"), &Value::Null)
        .await;
    assert_eq!(status, 200, "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[tokio::test]
async fn metadata_with_line_breaks_stays_in_one_line_of_an_export() {
    let api = Api::start().await;
    let ann = api.connect("ann").await;
    ann.call("chat:join", &json!({ "room": "lobby" })).await.unwrap();
    let forged = "{\"a\":[1,\n\n2]\r\n,\"b\":\n{\"type\":\"message\",\"room\":\"club\"}\n}";
    let event = format!(r#"["chat:send_message",{{"room":"lobby","text":"hi","metadata":{forged}}}]"#);
    ann.send_text(format!("42{event}")).await.unwrap();
    // The ack of a later message of the room tells that the first one is stored.
    let later = json!({ "room": "lobby", "text": "later" });
    ann.call("chat:send_message", &later).await.unwrap();
    let lines = lines(&api, "ann").await;
    let messages = of(&lines, "message");
    assert_eq!(messages.len(), 2);
    let metadata = json!({ "a": [1, 2], "b": { "type": "message", "room": "club" } });
    assert_eq!(messages[0]["body"]["metadata"], metadata);
}

#[tokio::test]
async fn an_export_has_everything_about_a_user_and_nothing_of_others() {
    let api = Api::start().await;
    for room in ["lobby", "club"] {
        api.done("PUT", &format!("/rooms/{room}"), json!({})).await;
        for user in ["ann", "bob"] {
            api.done("PUT", &format!("/rooms/{room}/members/{user}"), json!({}))
                .await;
        }
        // More than the server reads at a time.
        for n in 0..120 {
            let message = json!({ "userId": "ann", "text": format!("ann's {n}"), "metadata": { "n": n } });
            api.done("POST", &format!("/rooms/{room}/messages"), message)
                .await;
        }
        let message = json!({ "userId": "bob", "text": "bob's secret", "mentions": ["ann"] });
        api.done("POST", &format!("/rooms/{room}/messages"), message)
            .await;
    }
    let ann = api.connect("ann").await;
    ann.call(
        "chat:react",
        &json!({ "room": "lobby", "seq": 121, "emoji": "+1" }),
    )
    .await
    .unwrap();
    let status = json!({ "status": "busy", "text": "in a meeting" });
    ann.call("presence:set_status", &status).await.unwrap();
    for text in ["for ann", "for both"] {
        let users = if text == "for ann" {
            json!(["ann"])
        } else {
            json!(["ann", "bob"])
        };
        let news = json!({ "userIds": users, "kind": "news", "title": "t", "body": text });
        api.done("POST", "/notifications", news).await;
    }
    api.done("PUT", "/users/ann/mute", json!({ "reason": "spam" }))
        .await;
    api.done("PUT", "/users/ann/blocks/troll", Value::Null).await;
    let bob = api.connect("bob").await;
    let report = json!({ "room": "lobby", "seq": 1, "reason": "spam", "text": "bob's secret" });
    let reported = bob.call("chat:report", &report).await.unwrap();
    assert_eq!(reported["ok"], true, "{reported}");
    let lines = lines(&api, "ann").await;
    let messages = of(&lines, "message");
    assert_eq!(messages.len(), 240);
    assert_eq!(
        (
            &messages[0]["room"],
            &messages[0]["seq"],
            &messages[0]["body"]["text"]
        ),
        (&json!("lobby"), &json!(1), &json!("ann's 0"))
    );
    assert_eq!(messages[239]["body"]["metadata"], json!({ "n": 119 }));
    for (kind, count) in [
        ("user", 1),
        ("membership", 2),
        ("reaction", 1),
        ("mention", 2),
        ("notification", 2),
        ("sanction", 1),
        ("block", 1),
        ("reported", 1),
    ] {
        assert_eq!(of(&lines, kind).len(), count, "{kind}");
    }
    assert_eq!(of(&lines, "sanction")[0]["reason"], "spam");
    let reported = of(&lines, "reported")[0];
    assert_eq!(reported["message"]["text"], "ann's 0");
    assert!(!reported.to_string().contains("bob"), "{reported}");
    assert!(!of(&lines, "audit").is_empty());
    assert!(
        lines
            .iter()
            .all(|line| !line.to_string().contains("bob's secret"))
    );
    assert_eq!(self::lines(&api, "nobody").await, [] as [Value; 0]);
}
