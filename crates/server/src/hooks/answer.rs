//! The answer of a hook's endpoint: `{action, reason?, message?: {text?, metadata?}}`.

use roomful_chat::{ChatError, HookEvent, Limits, Metadata, Question, Replacement, Verdict};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The reason of a refusal without one.
const NO_REASON: &str = "the app does not allow this";
/// The reason of a refusal because the app's text or metadata exceed the limits of a message.
const TOO_LARGE: &str = "the app changes the message, and then it is too large; send a shorter one";
/// Bytes of a character in JSON, at most: a control character takes six.
const ESCAPED: usize = 6;
/// Bytes of an answer besides text and metadata.
const REST: usize = 64 << 10;

/// The largest answer to read, in bytes. An answer may repeat the message, and the sender must not be able to
/// make it too large.
pub(super) fn largest(limits: &Limits) -> usize {
    ESCAPED * (limits.text_bytes + limits.metadata_bytes) + REST
}

#[derive(Deserialize)]
struct Answer<'a> {
    action: Action,
    reason: Option<String>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Allow,
    Refuse,
    Replace,
}

/// The replaced parts. Other fields do not count, so an app may send back the message with changes.
#[derive(Deserialize)]
#[allow(clippy::option_option, reason = "an absent field and null differ")]
struct NewMessage {
    text: Option<String>,
    /// `Some(None)` for `null`, which removes the metadata.
    #[serde(default, deserialize_with = "present")]
    metadata: Option<Option<Box<RawValue>>>,
}

#[allow(clippy::option_option, reason = "an absent field and null differ")]
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Box<RawValue>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Reads an object. serde alone would also accept a list of a struct's fields.
fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err("invalid answer: it must be an object, and so must its message".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| format!("invalid answer: {error}"))
}

/// Reads the answer to a question.
///
/// # Errors
/// The fault of the answer, as one line.
pub(super) fn read(body: &[u8], question: &Question<'_>, limits: &Limits) -> Result<Verdict, String> {
    let answer: Answer<'_> = object(body)?;
    match (answer.action, answer.message) {
        (Action::Allow, _) => Ok(Verdict::Allow),
        (Action::Refuse, _) => Ok(Verdict::Refuse(reason(answer.reason, limits))),
        (Action::Replace, Some(message)) => {
            let message = object(message.get().as_bytes())?;
            let replacement = replacement(message, question)?;
            match replacement.check(limits) {
                Ok(()) => Ok(Verdict::Replace(replacement)),
                // The app has decided. Its sender may be the reason for the size, so this is no failure.
                Err(ChatError::PayloadTooLarge(_)) => Ok(Verdict::Refuse(TOO_LARGE.to_owned())),
                Err(error) => Err(error.to_string()),
            }
        }
        (Action::Replace, None) => Err("invalid answer: replace needs a message".to_owned()),
    }
}

fn replacement(message: NewMessage, question: &Question<'_>) -> Result<Replacement, String> {
    let is_edit = question.message.is_some_and(|message| message.seq.is_some());
    if question.event != HookEvent::Send {
        return Err("invalid answer: only a message can be replaced".to_owned());
    }
    if message.text.is_none() && message.metadata.is_none() {
        return Err("invalid answer: replace needs message.text or message.metadata".to_owned());
    }
    if is_edit && message.metadata.is_some() {
        return Err("invalid answer: an edit has no metadata".to_owned());
    }
    let metadata = match message.metadata {
        None => None,
        Some(None) => Some(None),
        Some(Some(json)) => {
            let wrong = || format!("invalid answer: metadata {}", Metadata::RULE);
            Some(Some(Metadata::new(json).ok_or_else(wrong)?))
        }
    };
    Ok(Replacement {
        text: message.text,
        metadata,
    })
}

/// The reason for the client: one line of at most `limits.reason` characters.
fn reason(reason: Option<String>, limits: &Limits) -> String {
    let reason = reason.unwrap_or_default();
    let line: String = reason
        .chars()
        .filter(|c| !c.is_control())
        .take(limits.reason_chars)
        .collect();
    if line.trim().is_empty() {
        return NO_REASON.to_owned();
    }
    line
}

#[cfg(test)]
mod tests {
    use roomful_chat::QuestionedMessage;

    use super::*;

    fn question(event: HookEvent, seq: Option<u64>) -> Question<'static> {
        let message = QuestionedMessage {
            seq,
            text: "hi",
            client_id: None,
            reply_to: None,
            mentions: &[],
            metadata: None,
        };
        Question {
            event,
            user: "ann",
            room: Some("lobby"),
            message: Some(message),
            claims: None,
        }
    }

    fn limits() -> Limits {
        Limits {
            text_bytes: 10,
            metadata_bytes: 10,
            reason_chars: 5,
            ..Limits::default()
        }
    }

    #[allow(clippy::option_option, reason = "an absent field and null differ")]
    fn replaced(text: Option<&str>, metadata: Option<Option<&str>>) -> Verdict {
        let object = |json: &str| Metadata::new(serde_json::from_str(json).unwrap()).unwrap();
        Verdict::Replace(Replacement {
            text: text.map(str::to_owned),
            metadata: metadata.map(|metadata| metadata.map(object)),
        })
    }

    #[test]
    fn answers_are_read() {
        let refused = |reason: &str| Verdict::Refuse(reason.to_owned());
        let table = [
            (r#"{"action":"allow"}"#, Verdict::Allow),
            (r#"{"action":"allow","other":1}"#, Verdict::Allow),
            (r#"{"action":"refuse","reason":"no\n!"}"#, refused("no!")),
            (r#"{"action":"refuse","reason":"too long"}"#, refused("too l")),
            (r#"{"action":"refuse"}"#, refused(NO_REASON)),
            (r#"{"action":"refuse","reason":" "}"#, refused(NO_REASON)),
            (
                r#"{"action":"replace","message":{"text":"ho","mentions":["x"]}}"#,
                replaced(Some("ho"), None),
            ),
            (
                r#"{"action":"replace","message":{"text":"longer than ten"}}"#,
                refused(TOO_LARGE),
            ),
            (
                r#"{"action":"replace","message":{"metadata":{"a":"longer"}}}"#,
                refused(TOO_LARGE),
            ),
            (
                r#"{"action":"replace","message":{"metadata":null}}"#,
                replaced(None, Some(None)),
            ),
            (
                r#"{"action":"replace","message":{"metadata":{"b":1}}}"#,
                replaced(None, Some(Some(r#"{"b":1}"#))),
            ),
        ];
        for (body, expected) in table {
            let read = read(body.as_bytes(), &question(HookEvent::Send, None), &limits());
            assert_eq!(read, Ok(expected), "{body}");
        }
    }

    #[test]
    fn malformed_answers_are_errors() {
        let table = [
            "",
            "ok",
            "{}",
            "[]",
            r#"{"action":"maybe"}"#,
            r#"["allow",null,null]"#,
            r#"{"action":"replace","message":["ho",null]}"#,
            r#"{"action":"refuse","reason":1}"#,
            r#"{"action":"replace"}"#,
            r#"{"action":"replace","message":{}}"#,
            r#"{"action":"replace","message":{"text":""}}"#,
            r#"{"action":"replace","message":{"metadata":[]}}"#,
            r#"{"action":"replace","message":{"text":"\ud800"}}"#,
        ];
        for body in table {
            let read = read(body.as_bytes(), &question(HookEvent::Send, None), &limits());
            assert!(read.is_err(), "{body}: {read:?}");
        }
    }

    #[test]
    fn only_texts_of_edits_and_nothing_of_joins_can_be_replaced() {
        let text = br#"{"action":"replace","message":{"text":"ho"}}"#;
        let metadata = br#"{"action":"replace","message":{"metadata":{}}}"#;
        let edit = question(HookEvent::Send, Some(1));
        assert_eq!(read(text, &edit, &limits()), Ok(replaced(Some("ho"), None)));
        assert!(read(metadata, &edit, &limits()).is_err());
        assert!(read(text, &question(HookEvent::Join, None), &limits()).is_err());
    }
}
