//! What came of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use roomful_testkit::history::{Audit, Checker, Event, Outcome, Violation};

use crate::nemesis::Blow;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// The seed it was run with.
    pub seed: u64,
    /// How often the server was killed.
    pub kills: u64,
    /// Kills that met sends under way.
    pub met: u64,
    /// The other blows, in the order in which they fell.
    pub blows: Vec<Blow>,
    /// Messages that were acknowledged, retries not counted.
    pub acknowledged: u64,
    /// Events of the history that were checked: operations, deliveries, joins, marks.
    pub events: u64,
    /// Attempts to send that had no answer.
    pub unknown: u64,
    /// Attempts to send that were refused.
    pub refused: u64,
    /// Attempts to send that were answered as duplicates.
    pub duplicates: u64,
    /// Joins, the first ones included.
    pub joins: u64,
    /// Notifications that were posted, and times that one came to a device.
    pub posted: u64,
    /// See [`Report::posted`].
    pub notified: u64,
    /// Clients that came back for their session, and those of them that got it.
    pub claims: u64,
    /// See [`Report::claims`].
    pub recovered: u64,
    /// Connections that the server has closed, by its word for the cause. What a kill closes is not counted.
    pub closed: BTreeMap<String, u64>,
    /// Entries that were read back.
    pub entries: u64,
    /// How long it took.
    pub took: Duration,
    /// Laws that were broken.
    pub violations: Vec<Violation>,
    /// What no law speaks of and should not have happened all the same.
    pub troubles: Vec<String>,
}

impl Report {
    /// Whether everything was as it must be.
    pub fn sound(&self) -> bool {
        self.violations.is_empty() && self.troubles.is_empty()
    }

    /// Holds a part of the history and the logs as they are after it to the laws.
    pub(crate) fn hold(&mut self, checker: &mut Checker, events: Vec<Event>, audits: &[Audit]) {
        self.count(&events);
        checker.take(events);
        checker.settle_notifications();
        for audit in audits {
            self.entries += audit.entries.len() as u64;
            checker.audit(audit);
        }
        self.violations = checker.violations().to_vec();
    }

    /// Counts what a part of the history holds.
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

    /// Counts what the server says it has closed since it was started, from the text of its metrics.
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
            "seed {}: {} kills ({} met sends under way), {} messages acknowledged in {:.1} s",
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
            "  sessions: {} of {} recovered; notifications: {} posted, given {} times",
            self.recovered, self.claims, self.posted, self.notified
        )?;
        if !self.blows.is_empty() {
            write!(f, "  blows:")?;
        }
        for blow in Blow::ALL {
            let times = self.blows.iter().filter(|other| **other == blow).count();
            if times > 0 {
                write!(f, " {blow} {times}")?;
            }
        }
        if !self.blows.is_empty() {
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
        for trouble in &self.troubles {
            write!(f, "\n  trouble: {trouble}")?;
        }
        Ok(())
    }
}
