//! The process's log: to stderr, in lines for people on a terminal and in JSON elsewhere.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{Format, Log};

/// Starts the log. A second call in one process changes nothing.
pub(crate) fn start(settings: &Log) {
    let human = match settings.format {
        Format::Human => true,
        Format::Json => false,
        Format::Auto => io::stderr().is_terminal(),
    };
    // The migrations' library tells at "info" what is of use to its authors.
    let filter = EnvFilter::new(format!("refinery_core=warn,{}", settings.filter));
    let base = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    // Failing means that a log runs already, which serves as well.
    let _ = if human {
        base.with(lines.with_target(false).with_ansi(io::stderr().is_terminal()))
            .try_init()
    } else {
        base.with(lines.json().flatten_event(true)).try_init()
    };
}
