//! Attempts against content rules, and invalid answers of a hook.

use serde_json::{Value, json};

use crate::{
    attempt::{Act, Attempt, call, emit},
    receiver::Mood,
};

/// The code of a text that a rule refuses, and of a hook that does not decide.
pub(crate) const REFUSED: &str = "refused";

pub(crate) fn rows() -> Vec<Attempt> {
    [rules(), metadata(), hooks()].concat()
}

fn rules() -> Vec<Attempt> {
    let say = |name, text: &str| {
        let message = json!({ "room": "den", "text": text });
        emit(name, "bob", "chat:send_message", message, REFUSED)
    };
    let edit = json!({ "room": "den", "seq": 5, "text": "the best casino" });
    vec![
        say("a forbidden word", "the best casino"),
        say("a forbidden word in capitals", "CASINO!"),
        say("a forbidden word in wide letters", "ｃａｓｉｎｏ"),
        say("a forbidden word in mathematical letters", "𝐜𝐚𝐬𝐢𝐧𝐨"),
        say(
            "a forbidden word with zero-width spaces",
            "c\u{200b}a\u{200b}sino",
        ),
        say("a forbidden word with soft hyphens", "ca\u{ad}si\u{ad}no"),
        say(
            "a forbidden word with variation selectors",
            "c\u{fe0f}asin\u{fe0e}o",
        ),
        say("a forbidden word behind markup", "<b>casino</b>"),
        say("two forbidden words in one phrase", "Buy\u{2060} Now"),
        say(
            "a forbidden word at the end of 16,000 bytes",
            &format!("{}casino", "a ".repeat(7_990)),
        ),
        emit(
            "a forbidden word by an edit",
            "bob",
            "chat:edit_message",
            edit,
            REFUSED,
        ),
        call(
            "a forbidden word by a backend",
            "POST /rooms/den/messages",
            json!({ "userId": "bob", "text": "the best casino" }),
            "403 refused",
        ),
    ]
}

/// Metadata that readers of a message, a report or a webhook could not parse.
fn metadata() -> Vec<Attempt> {
    let post = |name, metadata: Value| {
        let message = json!({ "userId": "bob", "text": "hello", "metadata": metadata });
        call(name, "POST /rooms/den/messages", message, "400 invalid_request")
    };
    let nested = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
    let message = json!({ "room": "den", "text": "hello", "metadata": nested });
    vec![
        post("metadata of a post that is a list", json!([1])),
        post("metadata of a post that is a text", json!("{}")),
        post(
            "metadata of a post with a hundred objects in each other",
            nested.clone(),
        ),
        emit(
            "metadata with a hundred objects in each other",
            "bob",
            "chat:send_message",
            message,
            "invalid_request",
        ),
    ]
}

fn hooks() -> Vec<Attempt> {
    let answers = |name, mood| Attempt {
        name,
        act: Act::Hooked(mood),
        expected: REFUSED,
    };
    let nested = nested_metadata();
    vec![
        answers("a hook that answers with no JSON", Mood::Say("ok")),
        answers("a hook that answers with an empty object", Mood::Say("{}")),
        answers(
            "a hook that answers with an unknown action",
            Mood::Say(r#"{"action":"__proto__"}"#),
        ),
        answers(
            "a hook that answers with a list",
            Mood::Say(r#"["allow",null,null]"#),
        ),
        answers(
            "a hook that replaces a message by nothing",
            Mood::Say(r#"{"action":"replace","message":{"text":""}}"#),
        ),
        answers(
            "a hook that replaces metadata by a list",
            Mood::Say(r#"{"action":"replace","message":{"metadata":[1]}}"#),
        ),
        answers(
            "a hook that replaces metadata by a thousand objects in each other",
            Mood::Say(nested),
        ),
        answers("a hook that answers with a megabyte", Mood::Flood),
        answers("a hook that redirects", Mood::Answer(302)),
        answers("a hook that closes the connection", Mood::Die),
        answers(
            "a hook that refuses with markup and control characters",
            Mood::Say(r#"{"action":"refuse","reason":"<script>\u0000\u001b[2J"}"#),
        ),
    ]
}

/// The answer of a hook with metadata that is small, and nested deeper than a JSON parser follows.
fn nested_metadata() -> &'static str {
    let metadata = format!("{}{}{}", r#"{"a":"#.repeat(600), Value::Null, "}".repeat(600));
    format!(r#"{{"action":"replace","message":{{"metadata":{metadata}}}}}"#).leak()
}
