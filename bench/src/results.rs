//! Stored results: one JSON file, a section for each workload. Running a workload again replaces its section alone.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::workload::Figures;

/// All that was measured.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Results {
    /// In the order in which they were first run.
    pub(crate) sections: Vec<Section>,
}

/// The runs of one workload. They alternate, so figures within a section may be compared.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Section {
    /// Which workload.
    pub(crate) workload: String,
    /// When it began, in RFC 3339.
    pub(crate) began: String,
    /// What was measured.
    pub(crate) commit: String,
    /// Where.
    pub(crate) machine: String,
    /// Whether it was only a quick impression.
    pub(crate) quick: bool,
    /// The versions of those who took part, by entrant.
    pub(crate) versions: BTreeMap<String, String>,
    /// What came of it.
    pub(crate) runs: Vec<Run>,
}

/// One run of one entrant.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    /// Whose.
    pub(crate) entrant: String,
    /// In which round, from 0.
    pub(crate) round: usize,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// What came of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// It was measured.
    Figures(Figures),
    /// It was not, and why.
    Reason(String),
}

impl Outcome {
    /// Where this repository lies on this machine is nobody else's concern.
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

    /// Why an entrant's runs failed or were left out; the last reason counts.
    pub(crate) fn reason(&self, entrant: &str) -> Option<&str> {
        let mut of_entrant = self.runs.iter().rev().filter(|run| run.entrant == entrant);
        of_entrant.find_map(|run| match &run.outcome {
            Outcome::Reason(reason) => Some(reason.as_str()),
            Outcome::Figures(_) => None,
        })
    }
}

impl Results {
    /// Reads them; none if there is no file.
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

    /// Puts a section in the place of an earlier one.
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
