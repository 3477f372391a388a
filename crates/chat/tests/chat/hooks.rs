//! Hooks of an app in the same process: order, and who waits.

use std::sync::Arc;

use parking_lot::Mutex;
use roomful_chat::{
    ChatError, HookEvent, Hooks, Question, Replacement, Verdict,
    admin::{Impose, Post},
};
use roomful_store::SanctionKind;
use roomful_testkit::SioClient;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::fixture::{Server, failed, ok, send};

/// Decides in favour of everything, about messages of `slow` only with a permit. Notes the texts.
#[derive(Debug)]
struct Gate {
    permits: Semaphore,
    asked: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Hooks for Gate {
    fn concerns(&self, event: HookEvent, room: Option<&str>) -> bool {
        event == HookEvent::Send && room == Some("lobby")
    }

    async fn ask(&self, question: Question<'_>) -> Verdict {
        let text = question.message.unwrap().text.to_owned();
        self.asked.lock().push(text.clone());
        if question.user == "slow" {
            self.permits.acquire().await.unwrap().forget();
        }
        let replaced = |text: &str| {
            Verdict::Replace(Replacement {
                text: Some(text.to_owned()),
                metadata: None,
            })
        };
        match text.as_str() {
            "rude" => Verdict::Refuse("be kind".to_owned()),
            "unclear" => Verdict::Undecided,
            "crowded" => Verdict::Busy,
            "broken" => replaced(""),
            text => replaced(&format!("{text}!")),
        }
    }
}

async fn server() -> (Server, Arc<Gate>) {
    let gate = Arc::new(Gate {
        permits: Semaphore::new(0),
        asked: Mutex::default(),
    });
    let hooks = Arc::clone(&gate);
    let server = Server::with(|config| config.hooks = Some(hooks)).await;
    (server, gate)
}

async fn next_text(client: &SioClient) -> String {
    let message = client.next_event("chat:receive_message").await.unwrap();
    message["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_sender_who_waits_keeps_their_order_and_holds_nobody_else() {
    let (server, gate) = server().await;
    let (slow, fast) = (
        server.joined("slow", "lobby").await,
        server.joined("fast", "lobby").await,
    );
    let texts = ["one", "two", "three"];
    let waiting = async {
        let [one, two, three] = texts.map(|text| send(&slow, "lobby", text));
        tokio::join!(one, two, three)
    };
    let others = async {
        for number in 0..5 {
            send(&fast, "lobby", &number.to_string()).await;
            assert_eq!(next_text(&fast).await, format!("{number}!"));
        }
        gate.permits.add_permits(texts.len());
    };
    tokio::join!(waiting, others);
    for text in texts {
        assert_eq!(next_text(&fast).await, format!("{text}!"));
    }
    let asked = gate.asked.lock().clone();
    let of_slow: Vec<_> = asked
        .into_iter()
        .filter(|text| texts.contains(&&**text))
        .collect();
    assert_eq!(of_slow, texts);
}

#[tokio::test]
async fn verdicts_become_errors_and_only_concerned_rooms_are_asked_about() {
    let (server, gate) = server().await;
    let alice = server.joined("alice", "lobby").await;
    for (text, code, retryable) in [
        ("rude", "refused", false),
        ("unclear", "refused", true),
        ("crowded", "unavailable", true),
        ("broken", "internal", true),
    ] {
        let payload = json!({ "room": "lobby", "text": text });
        let error = failed(alice.call("chat:send_message", &payload).await, code);
        assert_eq!(error["retryable"], retryable, "{text}");
    }
    ok(alice.call("chat:join", &json!("elsewhere")).await);
    send(&alice, "elsewhere", "rude").await;
    assert_eq!(gate.asked.lock().len(), 4);
    // A message that breaks a rule is nobody's business.
    let payload = json!({ "room": "lobby", "text": "hi", "replyTo": 9 });
    failed(alice.call("chat:send_message", &payload).await, "invalid_request");
    assert_eq!(gate.asked.lock().len(), 4);
}

#[tokio::test]
async fn a_sender_who_is_removed_while_a_hook_decides_stores_nothing() {
    let (server, gate) = server().await;
    let slow = server.joined("slow", "lobby").await;
    let fast = server.joined("fast", "lobby").await;
    let payload = json!({ "room": "lobby", "text": "one" });
    let sending = slow.call("chat:send_message", &payload);
    let removing = async {
        while gate.asked.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        server.chat.remove_member("lobby", "slow").await.unwrap();
        gate.permits.add_permits(1);
    };
    let (sent, ()) = tokio::join!(sending, removing);
    failed(sent, "forbidden");
    ok(slow.call("chat:join", &json!("lobby")).await);
    let again = async {
        while gate.asked.lock().len() < 2 {
            tokio::task::yield_now().await;
        }
        server.chat.disconnect_user("slow").await.unwrap();
        gate.permits.add_permits(1);
    };
    let (sent, ()) = tokio::join!(slow.call("chat:send_message", &payload), again);
    assert!(sent.is_err(), "the connection has ended: {sent:?}");
    send(&fast, "lobby", "two").await;
    assert_eq!(next_text(&fast).await, "two!", "nothing came before it");
}

#[tokio::test]
async fn nobody_is_asked_about_a_sender_who_may_not_write() {
    let (server, gate) = server().await;
    let alice = server.joined("alice", "lobby").await;
    let sends = async || {
        alice
            .call("chat:send_message", &json!({ "room": "lobby", "text": "hi" }))
            .await
    };
    let mute = |user: &str| Impose {
        room: Some("lobby".to_owned()),
        user_id: user.to_owned(),
        kind: SanctionKind::Mute,
        until: None,
        reason: None,
        actor: "key:test".to_owned(),
    };
    server.chat.impose(mute("alice")).await.unwrap();
    failed(sends().await, "muted");
    server
        .chat
        .lift(Some("lobby"), "alice", SanctionKind::Mute, "key:test")
        .await
        .unwrap();
    server
        .chat
        .restrict_room("lobby", Some(true), None)
        .await
        .unwrap();
    failed(sends().await, "forbidden");
    let ban = Impose {
        kind: SanctionKind::Ban,
        ..mute("mallory")
    };
    server.chat.impose(ban).await.unwrap();
    let post = Post {
        user_id: "mallory".to_owned(),
        text: "hi".to_owned(),
        ..Post::default()
    };
    assert_eq!(server.chat.post("lobby", post).await, Err(ChatError::Banned));
    assert!(gate.asked.lock().is_empty());
    server
        .chat
        .restrict_room("lobby", Some(false), Some(60))
        .await
        .unwrap();
    ok(sends().await);
    failed(sends().await, "slow_mode");
    assert_eq!(*gate.asked.lock(), ["hi"]);
}
