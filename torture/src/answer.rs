//! The server's JSON in the vocabulary of a history.

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

/// A message, as delivered or in a page.
pub(crate) fn message(value: &Value) -> Seen {
    Seen {
        seq: number(&value["seq"]),
        content: Some(message_content(value)),
    }
}

fn message_content(value: &Value) -> Content {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    Content::message(text("userId"), text("clientId"), text("text"))
}

/// The entries of a page, in the order of the log.
pub(crate) fn page(data: &Value) -> Vec<Seen> {
    data["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(message)
        .collect()
}

/// The entries of a page, with all that the log tells about them.
pub(crate) fn log_page(data: &Value) -> Vec<Logged> {
    let entry = |value: &Value| Logged {
        seq: number(&value["seq"]),
        what: What::Message {
            user: name(&value["userId"]),
            client_id: value["clientId"].as_str().map(Name::from),
            content: Some(message_content(value)),
        },
    };
    data["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(entry)
        .collect()
}
