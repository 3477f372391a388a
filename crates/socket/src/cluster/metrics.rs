//! Counters of forwarded requests.

use std::sync::atomic::AtomicUsize;

use metrics::{Counter, Gauge, counter, gauge};

use super::forward_error::ForwardError;

pub(super) struct Metrics {
    polls: Counter,
    posts: Counter,
    upgrades: Counter,
    failed: [Counter; ForwardError::ALL.len()],
    /// Open requests and tunnels.
    pub(super) open: Gauge,
    /// The same, readable.
    pub(super) open_now: AtomicUsize,
    /// Requests with a header that no node of this cluster signed.
    pub(super) forged: Counter,
    /// Requests that another node forwarded to the wrong node.
    pub(super) misdirected: Counter,
    /// Bytes through tunnels, in both directions.
    pub(super) tunnelled: Counter,
}

impl Metrics {
    pub(super) fn new(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}_{name}");
        let kind = |kind: &'static str| counter!(name("forwarded_total"), "kind" => kind);
        Metrics {
            polls: kind("poll"),
            posts: kind("post"),
            upgrades: kind("upgrade"),
            failed: ForwardError::ALL
                .map(|failure| counter!(name("forward_failed_total"), "cause" => failure.label())),
            open: gauge!(name("forwards_open")),
            open_now: AtomicUsize::new(0),
            forged: counter!(name("forward_forged_total")),
            misdirected: counter!(name("forward_misdirected_total")),
            tunnelled: counter!(name("forward_tunnelled_bytes_total")),
        }
    }

    pub(super) fn forwarded(&self, method: &http::Method, upgrade: bool) {
        match (upgrade, method) {
            (true, _) => &self.upgrades,
            (false, &http::Method::POST) => &self.posts,
            (false, _) => &self.polls,
        }
        .increment(1);
    }

    pub(super) fn failed(&self, failure: ForwardError) {
        // `ALL` is in declaration order, so the discriminant is the index.
        if let Some(counter) = self.failed.get(failure as usize) {
            counter.increment(1);
        }
    }
}
