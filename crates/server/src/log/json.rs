//! The JSON form of a log line. Every key occurs once, and no field can replace the message, level, target
//! or time.

use std::fmt::{self, Write as _};

use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// Writes one JSON object per event: `timestamp`, `level`, `message`, `target`, then the event's fields.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let mut line = Line(String::with_capacity(256), Vec::with_capacity(16));
        line.push("timestamp", &timestamp);
        line.push("level", &metadata.level().as_str());
        line.push("target", &metadata.target());
        // The macros record the message before the event's own fields.
        event.record(&mut line);
        writeln!(writer, "{}}}", line.0)
    }
}

/// The line for an error that ends the process.
pub(super) fn fatal_line(error: &str) -> String {
    let mut timestamp = String::new();
    // Writing into a string cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let mut line = Line(String::with_capacity(256), Vec::new());
    line.push("timestamp", &timestamp);
    line.push("level", &"ERROR");
    line.push("target", &"roomful");
    line.push("message", &"failed to start or run the server");
    line.push("error", &error);
    line.0.push('}');
    line.0
}

/// An unfinished line, and the names in it.
struct Line(String, Vec<String>);

impl Line {
    /// Adds a field. A name that the line has already gets a `_` in front.
    fn push(&mut self, name: &str, value: &impl Serialize) {
        let mut name = name.strip_prefix("r#").unwrap_or(name).to_owned();
        while self.1.contains(&name) {
            name.insert(0, '_');
        }
        let start = if self.1.is_empty() { '{' } else { ',' };
        // Neither can fail: the keys are text, and values are text, numbers and flags.
        let key = serde_json::to_string(&name).unwrap_or_default();
        let value = serde_json::to_string(value).unwrap_or_default();
        let _ = write!(self.0, "{start}{key}:{value}");
        self.1.push(name);
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field.name(), &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field.name(), &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use parking_lot::Mutex;
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLines)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = buffer.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_field_cannot_replace_the_message_or_the_level() {
        let line = logged(|| {
            tracing::info!(
                message = "forged",
                level = "ERROR",
                target = "x",
                number = 7,
                "the message"
            );
        });
        assert_eq!(line.matches("\"message\":").count(), 1, "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "the message");
        assert_eq!(
            (&line["_message"], &line["_level"]),
            (&"forged".into(), &"ERROR".into())
        );
        assert_eq!((&line["level"], &line["number"]), (&"INFO".into(), &7.into()));
        assert!(line["target"].as_str().unwrap().ends_with("log::json::tests"));
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn control_characters_are_escaped() {
        let line = logged(|| tracing::info!(text = "a\n\u{1b}[31m\"b", "said"));
        assert_eq!(line.lines().count(), 1, "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["text"], "a\n\u{1b}[31m\"b");
    }
}
