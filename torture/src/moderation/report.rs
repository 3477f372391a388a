//! What the workload did and found.

use std::fmt;

use super::violation::Violation;

/// Violations kept. The first ones tell the story.
const KEPT: usize = 40;

/// The counts and the violations of the workload.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Users who joined, wrote, and met one act of the backend.
    pub cases: u64,
    /// Bans, mutes, and their ends.
    pub bans: u64,
    /// See [`Report::bans`].
    pub mutes: u64,
    /// See [`Report::bans`].
    pub lifts: u64,
    /// Users who were erased with their messages.
    pub erasures: u64,
    /// Users who were erased and whose texts stay.
    pub anonymised: u64,
    /// Rotations of the API key, and of the token secret.
    pub rotations: [u64; 2],
    /// Rotations that began right before a kill.
    pub before_kills: u64,
    /// Attempts of the users, and those that a ban, a mute or an erasure refused.
    pub attempts: u64,
    /// See [`Report::attempts`].
    pub refused: u64,
    /// Entries of the log that were read back.
    pub entries: u64,
    /// Whether the stored bytes were searched: SQLite promises nothing for a large file.
    pub searched: bool,
    /// Violations of the laws.
    pub violations: Vec<Violation>,
}

impl Report {
    pub(super) fn add(&mut self, violations: impl IntoIterator<Item = Violation>) {
        for violation in violations {
            if self.violations.len() < KEPT && !self.violations.contains(&violation) {
                self.violations.push(violation);
            }
        }
    }

    /// The acts that the run lacks: without them, it has tested nothing.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let acts = [
            ("bans", self.bans),
            ("mutes", self.mutes),
            ("lifts", self.lifts),
            ("erasures", self.erasures),
            ("anonymised users", self.anonymised),
            ("rotations of the API key", self.rotations[0]),
            ("rotations of the token secret", self.rotations[1]),
        ];
        let missing = acts.into_iter().filter(|(_, count)| *count == 0);
        missing.map(|(act, _)| act).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cases,
            bans,
            mutes,
            lifts,
            erasures,
            anonymised,
            rotations: [keys, secrets],
            ..
        } = self;
        write!(
            f,
            "moderation: {cases} cases; {bans} bans, {mutes} mutes, {lifts} lifts, {erasures} erased, \
             {anonymised} anonymised; {keys} API keys and {secrets} token secrets rotated, {} right before \
             a kill",
            self.before_kills
        )?;
        write!(
            f,
            "\n  {} attempts, {} refused; {} entries read back; stored bytes searched: {}; {} violations",
            self.attempts,
            self.refused,
            self.entries,
            if self.searched { "yes" } else { "no" },
            self.violations.len()
        )?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_an_act_lacks_it() {
        let mut report = Report::default();
        assert_eq!(report.missing().len(), 7);
        (report.bans, report.mutes, report.lifts) = (1, 1, 1);
        (report.erasures, report.anonymised, report.rotations) = (1, 1, [1, 0]);
        assert_eq!(report.missing(), ["rotations of the token secret"]);
    }
}
