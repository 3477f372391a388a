//! Delivery of outbox records to webhooks and Redis streams. The store writes each record in the
//! transaction of its cause; `roomful-chat` defines its content.
//!
//! | file | what |
//! |---|---|
//! | `sink` | the interface of a sink |
//! | `runner` | the loop of one sink: due records out, results back |
//! | `payload` | JSON of a record |
//! | `backoff` | delays between attempts |
//! | `attempts` | counters of attempts by outcome |
//! | `upkeep` | gauges, and removal of old records |

mod attempts;
mod backoff;
mod payload;
mod runner;
mod sink;
mod upkeep;

use std::{io, sync::Arc};

use roomful_store::{OutboxOptions, Store};
use roomful_supervisor::{Supervised, supervise};

pub(crate) use self::{
    attempts::{Attempts, Cause},
    backoff::Backoff,
    payload::Payload,
    runner::SinkRunner,
    sink::{Attempt, Delivery, Sink},
};
use crate::{
    chat::millis,
    config::Config,
    streams,
    webhooks::{self, SigningKeys},
};

/// The sinks for which the store writes records.
pub(crate) fn options(config: &Config) -> OutboxOptions {
    let webhooks = config.webhooks.iter().map(|webhook| roomful_store::Sink {
        name: webhook.name(),
        kinds: webhook.kinds(),
    });
    let streams = config.streams.iter().map(|stream| roomful_store::Sink {
        name: stream.name().to_owned(),
        kinds: stream.kinds(),
    });
    OutboxOptions {
        sinks: webhooks.chain(streams).collect(),
        // After the grace, a user who left before the message counts as offline.
        first_check_ms: millis(config.presence.grace.0),
        last_check_ms: millis(config.outbox.undelivered_after.0),
        members_max: config.outbox.undelivered_members,
        retry_max_ms: millis(config.outbox.retry_max.0),
    }
}

/// Starts a task for each sink and one for upkeep; they end when the store closes. Returns the signing
/// keys of each webhook by its name.
pub(crate) fn start(
    config: &Config,
    store: &Arc<dyn Store>,
    tasks: &mut Vec<Supervised>,
) -> io::Result<Vec<(String, SigningKeys)>> {
    if !config.has_sinks() {
        return Ok(Vec::new());
    }
    let keys = webhooks::start(config, store, tasks)?;
    streams::start(config, store, tasks);
    let (store, keep) = (Arc::clone(store), upkeep::keep(config));
    tasks.push(supervise("outbox upkeep", move || {
        upkeep::run(Arc::clone(&store), keep)
    }));
    Ok(keys)
}

/// An error with its sources as one line, without those that name parts of the HTTP client.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let texts = sources.map(|error| match error.to_string() {
        text if text == "client error (Connect)" => "failed to connect".to_owned(),
        text => text,
    });
    let texts: Vec<_> = texts.filter(|text| text != "tcp connect error").collect();
    printable(&texts.join(": "))
}

/// Text from a remote server as one printable line of at most 300 characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    use super::*;

    #[tokio::test]
    async fn a_refused_connection_is_told_in_plain_words() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", free.local_addr().unwrap());
        drop(free);
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
        let error = client.get(url.parse().unwrap()).await.unwrap_err();
        let text = causes(&error);
        assert!(
            text.starts_with("failed to connect: Connection refused"),
            "{text}"
        );
    }
}
