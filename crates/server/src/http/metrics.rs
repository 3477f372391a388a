//! The Prometheus exporter behind `/metrics`, with a help text for every metric.

use std::fmt::Write as _;
use std::{sync::Arc, time::Duration};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use http::header;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{
    AddressLimit, Problem,
    bearer::{self, Credential},
    client_address::client_address,
    process::Process,
};
use crate::{clock, log};

/// Buckets for commit times in seconds, from a fast disk to a failing one.
const COMMIT_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
];
/// Buckets for the number of writes in one commit.
const BATCH_BUCKETS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0];
/// How often to drain the recorder's buffers, so that they stay small without a scraper.
pub(crate) const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Renders all recorded metrics. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Exporter {
    handle: PrometheusHandle,
    /// Seconds since 1970.
    started: u64,
}

/// `/metrics` with its optional key and its rate limit.
#[derive(Clone)]
pub(crate) struct MetricsPage {
    exporter: Exporter,
    key: Option<Arc<[u8]>>,
    limit: Option<Arc<AddressLimit>>,
}

impl MetricsPage {
    /// Without a key the page is public.
    pub(crate) fn new(exporter: Exporter, key: Option<&str>, limit: Option<Arc<AddressLimit>>) -> Self {
        MetricsPage {
            exporter,
            key: key.map(|key| key.as_bytes().into()),
            limit,
        }
    }

    /// The response to a scrape: the metrics, 401 without the key, or 429.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        if let Some(limit) = &self.limit
            && let Err(wait) = limit.take(client_address(request.extensions()))
        {
            return Problem::TooMany(wait).into_response();
        }
        let authorized = self
            .key
            .as_ref()
            .is_none_or(|key| bearer::credential(request.headers(), key) == Credential::Right);
        if authorized {
            self.exporter.answer()
        } else {
            Problem::Unauthorized("Send http.metrics_key in the header Authorization: Bearer <key>.")
                .into_response()
        }
    }
}

/// Why the metrics recorder could not be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    #[error("failed to build the metrics recorder: {0}")]
    Build(#[from] BuildError),
    #[error("this process has a metrics recorder already")]
    Taken,
}

impl Exporter {
    /// Installs the recorder of this process. Metrics that were registered earlier are lost.
    pub(crate) fn install() -> Result<Self, MetricsError> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Taken)?;
        describe();
        Ok(Exporter {
            handle,
            started: clock::unix_seconds(),
        })
    }

    /// Drains the recorder's buffers. Call it each [`UPKEEP_INTERVAL`].
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn answer(&self) -> Response {
        let process = Process::read();
        record(process);
        counter!("roomful_log_dropped_lines_total").absolute(log::dropped_lines());
        let mut text = self.handle.render();
        append_times(&mut text, process, self.started);
        let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        (headers, text).into_response()
    }
}

/// Adds metrics that the recorder cannot hold: its counters are whole numbers.
fn append_times(text: &mut String, process: Process, started: u64) {
    // Writing into a string cannot fail.
    if let Some(used) = process.cpu_centiseconds {
        let (seconds, hundredths) = (used / 100, used % 100);
        let _ = write!(
            text,
            "# HELP process_cpu_seconds_total Processor time used since the start, in seconds.\n\
             # TYPE process_cpu_seconds_total counter\n\
             process_cpu_seconds_total {seconds}.{hundredths:02}\n\n"
        );
    }
    let _ = write!(
        text,
        "# HELP process_start_time_seconds When the process started, in seconds since 1970.\n\
         # TYPE process_start_time_seconds gauge\n\
         process_start_time_seconds {started}\n\n"
    );
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full("roomful_store_batch_size".to_owned()),
            &BATCH_BUCKETS,
        )?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &COMMIT_BUCKETS)
}

/// Sets the gauges of the process itself, which are read at each scrape.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats, and the values stay far below 2^53"
)]
fn record(process: Process) {
    for (name, value) in [
        ("process_resident_memory_bytes", process.resident_bytes),
        ("process_open_fds", process.open_files),
        ("process_max_fds", process.max_files),
        ("process_threads", process.threads),
    ] {
        if let Some(value) = value {
            gauge!(name).set(value as f64);
        }
    }
}

/// Registers the help text of every metric.
#[expect(clippy::too_many_lines, reason = "a list of metrics")]
fn describe() {
    describe_gauge!("roomful_connections", "Open connections, by either transport.");
    describe_gauge!("roomful_ready", "1 while /readyz answers 200, otherwise 0.");
    describe_histogram!(
        "roomful_ack_seconds",
        "Time from the arrival of an event to its acknowledgement."
    );
    describe_histogram!(
        "roomful_delivery_seconds",
        "Time from a message's timestamp until it is queued for the clients of this node."
    );
    describe_histogram!(
        "roomful_store_pool_wait_seconds",
        "Time that a call waits for a connection to PostgreSQL."
    );
    describe_gauge!(
        "roomful_webhooks_failing",
        "1 while the last attempt at the endpoint or stream failed, otherwise 0."
    );
    describe_counter!(
        "roomful_webhooks_dead_total",
        "Records that became dead, by endpoint or stream."
    );
    describe_gauge!(
        "roomful_users_online",
        "Users with a live connection, or within the grace after their last one."
    );
    describe_gauge!(
        "roomful_rooms",
        "Rooms in memory, that is rooms with a subscribed connection."
    );
    describe_counter!(
        "roomful_messages_in_total",
        "Messages stored for clients, retries not counted."
    );
    describe_counter!(
        "roomful_messages_out_total",
        "Messages queued for clients, once per receiving connection."
    );
    describe_counter!(
        "roomful_sessions_resumed_total",
        "Attempts to recover a session, by outcome and cause of a refusal."
    );
    describe_gauge!(
        "roomful_sessions_waiting",
        "Clients that wait for the recovery of their session."
    );
    describe_counter!(
        "roomful_refusal_pauses_total",
        "Events refused by a rate limit after which the connection's next event had to wait."
    );
    describe_counter!(
        "roomful_unreadable_entries_total",
        "Committed entries that the store failed to read back."
    );
    describe_counter!("roomful_events_total", "Events from clients, by event.");
    describe_counter!("roomful_errors_total", "Errors sent to clients, by code.");
    describe_counter!(
        "roomful_client_entries_checked_total",
        "Log entries on which clients checked the laws of the log, as they report."
    );
    describe_counter!(
        "roomful_client_law_violations_total",
        "Violations that these checks found, by law: ascending, dense, once."
    );
    describe_histogram!("roomful_store_commit_seconds", "Duration of one durable commit.");
    describe_histogram!("roomful_store_batch_size", "Writes in one commit.");
    describe_gauge!(
        "roomful_cluster_clock_skew_seconds",
        "How far this machine's clock is ahead of the clock of PostgreSQL, which all nodes share."
    );
    describe_gauge!("roomful_store_queue", "Writes that wait for their commit.");
    describe_counter!(
        "roomful_quota_exceeded_total",
        "Requests answered with quota_exceeded, by quota."
    );
    describe_counter!(
        "roomful_store_unused_rooms_removed_total",
        "Removed rooms that had no members and never had a message."
    );
    describe_gauge!(
        "roomful_store_dedup_records",
        "About how many removed messages whose retries are recognised."
    );
    describe_counter!(
        "roomful_store_dedup_records_evicted_total",
        "Dedup records removed early, since their rooms had more than history.dedup_per_room."
    );
    describe_gauge!(
        "roomful_store_reads_waiting",
        "Reads that wait for a thread of SQLite or a connection to PostgreSQL."
    );
    describe_counter!(
        "roomful_store_reads_dropped_total",
        "Reads that were not carried out since the client had gone."
    );
    describe_counter!("roomful_store_errors_total", "Failures of the store, by kind.");
    describe_counter!(
        "roomful_store_erasures_total",
        "Checkpoints that removed deleted text from the disk."
    );
    describe_counter!(
        "roomful_store_erasures_late_total",
        "Checkpoints that took longer than store.erase_within."
    );
    describe_gauge!(
        "roomful_store_bytes",
        "Size of the database, with its indexes and its write-ahead log."
    );
    describe_gauge!(
        "roomful_webhooks_oldest_pending_seconds",
        "Age of the oldest record that waits for an endpoint; 0 if none waits."
    );
    describe_gauge!(
        "roomful_webhooks_pending_bytes",
        "Bytes of the records that wait for an endpoint, about."
    );
    describe_counter!(
        "roomful_outbox_dropped_total",
        "Frames dropped because a client reads too slowly, by cause."
    );
    describe_gauge!(
        "roomful_unfinished_bytes",
        "Bytes of messages that have not arrived completely."
    );
    describe_counter!("roomful_refused_connects_total", "CONNECT packets refused.");
    describe_counter!(
        "roomful_refused_events_total",
        "Events of clients refused before they were handled."
    );
    describe_counter!("roomful_refused_event_bytes_total", "Bytes of refused events.");
    describe_counter!(
        "roomful_opened_total",
        "Connections opened, by their first transport."
    );
    describe_counter!(
        "roomful_upgraded_total",
        "Connections upgraded from polling to WebSocket."
    );
    describe_counter!("roomful_closed_total", "Connections ended, by cause.");
    describe_counter!(
        "roomful_http_refused_total",
        "Engine.IO requests refused, by Engine.IO error code."
    );
    describe_counter!("roomful_packets_in_total", "Packets from clients.");
    describe_counter!("roomful_packets_out_total", "Packets to clients.");
    describe_counter!("roomful_bytes_in_total", "Bytes from clients.");
    describe_counter!("roomful_bytes_out_total", "Bytes to clients.");
    describe_counter!("roomful_handler_panics_total", "Event handlers that panicked.");
    describe_counter!(
        "roomful_task_panics_total",
        "Panics of long-running tasks, by task."
    );
    describe_gauge!("roomful_tasks_failing", "Long-running tasks that keep panicking.");
    describe_gauge!(
        "roomful_webhooks_pending",
        "Records that wait for delivery, by endpoint or stream."
    );
    describe_gauge!(
        "roomful_webhooks_delivered",
        "Delivered records that the outbox still keeps, by endpoint or stream."
    );
    describe_gauge!(
        "roomful_webhooks_dead",
        "Records that failed for good, by endpoint or stream."
    );
    describe_counter!(
        "roomful_webhooks_attempts_total",
        "Attempts to deliver a record, by endpoint or stream and outcome."
    );
    describe_counter!(
        "roomful_webhooks_dropped_total",
        "Records dropped because the outbox was full, by cause."
    );
    describe_hooks();
    describe_tls();
    describe_gauge!("roomful_build_info", "Always 1; the version is its label.");
    describe_gauge!("process_resident_memory_bytes", "Memory held by the process.");
    describe_gauge!("process_open_fds", "Open files and connections.");
    describe_gauge!("process_max_fds", "Open files and connections allowed.");
    describe_gauge!("process_threads", "Threads of the process.");
    describe_cluster();
    describe_http();
    describe_issuers();
    describe_notifications();
    gauge!("roomful_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    // Alerts use these, so they exist from the start.
    counter!("roomful_messages_in_total").absolute(0);
    counter!("roomful_messages_out_total").absolute(0);
}

/// The help texts of the HTTP side and of the log.
fn describe_http() {
    for (name, text) in [
        (
            "roomful_tcp_connections_refused_total",
            "TCP connections refused over a limit, by limit. `evicted`: closed without a request, since a \
             newer one needed its place in the reserve.",
        ),
        (
            "roomful_http_slow_transfers_total",
            "Connections closed because a client sent a request or read a response too slowly, by kind.",
        ),
        (
            "roomful_origins_refused_total",
            "Requests refused because of their origin.",
        ),
        (
            "roomful_api_requests_total",
            "API calls, by the first digit of their status.",
        ),
        (
            "roomful_log_dropped_lines_total",
            "Log lines dropped because the reader of stderr was too slow.",
        ),
    ] {
        describe_counter!(name, text);
    }
    describe_gauge!(
        "roomful_tcp_connections",
        "Open TCP connections, WebSockets included."
    );
    describe_gauge!(
        "roomful_http_connections",
        "Open TCP connections that speak HTTP, so without WebSockets."
    );
}

/// The help texts of token issuers.
fn describe_issuers() {
    for (name, text) in [
        (
            "roomful_auth_tokens_total",
            "Tokens that name a configured issuer, by issuer and outcome.",
        ),
        (
            "roomful_auth_key_fetches_total",
            "Fetches of an issuer's keys, by issuer and outcome.",
        ),
    ] {
        describe_counter!(name, text);
    }
    describe_gauge!(
        "roomful_auth_keys",
        "Cached keys of an issuer that can verify tokens."
    );
    describe_gauge!(
        "roomful_auth_keys_fetched_timestamp_seconds",
        "When the issuer's keys were last fetched, in seconds since 1970."
    );
}

/// The help texts of notifications, and of messages between the servers of a cluster.
fn describe_notifications() {
    for (name, text) in [
        ("roomful_notifications_posted_total", "Notifications posted."),
        (
            "roomful_notifications_delivered_total",
            "Notifications sent to connections.",
        ),
        (
            "roomful_adapter_published_total",
            "Broadcasts and requests sent to other servers, by kind.",
        ),
        (
            "roomful_adapter_received_total",
            "Broadcasts and requests received from other servers, by kind.",
        ),
        (
            "roomful_adapter_dropped_total",
            "Broadcasts and requests between servers that were dropped, by cause.",
        ),
        (
            "roomful_adapter_timeouts_total",
            "Requests that some server did not answer in time.",
        ),
        (
            "roomful_forward_misdirected_total",
            "Forwarded requests that reached a node without their session.",
        ),
    ] {
        describe_counter!(name, text);
    }
    describe_gauge!(
        "roomful_notification_marks_waiting",
        "Delivery marks of disconnected devices that wait to be stored."
    );
}

fn describe_tls() {
    describe_counter!(
        "roomful_tls_handshakes_total",
        "TLS handshakes of clients, by outcome."
    );
}

fn describe_hooks() {
    describe_counter!(
        "roomful_hook_answers_total",
        "Decisions of a hook's endpoint, by hook and action."
    );
    describe_counter!(
        "roomful_hook_failures_total",
        "Events that a hook did not decide about, by hook and cause."
    );
    describe_histogram!(
        "roomful_hook_seconds",
        "Time from a hook's question to its answer."
    );
    describe_gauge!(
        "roomful_hook_in_flight",
        "Requests to a hook's endpoint in flight."
    );
    describe_gauge!(
        "roomful_hook_circuit_open",
        "1 while the server does not ask the hook's endpoint since it failed, otherwise 0."
    );
}

/// The help texts of cluster and drain metrics.
fn describe_cluster() {
    for (name, text) in [
        ("roomful_bus_published_total", "Messages published on the bus."),
        (
            "roomful_bus_received_total",
            "Messages received from other nodes.",
        ),
        (
            "roomful_bus_dropped_total",
            "Messages to other nodes that were dropped, by cause.",
        ),
        ("roomful_bus_reconnects_total", "Reconnections to Redis."),
        (
            "roomful_cluster_backfills_total",
            "Reads from the store for entries that the bus did not deliver.",
        ),
        (
            "roomful_cluster_leases_lost_total",
            "Times that this node lost its lease and closed its connections.",
        ),
        (
            "roomful_cluster_clients_disconnected_total",
            "Clients that this node disconnected because it lost its lease.",
        ),
        (
            "roomful_forwarded_total",
            "Requests forwarded to the node that owns their session, by kind.",
        ),
        (
            "roomful_forward_failed_total",
            "Requests that could not be forwarded, by cause.",
        ),
        (
            "roomful_forward_forged_total",
            "Requests with a false claim to come from another node.",
        ),
        (
            "roomful_forward_tunnelled_bytes_total",
            "Bytes of upgraded connections forwarded for other nodes.",
        ),
        ("roomful_drained_total", "Connections closed by a drain."),
        (
            "roomful_draining_notices_total",
            "Sockets that got the draining event.",
        ),
        (
            "roomful_moderation_total",
            "Acts of moderation ordered on this node, by action.",
        ),
        (
            "roomful_blocks_total",
            "Blocks between users and their ends, by action, on this node.",
        ),
        (
            "roomful_reports_total",
            "Messages that users reported on this node.",
        ),
        (
            "roomful_moderation_rule_matches_total",
            "Messages and edits whose text matched a content rule, by action: refuse, mask or flag.",
        ),
        (
            "roomful_audit_records_total",
            "Records of the audit log by outcome: written or failed. The log has failed ones.",
        ),
    ] {
        describe_counter!(name, text);
    }
    describe_gauge!("roomful_bus_topics", "Bus topics that this node subscribes to.");
    describe_gauge!(
        "roomful_forwards_open",
        "Forwarded requests that are not finished."
    );
    describe_gauge!("roomful_draining", "1 while the server drains, else 0.");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one line against the part of the exposition format that the exporter uses.
    fn is_valid(line: &str) -> bool {
        let name = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !text.starts_with(|c: char| c.is_ascii_digit())
        };
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            return matches!(words.next(), Some("HELP" | "TYPE"))
                && words.next().is_some_and(name)
                && words.next().is_some();
        }
        let Some((series, value)) = line.rsplit_once(' ') else {
            return line.is_empty();
        };
        let (bare, labels) = series
            .split_once('{')
            .map_or((series, "}"), |(bare, labels)| (bare, labels));
        name(bare) && labels.ends_with('}') && value.parse::<f64>().is_ok()
    }

    #[test]
    fn the_exposition_is_valid() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            record(Process {
                resident_bytes: Some(1),
                ..Process::default()
            });
            counter!("roomful_closed_total", "cause" => "ping_timeout").increment(2);
            metrics::histogram!("roomful_store_commit_seconds").record(0.003);
        });
        let mut text = handle.render();
        let process = Process {
            cpu_centiseconds: Some(150),
            ..Process::default()
        };
        append_times(&mut text, process, 1_700_000_000);
        for line in text.lines() {
            assert!(is_valid(line), "{line:?}");
        }
        for expected in [
            "roomful_closed_total{cause=\"ping_timeout\"} 2",
            "roomful_store_commit_seconds_bucket{le=\"0.005\"} 1",
            "roomful_messages_in_total 0",
            "process_cpu_seconds_total 1.50",
            "process_start_time_seconds 1700000000",
            "# TYPE roomful_closed_total counter",
        ] {
            assert!(
                text.lines().any(|line| line == expected),
                "{expected} is not in\n{text}"
            );
        }
    }

    /// The names that `source` passes to the macros of the metrics crate.
    fn registered(source: &str) -> impl Iterator<Item = &str> {
        ["counter!(", "gauge!(", "histogram!("]
            .into_iter()
            .flat_map(|name| source.split(name).skip(1))
            .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
            .filter(|name| name.starts_with("roomful_") || name.starts_with("process_"))
    }

    fn sources(folder: &std::path::Path, texts: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, texts);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_metric_has_a_help_text() {
        let mut texts = Vec::new();
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for part in ["bus", "chat", "server", "socket", "store"] {
            sources(&crates.join(part).join("src"), &mut texts);
        }
        let mut names: Vec<_> = texts.iter().flat_map(|text| registered(text)).collect();
        names.sort_unstable();
        names.dedup();
        assert!(names.len() > 40, "{names:?}");
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            for name in &names {
                gauge!((*name).to_owned()).set(1.0);
            }
        });
        let mut text = handle.render();
        append_times(&mut text, Process::read(), 0);
        let has_help = |name: &str| text.contains(&format!("# HELP {name} "));
        let missing: Vec<_> = names.iter().filter(|name| !has_help(name)).collect();
        assert!(missing.is_empty(), "no help text for {missing:?}");
    }
}
