//! The mistake in a JSON text, for people who see that text as one line.

use serde_json::error::Category;

/// The mistake without its place: serde names a line and column of the whole text.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rfind(" at line ").map_or(&*text, |end| &text[..end]);
    match error.classify() {
        Category::Syntax | Category::Eof => format!("not valid JSON: {what}"),
        Category::Data | Category::Io => what.to_owned(),
    }
}
