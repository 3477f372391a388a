//! Rules on the texts of messages: sends, edits and posts.

use roomful_chat::{ContentRule, RuleAction, admin::Post};
use serde_json::json;

use crate::fixture::{Server, failed, ok, send};

async fn with_rules() -> Server {
    Server::with(|config| {
        let rule = |word, action| ContentRule::words(word, action, &[]).unwrap();
        config.content_rules.replace(vec![
            rule("bad", RuleAction::Mask),
            rule("worse", RuleAction::Refuse),
            rule("odd", RuleAction::Flag),
        ]);
    })
    .await
}

#[tokio::test]
async fn rules_mask_refuse_and_flag_sends_edits_and_posts() {
    let server = with_rules().await;
    let alice = server.joined("alice", "lobby").await;
    send(&alice, "lobby", "a bad day").await;
    let received = alice.next_event("chat:receive_message").await.unwrap();
    assert_eq!(received["text"], "a *** day");
    let worse = json!({ "room": "lobby", "text": "worse" });
    let refused = failed(alice.call("chat:send_message", &worse).await, "refused");
    assert_eq!(refused["retryable"], false);

    let edit = |text: &str| json!({ "room": "lobby", "seq": 1, "text": text });
    ok(alice.call("chat:edit_message", &edit("Bad again")).await);
    let edited = alice.next_event("chat:message_edited").await.unwrap();
    assert_eq!(edited["text"], "*** again");
    failed(alice.call("chat:edit_message", &edit("worse")).await, "refused");

    let post = |text: &str| Post {
        user_id: "bot".to_owned(),
        text: text.to_owned(),
        ..Post::default()
    };
    server.chat.post("lobby", post("bad bot")).await.unwrap();
    let refused = server.chat.post("lobby", post("worse bot")).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "refused");
    send(&alice, "lobby", "odd").await;

    let page = ok(alice.call("chat:get_history", &json!("lobby")).await);
    let texts: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["*** again", "*** bot", "odd"]);
}

#[tokio::test]
async fn a_retry_of_a_masked_message_is_recognised() {
    let server = with_rules().await;
    let alice = server.joined("alice", "lobby").await;
    let message = json!({ "room": "lobby", "text": "bad", "clientId": "m1" });
    let first = ok(alice.call("chat:send_message", &message).await);
    let again = ok(alice.call("chat:send_message", &message).await);
    assert_eq!(
        (&again["seq"], &again["duplicate"]),
        (&first["seq"], &json!(true))
    );
}
