//! The process's log on stderr: readable lines on a terminal, JSON elsewhere.
//!
//! A thread of its own writes the lines. If the reader of stderr stalls, the queue fills and further lines
//! are dropped and counted; the server goes on.

mod failure_log;
mod json;
mod throttle;

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::OnceLock,
};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use self::json::JsonLines;
pub(crate) use self::{
    failure_log::FailureLog,
    throttle::{LogThrottle, truncated},
};
use crate::{
    config::{Format, Log},
    systemd::{self, JournalPriority},
};

/// Counts the lines that found the queue full.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Writes the waiting lines when it is dropped, unless the reader stalls for longer than a second.
pub(crate) struct LogGuard(#[allow(dead_code, reason = "held, not read")] WorkerGuard);

/// Changes the filter of a running log.
pub(crate) struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// Applies the filter of `settings`; false if the log is not running.
    pub(crate) fn set(&self, settings: &Log) -> bool {
        self.0.reload(filter(settings)).is_ok()
    }
}

fn filter(settings: &Log) -> EnvFilter {
    // The migration library logs for its own authors at "info".
    EnvFilter::new(format!("refinery_core=warn,{}", settings.filter))
}

/// Installs the log. A second call in one process has no effect.
pub(crate) fn start(settings: &Log) -> (LogFilter, LogGuard) {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(settings.queue)
        .thread_name("log")
        .finish(io::stderr());
    let _ = DROPPED.set(writer.error_counter());
    let (filter, handle) = reload::Layer::new(filter(settings));
    let base = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(JournalPriority {
        inner: writer,
        enabled: systemd::logs_to_journal(),
    });
    // An error means that a log is installed already.
    let _ = if is_json(settings.format) {
        base.with(lines.event_format(JsonLines)).try_init()
    } else {
        base.with(lines.with_target(false).with_ansi(io::stderr().is_terminal()))
            .try_init()
    };
    (LogFilter(handle), LogGuard(guard))
}

/// Whether a log in this format has JSON lines.
pub(crate) fn is_json(format: Format) -> bool {
    match format {
        Format::Human => false,
        Format::Json => true,
        Format::Auto => !io::stderr().is_terminal(),
    }
}

/// The format when the settings cannot be read: that of the environment variable, or the default.
pub(crate) fn format_without_settings() -> Format {
    match std::env::var("ROOMFUL__LOG__FORMAT").as_deref() {
        Ok("human") => Format::Human,
        Ok("json") => Format::Json,
        _ => Format::Auto,
    }
}

/// Writes the error that ends the process as a JSON line, whether or not the log has started.
pub(crate) fn print_fatal(error: &str) {
    // A closed stderr is not an error.
    let _ = writeln!(io::stderr(), "{}", json::fatal_line(error));
}

/// The number of lines that were dropped since the start.
pub(crate) fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |counter| {
        u64::try_from(counter.dropped_lines()).unwrap_or(u64::MAX)
    })
}
