//! The process's log on stderr: readable lines on a terminal, JSON elsewhere.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{Format, Log};

/// Installs the log. A second call in one process has no effect.
pub(crate) fn start(settings: &Log) {
    let human = match settings.format {
        Format::Human => true,
        Format::Json => false,
        Format::Auto => io::stderr().is_terminal(),
    };
    // The migration library's "info" lines are for its own authors.
    let filter = EnvFilter::new(format!("refinery_core=warn,{}", settings.filter));
    let base = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    // An error means that a log is installed already.
    let _ = if human {
        base.with(lines.with_target(false).with_ansi(io::stderr().is_terminal()))
            .try_init()
    } else {
        base.with(lines.json().flatten_event(true)).try_init()
    };
}
