//! The summary table: one line per comparison, written between two marker comments of a Markdown file.

use std::path::Path;

use crate::error::BenchError;
use crate::figure::{self, significant};
use crate::results::Results;
use crate::targets::{self, Bound};
use crate::workload;

const BEGIN: &str = "<!-- bench:begin -->\n";
const END: &str = "<!-- bench:end -->";

/// Replaces the summary in `file`.
///
/// # Errors
/// `Markers` if `file` lacks the marker comments; a file error if it cannot be read or written.
pub(super) fn update(results: &Results, file: &Path) -> Result<(), BenchError> {
    let old = std::fs::read_to_string(file).map_err(BenchError::file(file))?;
    let new =
        replaced(&old, &summary(results)).ok_or_else(|| BenchError::Markers(file.display().to_string()))?;
    std::fs::write(file, new).map_err(BenchError::file(file))
}

fn replaced(text: &str, block: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{block}{END}{after}"))
}

/// One table row per comparison. Leaves out quick runs, whose figures are only a first impression.
fn summary(results: &Results) -> String {
    let mut lines = Vec::new();
    let (mut machines, mut commits) = (Vec::new(), Vec::new());
    for target in targets::ALL {
        let section = results.section(target.workload).filter(|section| !section.quick);
        let (Some(section), Some(standing)) = (section, target.standing(results)) else {
            continue;
        };
        add(&mut machines, &section.machine);
        add(&mut commits, &section.commit);
        let title = workload::ALL
            .iter()
            .find(|workload| workload.name == target.workload)
            .map_or(target.workload, |workload| workload.title);
        let label = figure::by_name(target.figure).map_or(target.figure, |figure| figure.label);
        let opponent = target.opponent(results);
        let value = significant(standing.median);
        let measured = if opponent.is_empty() {
            value
        } else {
            format!("{value} × {opponent}")
        };
        let bound_text = match target.bound {
            Bound::AtMost(bound) => format!("≤ {bound}"),
            Bound::AtLeast(bound) => format!("≥ {bound}"),
        };
        lines.push(format!("| {title} | {label} | {measured} | {bound_text} |\n"));
    }
    if lines.is_empty() {
        return "*`make bench` fills this in.*\n".into();
    }
    let (machines, commits) = (machines.join("; "), commits.join(", "));
    format!(
        "Measured by `make bench` ({machines}; at {commits}); medians of the rounds. All figures, charts and \
         versions, and the date of each workload: [bench/results/report.md](../bench/results/report.md).\n\n\
         | workload | figure | measured | target |\n|---|---|---|---|\n{}",
        lines.concat()
    )
}

/// Adds `text` unless the list has it: sections can come from different machines and commits.
fn add<'a>(list: &mut Vec<&'a str>, text: &'a str) {
    if !list.contains(&text) {
        list.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_the_text_between_the_markers() {
        let text = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n";
        let new = replaced(text, "new\n").unwrap();
        assert_eq!(new, "a\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nb\n");
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert_eq!(replaced("no markers", "new"), None);
    }

    #[test]
    fn names_the_command_that_fills_it_when_there_are_no_results() {
        assert!(summary(&Results::default()).contains("make bench"));
    }
}
