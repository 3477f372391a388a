//! The process's log on stderr: readable lines on a terminal, JSON elsewhere.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    EnvFilter, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use crate::{
    config::{Format, Log},
    systemd::{self, JournalPriority},
};

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

/// Starts the log. A second call in one process has no effect.
pub(crate) fn start(settings: &Log) -> LogFilter {
    let human = match settings.format {
        Format::Human => true,
        Format::Json => false,
        Format::Auto => io::stderr().is_terminal(),
    };
    let (filter, handle) = reload::Layer::new(filter(settings));
    let base = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(JournalPriority {
        inner: io::stderr,
        enabled: systemd::logs_to_journal(),
    });
    // An error means that a log is running already.
    let _ = if human {
        base.with(lines.with_target(false).with_ansi(io::stderr().is_terminal()))
            .try_init()
    } else {
        base.with(lines.json().flatten_event(true)).try_init()
    };
    LogFilter(handle)
}
