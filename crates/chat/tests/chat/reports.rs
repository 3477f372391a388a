//! Reports of messages by members, and their end by the backend.

use roomful_chat::{
    ErrorCode,
    admin::{ReportAction, ResolveReport},
};
use roomful_store::{ReportState, ReportsOf};
use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::fixture::{START, Server, claims, failed, ok, send, settle};

async fn report(client: &SioClient, seq: u64) -> Result<Value, roomful_testkit::Error> {
    let ask = json!({ "room": "lobby", "seq": seq, "reason": "spam", "text": "again and again" });
    client.call("chat:report", &ask).await
}

fn resolve(id: &Value, action: ReportAction) -> ResolveReport {
    ResolveReport {
        id: id.as_i64().unwrap(),
        action,
        until: None,
        actor: "key:support".into(),
    }
}

#[tokio::test]
async fn a_member_reports_a_message_once_as_it_was() {
    let server = Server::start().await;
    let (ann, troll) = (
        server.joined("ann", "lobby").await,
        server.joined("troll", "lobby").await,
    );
    send(&troll, "lobby", "buy this").await;
    let first = ok(report(&ann, 1).await);
    let edit = json!({ "room": "lobby", "seq": 1, "text": "innocent" });
    ok(troll.call("chat:edit_message", &edit).await);
    assert_eq!(ok(report(&ann, 1).await), first, "a repetition changes nothing");
    ok(troll
        .call("chat:delete_message", &json!({ "room": "lobby", "seq": 1 }))
        .await);
    let reports = server
        .chat
        .reports(ReportsOf::All, Some(ReportState::Open), 0, 10)
        .await
        .unwrap();
    let [report] = &reports[..] else {
        panic!("{reports:?}")
    };
    assert_eq!(
        (report.id, &*report.room, report.seq, report.at),
        (first["id"].as_i64().unwrap(), "lobby", 1, START)
    );
    assert_eq!(
        (&*report.author, &*report.reporter, &*report.reason),
        ("troll", "ann", "spam")
    );
    assert_eq!(report.comment.as_deref(), Some("again and again"));
    let copy: Value = serde_json::from_str(&report.message).unwrap();
    assert_eq!(
        (&copy["text"], &copy["userId"]),
        (&json!("buy this"), &json!("troll"))
    );
    settle(&troll).await;
    assert!(
        troll.drain("chat:moderation").is_empty(),
        "the author learns nothing"
    );
}

#[tokio::test]
async fn only_members_report_existing_messages_and_within_the_limit() {
    let server = Server::with(|config| config.limits.reports_per_day = 2).await;
    let ann = server.joined("ann", "lobby").await;
    let stranger = server.connect("stranger").await;
    for text in ["1", "2", "3"] {
        send(&ann, "lobby", text).await;
    }
    failed(report(&stranger, 1).await, "forbidden");
    failed(report(&ann, 99).await, "not_found");
    let reaction = json!({ "room": "lobby", "seq": 1, "emoji": "+1" });
    ok(ann.call("chat:react", &reaction).await);
    failed(report(&ann, 4).await, "not_found");
    for wrong in [
        json!({ "room": "lobby", "seq": 1 }),
        json!({ "room": "lobby", "seq": 1, "reason": "" }),
        json!({ "room": "lobby", "seq": 1, "reason": "x".repeat(65) }),
        json!({ "room": "lobby", "seq": 0, "reason": "spam" }),
        json!({ "room": "lobby", "reason": "spam" }),
        json!({ "room": "lobby", "seq": 1, "reason": "spam", "text": 5 }),
    ] {
        failed(ann.call("chat:report", &wrong).await, "invalid_request");
    }
    let long = json!({ "room": "lobby", "seq": 1, "reason": "spam", "text": "x".repeat(501) });
    failed(ann.call("chat:report", &long).await, "payload_too_large");
    for seq in [1, 2] {
        ok(report(&ann, seq).await);
    }
    failed(report(&ann, 3).await, "quota_exceeded");
    server.clock.advance(24 * 3_600_000);
    // The first token has ended by now.
    let mut later = claims("ann");
    later["exp"] = json!(START / 1_000 + 2 * 24 * 3_600);
    let ann = server.connect_with(&later).await;
    ok(report(&ann, 3).await);
}

#[tokio::test]
async fn a_report_is_resolved_by_deleting_muting_banning_or_not_at_all() {
    let server = Server::start().await;
    let ann = server.joined("ann", "lobby").await;
    let troll = server.joined("troll", "lobby").await;
    let mut ids = Vec::new();
    for seq in 1..=4 {
        send(&troll, "lobby", &seq.to_string()).await;
        ids.push(ok(report(&ann, seq).await)["id"].clone());
    }
    let done = |at: usize, action| server.chat.resolve_report(resolve(&ids[at], action));
    let dismissed = done(0, ReportAction::Dismiss).await.unwrap();
    assert_eq!(
        (
            dismissed.state,
            dismissed.resolved_at,
            dismissed.resolved_by.as_deref()
        ),
        (ReportState::Dismissed, Some(START), Some("key:support"))
    );
    let again = done(0, ReportAction::Ban).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::NotFound);

    done(1, ReportAction::Delete).await.unwrap();
    let deleted = ann.next_event("chat:message_deleted").await.unwrap();
    assert_eq!(
        (&deleted["seq"], &deleted["userId"]),
        (&json!(2), &json!("key:support"))
    );

    let ends = |until| ResolveReport {
        until: Some(until),
        ..resolve(&ids[2], ReportAction::Mute)
    };
    let past = server.chat.resolve_report(ends(START)).await.unwrap_err();
    assert_eq!(past.code(), ErrorCode::InvalidRequest);
    server.chat.resolve_report(ends(START + 60_000)).await.unwrap();
    let told = troll.next_event("chat:moderation").await.unwrap();
    assert_eq!(
        (&told["action"], &told["until"], &told["reason"]),
        (&json!("mute"), &json!(START + 60_000), &json!("spam"))
    );

    done(3, ReportAction::Ban).await.unwrap();
    let removed = troll.next_event("chat:room_removed").await.unwrap();
    assert_eq!(removed["reason"], "banned");
    let open = server
        .chat
        .reports(ReportsOf::All, Some(ReportState::Open), 0, 10)
        .await
        .unwrap();
    assert!(open.is_empty(), "{open:?}");
}
