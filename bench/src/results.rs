//! Stored results: one JSON file with a section per workload. Running a workload again replaces its section.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::workload::Figures;

/// All stored results.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Results {
    /// In the order of their first run.
    pub(crate) sections: Vec<Section>,
}

/// The runs of one workload. They alternate, so figures within a section are comparable.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Section {
    /// Which workload.
    pub(crate) workload: String,
    /// When it began, in RFC 3339.
    pub(crate) began: String,
    /// The commit.
    pub(crate) commit: String,
    /// The machine.
    pub(crate) machine: String,
    /// True for a quick run.
    pub(crate) quick: bool,
    /// The versions, by entrant.
    pub(crate) versions: BTreeMap<String, String>,
    /// The runs.
    pub(crate) runs: Vec<Run>,
}

/// One run of one entrant.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    /// The entrant.
    pub(crate) entrant: String,
    /// The round, from 0.
    pub(crate) round: usize,
    /// Its outcome.
    pub(crate) outcome: Outcome,
}

/// The outcome of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// The measured figures.
    Figures(Figures),
    /// The reason why there are none.
    Reason(String),
}

impl Outcome {
    /// Removes the repository's path on this machine from a reason.
    pub(crate) fn without(self, root: &Path) -> Self {
        match self {
            Self::Reason(reason) => Self::Reason(reason.replace(&format!("{}/", root.display()), "")),
            figures @ Self::Figures(_) => figures,
        }
    }
}

impl Section {
    /// An entrant's figures of one name, with their rounds.
    pub(crate) fn series(&self, entrant: &str, figure: &str) -> Vec<(usize, f64)> {
        let of_entrant = self.runs.iter().filter(|run| run.entrant == entrant);
        of_entrant
            .filter_map(|run| match &run.outcome {
                Outcome::Figures(figures) => Some((run.round, *figures.get(figure)?)),
                Outcome::Reason(_) => None,
            })
            .collect()
    }

    /// The latest reason why an entrant's runs failed or were left out.
    pub(crate) fn reason(&self, entrant: &str) -> Option<&str> {
        let mut of_entrant = self.runs.iter().rev().filter(|run| run.entrant == entrant);
        of_entrant.find_map(|run| match &run.outcome {
            Outcome::Reason(reason) => Some(reason.as_str()),
            Outcome::Figures(_) => None,
        })
    }
}

impl Results {
    /// Reads the results; empty if there is no file.
    pub(crate) fn load(file: &Path) -> Result<Self, BenchError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(BenchError::file(file)(error)),
        };
        serde_json::from_str(&text).map_err(|source| BenchError::Results {
            path: file.to_owned(),
            source,
        })
    }

    /// Writes them.
    pub(crate) fn save(&self, file: &Path) -> Result<(), BenchError> {
        let mut text = serde_json::to_string_pretty(self).map_err(|source| BenchError::Results {
            path: file.to_owned(),
            source,
        })?;
        text.push('\n');
        std::fs::write(file, text).map_err(BenchError::file(file))
    }

    /// The section of a workload.
    pub(crate) fn section(&self, workload: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.workload == workload)
    }

    /// Replaces an earlier section of the same workload.
    pub(crate) fn replace(&mut self, section: Section) {
        match self
            .sections
            .iter_mut()
            .find(|other| other.workload == section.workload)
        {
            Some(other) => *other = section,
            None => self.sections.push(section),
        }
    }
}
