//! `roomful explain`: asks the running server about the delivery of a message to one user.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use serde_json::Value;

use super::{Failure, local_server, print};
use crate::{clock, config::Config};

/// Flags of `roomful explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainFlags {
    /// Id of the user.
    #[arg(long, value_name = "ID")]
    user: String,
    /// Name of the room.
    #[arg(long, value_name = "NAME")]
    room: String,
    /// Seq of the message in the room.
    #[arg(long, value_name = "SEQ")]
    seq: u64,
    /// Print the whole answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, flags: &ExplainFlags) -> Result<ExitCode, Failure> {
    let keys = config.api.keys();
    let Some((key, _)) = keys.iter().find(|(_, caller)| caller.is_admin()) else {
        let what = "no API key with the scope admin is configured; set api.key or ROOMFUL_API_KEY";
        return Err(Failure::Usage(what.to_owned()));
    };
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("user", &flags.user)
        .append_pair("room", &flags.room)
        .append_pair("seq", &flags.seq.to_string())
        .finish();
    let path = format!("{}/api/v1/explain?{query}", config.http.base_path);
    let answer = local_server::get(config, &path, Some(key))?;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if answer.status != 200 {
        let why = body["error"]["message"].as_str().unwrap_or(&answer.status_line);
        return Err(Failure::Refused(why.to_owned()));
    }
    if flags.json {
        return print(&format!("{}\n", answer.body.trim_end()));
    }
    print(&describe(&body))
}

/// The answer for people: when the message was committed, the conclusions, and the facts behind them.
fn describe(body: &Value) -> String {
    let mut text = String::new();
    let message = &body["message"];
    let time = |value: &Value| value.as_i64().map_or_else(|| "never".to_owned(), clock::rfc3339);
    let mut line = |label: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<12}{value}");
    };
    let author = message["author"].as_str().unwrap_or_default();
    line(
        "committed",
        format!("{} by {author}", time(&message["committedAt"])),
    );
    if !message["editedAt"].is_null() {
        line("edited", time(&message["editedAt"]));
    }
    line("last seen", time(&body["lastSeen"]));
    for device in body["devices"].as_array().into_iter().flatten() {
        let then = if device["connectedThen"] == true {
            "before the message"
        } else {
            "after the message"
        };
        let (id, transport) = (&device["sessionId"], &device["transport"]);
        line(
            "device",
            format!("{id} over {transport}, connected {then}").replace('"', ""),
        );
    }
    for record in body["webhooks"].as_array().into_iter().flatten() {
        let (event, sink, state) = (&record["event"], &record["sink"], &record["state"]);
        line("webhook", format!("{event} to {sink}: {state}").replace('"', ""));
    }
    for finding in body["findings"].as_array().into_iter().flatten() {
        line("finding", finding.as_str().unwrap_or_default().to_owned());
    }
    text
}
