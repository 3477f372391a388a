//! The result of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use roomful_testkit::history::{Audit, Checker, Event, Outcome, Violation};

use crate::moderation;
use crate::nemesis::Fault;
use crate::package;

/// The result of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Number of kills.
    pub kills: u64,
    /// Kills during which sends were in progress.
    pub met: u64,
    /// The injected faults, in order.
    pub faults: Vec<Fault>,
    /// Acknowledged messages, without retries.
    pub acknowledged: u64,
    /// Checked events of the history: operations, deliveries, joins, marks.
    pub events: u64,
    /// Sends without an answer.
    pub unknown: u64,
    /// Refused sends.
    pub refused: u64,
    /// Sends answered as duplicates.
    pub duplicates: u64,
    /// Joins, the first ones included.
    pub joins: u64,
    /// Posted notifications, and their deliveries to devices.
    pub posted: u64,
    /// See [`Report::posted`].
    pub notified: u64,
    /// Clients that asked for recovery, and those that got it.
    pub claims: u64,
    /// See [`Report::claims`].
    pub recovered: u64,
    /// Connections that the server closed, by its cause. Connections closed by a kill are not counted.
    pub closed: BTreeMap<String, u64>,
    /// Entries read back.
    pub entries: u64,
    /// Duration.
    pub took: Duration,
    /// Violations of the laws.
    pub violations: Vec<Violation>,
    /// What the workload of moderation did and found, if it ran.
    pub moderation: Option<moderation::Report>,
    /// What the devices with the client package did and found, if there were any.
    pub package: Option<package::Report>,
    /// Other observations that should not happen.
    pub problems: Vec<String>,
}

impl Report {
    /// True if there is no violation and no trouble.
    pub fn sound(&self) -> bool {
        let moderation = self.moderation.as_ref();
        self.violations.is_empty()
            && self.problems.is_empty()
            && moderation.is_none_or(|moderation| moderation.violations.is_empty())
            && self
                .package
                .as_ref()
                .is_none_or(|package| package.violations.is_empty())
    }

    /// Checks a part of the history, and the logs after it, against the laws.
    pub(crate) fn check_laws(&mut self, checker: &mut Checker, events: Vec<Event>, audits: &[Audit]) {
        self.count(&events);
        checker.take(events);
        checker.settle_notifications();
        for audit in audits {
            self.entries += audit.entries.len() as u64;
            checker.audit(audit);
        }
        self.violations = checker.violations().to_vec();
    }

    /// Counts the events of a part of the history.
    fn count(&mut self, events: &[Event]) {
        self.events += events.len() as u64;
        for event in events {
            match event {
                Event::Joined(_) => self.joins += 1,
                Event::Posted { .. } => self.posted += 1,
                Event::Notified { .. } => self.notified += 1,
                Event::Sent(sent) => match &sent.outcome {
                    Outcome::Unknown => self.unknown += 1,
                    Outcome::Failed(_) => self.refused += 1,
                    Outcome::Ok(stored) => self.duplicates += u64::from(stored.duplicate),
                },
                _ => {}
            }
        }
    }

    /// Counts the connections closed since the server's start, from the text of its metrics.
    pub(crate) fn count_closed(&mut self, metrics: &str) {
        for line in metrics.lines() {
            let Some(rest) = line.strip_prefix("roomful_closed_total{cause=\"") else {
                continue;
            };
            if let Some((cause, count)) = rest.split_once("\"} ") {
                let count: u64 = count.parse().unwrap_or_default();
                if count > 0 {
                    *self.closed.entry(cause.to_owned()).or_default() += count;
                }
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} kills ({} during sends), {} messages acknowledged in {:.1} s",
            self.seed,
            self.kills,
            self.met,
            self.acknowledged,
            self.took.as_secs_f64(),
        )?;
        writeln!(
            f,
            "  sends: {} without an answer, {} refused, {} answered as duplicates; {} joins",
            self.unknown, self.refused, self.duplicates, self.joins,
        )?;
        writeln!(
            f,
            "  sessions: {} of {} recovered; notifications: {} posted, delivered {} times",
            self.recovered, self.claims, self.posted, self.notified
        )?;
        if !self.faults.is_empty() {
            write!(f, "  faults:")?;
        }
        for fault in Fault::ALL {
            let times = self.faults.iter().filter(|other| **other == fault).count();
            if times > 0 {
                write!(f, " {fault} {times}")?;
            }
        }
        if !self.faults.is_empty() {
            writeln!(f)?;
        }
        write!(f, "  closed by the server:")?;
        for (cause, times) in &self.closed {
            write!(f, " {cause} {times}")?;
        }
        write!(
            f,
            "\n  {} events and {} entries checked: {} violations",
            self.events,
            self.entries,
            self.violations.len()
        )?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        if let Some(moderation) = &self.moderation {
            write!(f, "\n  {moderation}")?;
        }
        if let Some(package) = &self.package {
            write!(f, "\n  {package}")?;
        }
        for trouble in &self.problems {
            write!(f, "\n  trouble: {trouble}")?;
        }
        Ok(())
    }
}
