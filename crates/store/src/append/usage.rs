//! The daily quota of bytes: how much each user may still append.
//!
//! The database counts the bytes of a user and day. A process reserves a share of the quota there, and looks
//! into the database again only when the share is used up. Days are UTC, by the clock of the entries.

use foldhash::{HashMap, HashMapExt as _};

use crate::NewEntry;

const DAY_MS: i64 = 24 * 3_600_000;

/// A reservation takes this part of the quota. A process that ends abruptly wastes one for each user.
const SHARES: u64 = 64;

/// Users with a reservation at a time. Beyond, all reservations are dropped, which wastes them.
const MAX_USERS: usize = 100_000;

/// The day of a time in milliseconds: days since 1970.
pub(crate) fn day_of(at: i64) -> i64 {
    at.div_euclid(DAY_MS)
}

/// Bytes that this process may append for users without asking the database.
#[derive(Debug)]
pub(crate) struct Reservations {
    /// Bytes that a user may append in a day; 0 for any number.
    quota: u64,
    day: i64,
    left: HashMap<String, u64>,
}

/// What a batch may append for one user.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Bytes that this process has reserved.
    reserved: u64,
    /// Bytes of the quota that no process has reserved; `None` if that was not loaded.
    unreserved: Option<u64>,
    spent: u64,
}

impl Allowance {
    /// Takes bytes from the allowance. False if it has fewer.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        let all = self.reserved.saturating_add(self.unreserved.unwrap_or_default());
        let spent = self.spent.saturating_add(bytes);
        if spent > all {
            return false;
        }
        self.spent = spent;
        true
    }

    /// Bytes to count in the database, and bytes that stay reserved, of which a share is `share`.
    fn settle(&self, share: u64) -> (u64, u64) {
        let Some(unreserved) = self.unreserved else {
            return (0, self.reserved.saturating_sub(self.spent));
        };
        let remaining = (self.reserved.saturating_add(unreserved)).saturating_sub(self.spent);
        let keep = remaining.min(share.max(self.reserved));
        ((self.spent + keep).saturating_sub(self.reserved), keep)
    }
}

/// The allowances of a batch.
#[derive(Debug, Default)]
pub(crate) struct Allowances<'a> {
    pub(crate) day: i64,
    users: HashMap<&'a str, Allowance>,
    /// Users whose reservations do not suffice, so that the database must be asked.
    missing: Vec<&'a str>,
    quota: u64,
}

impl<'a> Allowances<'a> {
    /// Users whose counted bytes of the day must be loaded.
    pub(crate) fn missing(&self) -> &[&'a str] {
        &self.missing
    }

    /// Takes in what the database has counted for a user on this day; 0 for a user without a count.
    pub(crate) fn counted(&mut self, user: &str, bytes: u64) {
        if let Some(allowance) = self.users.get_mut(user) {
            allowance.unreserved = Some(self.quota.saturating_sub(bytes));
        }
    }

    /// Charges an entry to its author. False if that exceeds the quota.
    pub(crate) fn charge(&mut self, entry: &NewEntry) -> bool {
        if self.quota == 0 || !entry.charged {
            return true;
        }
        let allowance = self.users.get_mut(&*entry.user_id);
        allowance.is_some_and(|allowance| allowance.take(size(entry)))
    }

    /// For each user with new reservations, the bytes to add to the count of the day.
    pub(crate) fn to_count(&self) -> impl Iterator<Item = (&'a str, u64)> {
        let share = share(self.quota);
        let users = self.missing.iter().filter_map(move |user| {
            let (count, _) = self.users.get(user)?.settle(share);
            Some((*user, count))
        });
        users.filter(|(_, count)| *count > 0)
    }
}

impl Reservations {
    /// `quota` is in bytes a day; 0 for no quota.
    pub(crate) fn new(quota: u64) -> Self {
        Self {
            quota,
            day: i64::MIN,
            left: HashMap::new(),
        }
    }

    /// What a batch may append, before the database is asked about [`Allowances::missing`] users.
    pub(crate) fn allow<'a>(&mut self, appends: &[&'a [NewEntry]]) -> Allowances<'a> {
        let charged = || appends.iter().copied().flatten().filter(|entry| entry.charged);
        let Some(first) = charged().next().filter(|_| self.quota > 0) else {
            return Allowances::default();
        };
        let day = day_of(first.at);
        if day != self.day {
            (self.day, self.left) = (day, HashMap::new());
        }
        let mut wanted: HashMap<&str, u64> = HashMap::new();
        for entry in charged() {
            *wanted.entry(&entry.user_id).or_default() += size(entry);
        }
        let mut allowances = Allowances {
            day,
            quota: self.quota,
            ..Allowances::default()
        };
        for (user, wanted) in wanted {
            let reserved = self.left.get(user).copied().unwrap_or_default();
            if reserved < wanted {
                allowances.missing.push(user);
            }
            let allowance = Allowance {
                reserved,
                ..Allowance::default()
            };
            allowances.users.insert(user, allowance);
        }
        allowances.missing.sort_unstable();
        allowances
    }

    /// Takes over what a batch left. If its transaction fails after this, call [`Self::forget`].
    pub(crate) fn settle(&mut self, allowances: &Allowances<'_>) {
        let share = share(self.quota);
        for (user, allowance) in &allowances.users {
            let (_, left) = allowance.settle(share);
            if let Some(known) = self.left.get_mut(*user) {
                *known = left;
                continue;
            }
            if self.left.len() >= MAX_USERS {
                self.left.clear();
            }
            self.left.insert((*user).to_owned(), left);
        }
    }

    /// Forgets all reservations, since the transaction that used them has failed. The database has counted
    /// earlier ones, so they are wasted.
    pub(crate) fn forget(&mut self) {
        self.left.clear();
    }
}

fn share(quota: u64) -> u64 {
    quota / SHARES
}

/// The bytes that an entry is charged for: approximately its size on the disk.
fn size(entry: &NewEntry) -> u64 {
    entry.weight() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryKind;

    fn entry(user: &str, day: i64) -> NewEntry {
        NewEntry {
            room: 1,
            kind: EntryKind::Message,
            target: None,
            user_id: user.into(),
            user_name: None,
            client_id: None,
            body: "x".repeat(1_000),
            mentions: Vec::new(),
            at: day * DAY_MS,
            replacement: None,
            charged: true,
            exempt: false,
            as_member: false,
        }
    }

    /// A database with one count for each user and day.
    #[derive(Default)]
    struct Counts(HashMap<(String, i64), u64>);

    /// Appends entries one by one. Answers how many were accepted, and how often the database was asked.
    fn append(
        process: &mut Reservations,
        counts: &mut Counts,
        entry: &NewEntry,
        times: usize,
    ) -> (usize, usize) {
        let (mut accepted, mut asked) = (0, 0);
        for _ in 0..times {
            let entries = [entry.clone()];
            let mut allowances = process.allow(&[&entries]);
            for user in allowances.missing().to_vec() {
                asked += 1;
                let bytes = counts.0.get(&(user.to_owned(), allowances.day)).copied();
                allowances.counted(user, bytes.unwrap_or_default());
            }
            accepted += usize::from(allowances.charge(&entries[0]));
            for (user, bytes) in allowances.to_count() {
                *counts.0.entry((user.to_owned(), allowances.day)).or_default() += bytes;
            }
            process.settle(&allowances);
        }
        (accepted, asked)
    }

    #[test]
    fn a_quota_holds_over_processes_and_rarely_asks_the_database() {
        let one = size(&entry("ann", 1));
        let quota = 1_000 * one;
        let mut counts = Counts::default();
        let (mut here, mut there) = (Reservations::new(quota), Reservations::new(quota));
        let (first, asked) = append(&mut here, &mut counts, &entry("ann", 1), 500);
        assert_eq!(first, 500);
        assert!(asked < 50, "{asked} questions");
        let (second, _) = append(&mut there, &mut counts, &entry("ann", 1), 600);
        let (rest, _) = append(&mut here, &mut counts, &entry("ann", 1), 600);
        let all = first + second + rest;
        assert!((985..=1_000).contains(&all), "{all}");
        assert!(counts.0.values().all(|bytes| *bytes <= quota));
        // Others, and the next day, have quotas of their own.
        assert_eq!(append(&mut here, &mut counts, &entry("bob", 1), 10).0, 10);
        assert_eq!(append(&mut here, &mut counts, &entry("ann", 2), 10).0, 10);
        // A failed transaction and a restart waste a share at most.
        here.forget();
        let (left, _) = append(&mut here, &mut counts, &entry("ann", 2), 1_000);
        assert!((970..=990).contains(&left), "{left}");
    }

    #[test]
    fn without_a_quota_nothing_is_counted() {
        let (mut process, mut counts) = (Reservations::new(0), Counts::default());
        assert_eq!(append(&mut process, &mut counts, &entry("ann", 1), 10), (10, 0));
        let backend = NewEntry {
            charged: false,
            ..entry("ann", 1)
        };
        let mut process = Reservations::new(1);
        assert_eq!(append(&mut process, &mut counts, &backend, 10), (10, 0));
        assert_eq!(append(&mut process, &mut counts, &entry("ann", 1), 1).0, 0);
        assert!(counts.0.is_empty());
    }
}
