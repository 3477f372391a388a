//! Reports from stored results: a page in Markdown, a chart per workload, a summary table.

mod chart;
mod page;
mod summary;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::BenchError;
use crate::results::Results;
use crate::workload;

/// The command line of `report`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Folder of results and reports
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
    /// Also write the summary table between the markers of this file
    #[arg(long)]
    summary: Option<PathBuf>,
}

/// Writes the reports again from stored results.
pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let results = Results::load(&options.results.join("results.json"))?;
    write(&results, &options.results)?;
    match &options.summary {
        Some(file) => summary::update(&results, file),
        None => Ok(()),
    }
}

/// Writes page and charts into `folder`.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<(), BenchError> {
    for workload in workload::ALL {
        if let Some(section) = results.section(workload.name) {
            let file = folder.join(format!("{}.svg", workload.name));
            if let Some(chart) = chart::draw(workload, section) {
                std::fs::write(&file, chart).map_err(BenchError::file(&file))?;
            }
        }
    }
    let file = folder.join("report.md");
    std::fs::write(&file, page::compose(results)).map_err(BenchError::file(file))
}
