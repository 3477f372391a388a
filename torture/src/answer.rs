//! Translates the server's JSON into events of a history.

use roomful_testkit::history::{Content, Logged, Name, Seen, What};
use serde_json::Value;

/// The data of an ack, or the code of its error.
pub(crate) fn split(ack: &Value) -> Result<&Value, Name> {
    if ack["ok"] == true {
        Ok(&ack["data"])
    } else {
        Err(ack["error"]["code"].as_str().unwrap_or("no code").into())
    }
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

pub(crate) fn name(value: &Value) -> Name {
    value.as_str().unwrap_or_default().into()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A message, as delivered or in a page.
pub(crate) fn message(value: &Value) -> Seen {
    Seen {
        seq: number(&value["seq"]),
        content: message_content(value),
    }
}

/// The content of a sent message; `None` if it has been edited or deleted since.
fn message_content(value: &Value) -> Option<Content> {
    let original = value["editedAt"].is_null() && value["deleted"] != true;
    original.then(|| {
        Content::message(
            text(value, "userId"),
            text(value, "clientId"),
            text(value, "text"),
        )
    })
}

/// An edit, a deletion or a reaction, as delivered or in a page.
pub(crate) fn change(kind: &str, value: &Value) -> Seen {
    let user = text(value, "userId");
    let target = number(&value["seq"]);
    let content = match kind {
        // The text of an edit is empty once the message is deleted.
        "edited" if text(value, "text").is_empty() => None,
        "edited" => Some(Content::edit(user, target, text(value, "text"))),
        "deleted" => Some(Content::delete(user, target)),
        _ => {
            let removed = value["removed"] == true;
            Some(Content::reaction(user, target, text(value, "emoji"), removed))
        }
    };
    Seen {
        seq: number(&value["logSeq"]),
        content,
    }
}

fn each<'a>(data: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    data[key].as_array().into_iter().flatten()
}

/// The entries of a page, in log order.
pub(crate) fn page(data: &Value) -> Vec<Seen> {
    let changes = each(data, "changes").map(|value| change(text(value, "type"), value));
    let mut entries: Vec<_> = each(data, "messages").map(message).chain(changes).collect();
    entries.sort_by_key(|seen| seen.seq);
    entries
}

/// The entries of a page, with all their fields.
pub(crate) fn log_page(data: &Value) -> Vec<Logged> {
    let messages = each(data, "messages").map(|value| Logged {
        seq: number(&value["seq"]),
        what: What::Message {
            user: name(&value["userId"]),
            client_id: value["clientId"].as_str().map(Name::from),
            content: message_content(value),
        },
    });
    let changes = each(data, "changes").map(|value| {
        let Seen { seq, content } = change(text(value, "type"), value);
        let what = What::Change(content);
        Logged { seq, what }
    });
    let mut entries: Vec<_> = messages.chain(changes).collect();
    entries.sort_by_key(|entry| entry.seq);
    entries
}
