//! A filter for events that carry marks: events of two nodes about one mark can overtake each other on the
//! bus, and clients must not see a mark decrease.
//!
//! The filter remembers the recent marks in tables of fixed length. In a full table, a new mark replaces the
//! least recently seen one.

use parking_lot::Mutex;

/// Tables, each with a lock of its own.
const TABLES: u64 = 64;
/// Marks in a table.
const SLOTS: usize = 64;

/// The newest value of each mark, in each table the one seen last first.
pub(crate) struct WatermarkFilter {
    tables: Box<[Mutex<[Slot; SLOTS]>]>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    value: u64,
}

impl Default for WatermarkFilter {
    fn default() -> Self {
        Self {
            tables: (0..TABLES)
                .map(|_| Mutex::new([Slot::default(); SLOTS]))
                .collect(),
        }
    }
}

impl WatermarkFilter {
    /// Calls `send` if `value` is newer than all values sent for this mark. `key` is a hash of the
    /// mark's identity. Calls for one mark run one after the other.
    pub(crate) fn send_if_newer(&self, key: u64, value: u64, send: impl FnOnce()) {
        let table = usize::try_from(key % TABLES).unwrap_or_default();
        let Some(table) = self.tables.get(table) else {
            return;
        };
        let mut table = table.lock();
        let known = table.iter().position(|slot| slot.key == key);
        if known.is_some_and(|index| table[index].value >= value) {
            return;
        }
        let place = known.unwrap_or(SLOTS - 1);
        table[..=place].rotate_right(1);
        table[0] = Slot { key, value };
        // Under the lock, or an older value could still be sent last.
        send();
    }

    /// Forgets all marks.
    pub(crate) fn clear(&self) {
        for table in &self.tables {
            *table.lock() = [Slot::default(); SLOTS];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_newer_values_are_sent() {
        let (filter, mut sent) = (WatermarkFilter::default(), Vec::new());
        for (key, value) in [(7, 3), (8, 1), (7, 2), (7, 3), (7, 4), (8, 2)] {
            filter.send_if_newer(key, value, || sent.push((key, value)));
        }
        assert_eq!(sent, [(7, 3), (8, 1), (7, 4), (8, 2)]);
        filter.clear();
        filter.send_if_newer(7, 1, || sent.push((7, 1)));
        assert_eq!(sent.last(), Some(&(7, 1)));
    }

    #[test]
    fn only_the_mark_that_was_seen_longest_ago_is_forgotten() {
        let (filter, mut count) = (WatermarkFilter::default(), 0);
        // All in one table.
        let key = |number: usize| 7 + TABLES * number as u64;
        let mut send = |number, value| filter.send_if_newer(key(number), value, || count += 1);
        send(0, 3);
        for other in 1..SLOTS {
            send(other, 9);
        }
        // Seen longest ago and still known; then seen last.
        send(0, 2);
        send(0, 4);
        send(SLOTS, 9);
        send(0, 4);
        // Number 1 has made way for the last one.
        send(1, 1);
        assert_eq!(count, SLOTS + 3);
    }
}
