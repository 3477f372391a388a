//! What a person reads while a measurement runs (standard error) and when it is done (standard output).

use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

use crate::error::BenchError;

/// A line of progress that stays.
pub(crate) fn progress_line(text: &str) {
    // Nobody is helped by a measurement that ends because its progress cannot be shown.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A counter on one line, redrawn in place on a terminal; elsewhere only its last value is printed.
pub(crate) fn progress_count(what: &str, done: usize, of: usize) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let end = if done == of { "\n" } else { "" };
        let _ = write!(stderr, "\r{what}: {done}/{of}{end}");
        let _ = stderr.flush();
    } else if done == of {
        progress_line(&format!("{what}: {done}/{of}"));
    }
}

/// A finished measurement: lines for a person, an object for a program.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(String, String)>,
    object: serde_json::Map<String, Value>,
}

impl Report {
    /// Adds a figure: its label and text for a person, its key and value for a program.
    pub(crate) fn add(&mut self, label: &str, text: String, key: &str, value: impl Into<Value>) {
        self.lines.push((label.to_owned(), text));
        self.object.insert(key.to_owned(), value.into());
    }

    /// Prints it on standard output, as one line of JSON if `json`.
    pub(crate) fn print(self, json: bool) -> Result<(), BenchError> {
        let mut stdout = std::io::stdout();
        if json {
            return writeln!(stdout, "{}", Value::Object(self.object)).map_err(BenchError::Report);
        }
        let width = self.lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        for (label, text) in self.lines {
            writeln!(stdout, "{label:<width$}  {text}").map_err(BenchError::Report)?;
        }
        Ok(())
    }
}
