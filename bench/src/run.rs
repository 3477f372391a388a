//! The `run` command: workloads in rounds, candidates in turn. It stores results as they arrive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::candidate::{self, Candidate, Checkout, Skip};
use crate::cores::{Layout, check_open_files};
use crate::error::BenchError;
use crate::results::{Outcome, Results, Run, Section};
use crate::workload::{self, Entrant, Figures, Pace, Scene, Workload};
use crate::{clock, figure, machine, progress, report};

/// The command line of `run`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Run these workloads only
    #[arg(long, value_delimiter = ',')]
    workload: Vec<String>,
    /// Use only these candidates
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Rounds per candidate and workload [default: 5, quick: 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// A first impression: short runs, fewer clients, no long workloads
    #[arg(long)]
    quick: bool,
    /// Start nothing new after so many seconds
    #[arg(long)]
    budget: Option<u64>,
    /// Folder of results and reports
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// Values that stay the same during a run.
struct Bench<'a> {
    options: &'a Options,
    checkout: &'a Checkout,
    layout: &'a Layout,
    pace: Pace,
    deadline: u64,
    installed: BTreeMap<&'static str, Result<String, Skip>>,
}

/// Runs the requested workloads, and writes the report after each.
pub(crate) fn run(options: &Options, layout: &Layout) -> Result<(), BenchError> {
    let checkout = Checkout::here()?;
    let workloads = chosen(options)?;
    std::fs::create_dir_all(&options.results).map_err(BenchError::file(&options.results))?;
    let budget = options
        .budget
        .map(|seconds| clock::nanos(Duration::from_secs(seconds)));
    let mut bench = Bench {
        options,
        checkout: &checkout,
        layout,
        pace: if options.quick { Pace::QUICK } else { Pace::FULL },
        deadline: budget.map_or(u64::MAX, |budget| clock::now() + budget),
        installed: BTreeMap::new(),
    };
    // Half of a budget is for installing, so that time for measuring is left.
    candidate::set_install_deadline(budget.map_or(u64::MAX, |budget| clock::now() + budget / 2));
    bench.install_all(&workloads);
    let file = options.results.join("results.json");
    for workload in workloads {
        let section = bench.section(workload);
        // Read the results again each time: another run may have stored some meanwhile.
        let mut results = Results::load(&file)?;
        results.replace(section);
        results.save(&file)?;
        report::write(&results, &options.results)?;
    }
    progress::line(&format!(
        "the report is in {}",
        options.results.join("report.md").display()
    ));
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<&'static Workload>, BenchError> {
    let unknown = |kind, name: &str, known: Vec<&str>| BenchError::Unknown {
        kind,
        name: name.to_owned(),
        known: known.join(", "),
    };
    for name in &options.only {
        if candidate::by_name(name).is_none() {
            let known = candidate::ALL.iter().map(|candidate| candidate.name).collect();
            return Err(unknown("candidate", name, known));
        }
    }
    if options.workload.is_empty() {
        return Ok(workload::ALL
            .iter()
            .filter(|workload| !(options.quick && workload.long))
            .collect());
    }
    let find = |name: &String| {
        let found = workload::ALL.iter().find(|workload| workload.name == *name);
        found.ok_or_else(|| {
            let known = workload::ALL.iter().map(|workload| workload.name).collect();
            unknown("workload", name, known)
        })
    };
    options.workload.iter().map(find).collect()
}

impl Bench<'_> {
    fn takes_part(&self, entrant: &Entrant) -> bool {
        self.options.only.is_empty() || self.options.only.iter().any(|name| name == entrant.candidate)
    }

    /// Compiled candidates come last, so that they take no time from the others.
    fn install_all(&mut self, workloads: &[&Workload]) {
        let entrants = workloads.iter().flat_map(|workload| workload.entrants);
        let wanted: Vec<_> = entrants
            .filter(|entrant| self.takes_part(entrant))
            .filter_map(|entrant| candidate::by_name(entrant.candidate))
            .collect();
        for compiled in [false, true] {
            let now = wanted.iter().filter(|candidate| candidate.compiled == compiled);
            now.for_each(|candidate| self.install(candidate));
        }
    }

    fn install(&mut self, candidate: &Candidate) {
        if !self.installed.contains_key(candidate.name) {
            progress::passing(&format!("  installing {}", candidate.label));
            let installed = (candidate.install)(self.checkout);
            progress::clear();
            match &installed {
                Ok(versions) => progress::line(&format!("{}: {versions}", candidate.label)),
                Err(Skip(reason)) => progress::line(&format!("{} is left out: {reason}", candidate.label)),
            }
            self.installed.insert(candidate.name, installed);
        }
    }

    fn section(&self, workload: &Workload) -> Section {
        progress::line(&format!("\n{}", workload.title));
        let entrants: Vec<_> = workload
            .entrants
            .iter()
            .filter(|entrant| self.takes_part(entrant))
            .collect();
        let now = std::time::UNIX_EPOCH + Duration::from_secs(roomful_testkit::token::now());
        let mut section = Section {
            workload: workload.name.to_owned(),
            began: humantime::format_rfc3339_seconds(now).to_string(),
            commit: self.checkout.commit(),
            machine: machine::describe(),
            quick: self.options.quick,
            versions: self.versions(&entrants),
            runs: Vec::new(),
        };
        let rounds = self
            .options
            .rounds
            .unwrap_or(if self.options.quick { 1 } else { 5 });
        for round in 0..rounds.min(workload.most_rounds) {
            for entrant in &entrants {
                let outcome = self.outcome(workload, entrant).without(self.checkout.root());
                print_outcome(workload, entrant, round, &outcome);
                section.runs.push(Run {
                    entrant: entrant.key.to_owned(),
                    round,
                    outcome,
                });
            }
        }
        section
    }

    fn versions(&self, entrants: &[&Entrant]) -> BTreeMap<String, String> {
        let version = |entrant: &&Entrant| match self.installed.get(entrant.candidate) {
            Some(Ok(version)) => Some((entrant.key.to_owned(), version.clone())),
            _ => None,
        };
        entrants.iter().filter_map(version).collect()
    }

    fn outcome(&self, workload: &Workload, entrant: &Entrant) -> Outcome {
        match self.installed.get(entrant.candidate) {
            Some(Err(Skip(reason))) => return Outcome::Reason(reason.clone()),
            None => return Outcome::Reason("it is unknown".into()),
            Some(Ok(_)) => {}
        }
        if clock::now() > self.deadline {
            return Outcome::Reason("the time budget was used up".into());
        }
        let Some(candidate) = candidate::by_name(entrant.candidate) else {
            return Outcome::Reason("it is unknown".into());
        };
        match self.measure(workload, *entrant, candidate) {
            Ok(figures) => Outcome::Figures(figures),
            Err(error) => Outcome::Reason(error.to_string()),
        }
    }

    fn measure(
        &self,
        workload: &Workload,
        entrant: Entrant,
        candidate: &'static Candidate,
    ) -> Result<Figures, BenchError> {
        check_open_files(workload.clients)?;
        let scene = Scene {
            entrant,
            candidate,
            checkout: self.checkout,
            layout: self.layout,
            pace: self.pace,
        };
        (workload.measure)(&scene)
    }
}

fn print_outcome(workload: &Workload, entrant: &Entrant, round: usize, outcome: &Outcome) {
    progress::clear();
    let text = match outcome {
        Outcome::Reason(reason) => reason.clone(),
        Outcome::Figures(figures) => {
            let shown = workload.shown.iter().filter_map(|name| {
                let figure = figure::by_name(name)?;
                Some(format!("{} {}", figure.label, figure.show(*figures.get(*name)?)))
            });
            shown.collect::<Vec<_>>().join(" · ")
        }
    };
    let name = name(entrant);
    progress::line(&format!("  round {} {name:<26} {text}", round + 1));
}

/// An entrant's name in a report.
pub(crate) fn name(entrant: &Entrant) -> String {
    match candidate::by_name(entrant.candidate) {
        _ if entrant.key != entrant.candidate => entrant.key.to_owned(),
        Some(candidate) => candidate.label.to_owned(),
        None => entrant.key.to_owned(),
    }
}
