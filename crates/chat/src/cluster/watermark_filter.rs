//! The newest that was lately told of each thing that only grows, as a value: what two nodes tell of one mark can overtake
//! each other on the bus, and nobody is to see it go back.
//!
//! Only as much is kept as can be on its way: lists of fixed length, in which what is told newly takes the place of what was
//! told longest ago.

use parking_lot::Mutex;

/// Lists, each under a lock of its own.
const STRIPES: u64 = 64;
/// Things that a list remembers.
const SLOTS: usize = 64;

/// What was told, by key; in each list the latest first.
pub(crate) struct WatermarkFilter {
    stripes: Box<[Mutex<[Slot; SLOTS]>]>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    value: u64,
}

impl Default for WatermarkFilter {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES)
                .map(|_| Mutex::new([Slot::default(); SLOTS]))
                .collect(),
        }
    }
}

impl WatermarkFilter {
    /// Tells that what `key` names is at `value`, unless it was told that it is there or beyond. `key` is a hash; of one key,
    /// one is told at a time.
    pub(crate) fn tell(&self, key: u64, value: u64, tell: impl FnOnce()) {
        let stripe = usize::try_from(key % STRIPES).unwrap_or_default();
        let Some(stripe) = self.stripes.get(stripe) else {
            return;
        };
        let mut stripe = stripe.lock();
        let known = stripe.iter().position(|slot| slot.key == key);
        if known.is_some_and(|at| stripe[at].value >= value) {
            return;
        }
        let place = known.unwrap_or(SLOTS - 1);
        stripe[..=place].rotate_right(1);
        stripe[0] = Slot { key, value };
        // Under the lock, or the newer could still be the first.
        tell();
    }

    /// What was told is void.
    pub(crate) fn clear(&self) {
        for stripe in &self.stripes {
            *stripe.lock() = [Slot::default(); SLOTS];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_newer_is_not_told() {
        let (newest, mut told) = (WatermarkFilter::default(), Vec::new());
        for (key, value) in [(7, 3), (8, 1), (7, 2), (7, 3), (7, 4), (8, 2)] {
            newest.tell(key, value, || told.push((key, value)));
        }
        assert_eq!(told, [(7, 3), (8, 1), (7, 4), (8, 2)]);
        newest.clear();
        newest.tell(7, 1, || told.push((7, 1)));
        assert_eq!(told.last(), Some(&(7, 1)));
    }

    #[test]
    fn what_was_told_long_ago_is_forgotten_and_nothing_else() {
        let (newest, mut told) = (WatermarkFilter::default(), 0);
        // All in one list.
        let key = |number: usize| 7 + STRIPES * number as u64;
        let mut tell = |number, value| newest.tell(key(number), value, || told += 1);
        tell(0, 3);
        for other in 1..SLOTS {
            tell(other, 9);
        }
        // The oldest that it remembers, and by that the latest.
        tell(0, 2);
        tell(0, 4);
        tell(SLOTS, 9);
        tell(0, 4);
        // It took the place of this one.
        tell(1, 1);
        assert_eq!(told, SLOTS + 3);
    }
}
