//! Answers of hooks to a message, an edit and a join: reasons are one short line, and replaced parts are
//! within the limits and can be read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomful_chat::{HookEvent, Limits, Question, QuestionedMessage, Replacement, Verdict};
use serde_json::Value;

#[allow(dead_code, reason = "the target reads answers, and does not ask how long they may be")]
#[path = "../../crates/server/src/hooks/answer.rs"]
mod answer;

fn limits() -> Limits {
    Limits {
        text_bytes: 64,
        metadata_bytes: 512,
        reason_chars: 16,
        ..Limits::default()
    }
}

fn question(event: HookEvent, seq: Option<u64>) -> Question<'static> {
    let message = QuestionedMessage {
        seq,
        text: "hello",
        client_id: None,
        reply_to: None,
        mentions: &[],
        metadata: None,
    };
    Question {
        event,
        user: "ann",
        room: Some("lobby"),
        message: (event == HookEvent::Send).then_some(message),
        claims: None,
    }
}

fn check_replacement(replacement: &Replacement, limits: &Limits) {
    assert!(replacement.text.is_some() || replacement.metadata.is_some());
    if let Some(text) = &replacement.text {
        assert!(!text.is_empty() && text.len() <= limits.text_bytes);
    }
    if let Some(metadata) = replacement.metadata.iter().flatten().next() {
        assert!(metadata.len() <= limits.metadata_bytes);
        let json = serde_json::to_string(metadata).expect("metadata can be encoded");
        // Deeper than a report and its webhook wrap it.
        let wrapped = format!("{}{json}{}", "[".repeat(32), "]".repeat(32));
        serde_json::from_str::<Value>(&wrapped).expect("wrapped metadata can be read");
        assert!(json.starts_with('{'));
    }
}

fuzz_target!(|body: &[u8]| {
    let limits = limits();
    for (event, seq) in [
        (HookEvent::Send, None),
        (HookEvent::Send, Some(1)),
        (HookEvent::Join, None),
    ] {
        match answer::read(body, &question(event, seq), &limits) {
            Ok(Verdict::Refuse(reason)) => {
                assert!(!reason.trim().is_empty() && !reason.contains(char::is_control));
            }
            Ok(Verdict::Replace(replacement)) => {
                assert_eq!(event, HookEvent::Send);
                assert!(seq.is_none() || replacement.metadata.is_none());
                check_replacement(&replacement, &limits);
            }
            Ok(verdict) => assert_eq!(verdict, Verdict::Allow),
            Err(fault) => assert!(!fault.is_empty()),
        }
    }
});
