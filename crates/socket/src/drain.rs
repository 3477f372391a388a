//! Configuration and outcome of a drain: how a server ends all its connections in waves before it stops.

use std::{sync::Arc, time::Duration};

use crate::socketio::Socket;

/// Called with the sockets of each wave before their connections end.
type Hint = Arc<dyn Fn(&[Socket]) + Send + Sync>;

/// How [`crate::WebSocketServer::drain`] spreads the end of its connections over time.
#[derive(Clone)]
pub struct Drain {
    pub(crate) over: Duration,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) hint: Option<Hint>,
}

impl Drain {
    /// Spreads the drain evenly over this time. The first wave starts at once.
    pub fn over(over: Duration) -> Self {
        Drain {
            over,
            every: Duration::from_millis(250),
            timeout: Duration::from_secs(5),
            hint: None,
        }
    }

    /// Time between two waves (250 ms, at least 1 ms).
    pub fn every(self, every: Duration) -> Self {
        Drain {
            every: every.max(Duration::from_millis(1)),
            ..self
        }
    }

    /// How long to wait after the last wave for the connections to end (5 s).
    pub fn timeout(self, timeout: Duration) -> Self {
        Drain { timeout, ..self }
    }

    /// Calls `hint` with the sockets of each wave. Events that it emits to them still arrive, for example
    /// when to reconnect.
    pub fn before_wave(self, hint: impl Fn(&[Socket]) + Send + Sync + 'static) -> Self {
        Drain {
            hint: Some(Arc::new(hint)),
            ..self
        }
    }
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drain")
            .field("over", &self.over)
            .field("every", &self.every)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Outcome of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that a wave ended. Connections that ended by themselves do not count.
    pub ended: usize,
    /// Connections that are not done: the client has not confirmed the end, or a handler still runs.
    pub left: usize,
}

/// Splits a number of sessions into even shares.
#[derive(Debug)]
pub(crate) struct Waves {
    sessions: usize,
    total: u32,
    gone: u32,
}

/// One wave of a drain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wave {
    /// Number of sessions in this wave.
    pub(crate) share: usize,
    /// Progress of the drain after this wave, in thousandths.
    pub(crate) progress: u16,
}

impl Waves {
    pub(crate) fn new(sessions: usize, drain: &Drain) -> Self {
        let waves = drain.over.as_millis() / drain.every.as_millis().max(1);
        Waves {
            sessions,
            total: u32::try_from(waves).unwrap_or(u32::MAX).max(1),
            gone: 0,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.gone == self.total
    }
}

impl Iterator for Waves {
    type Item = Wave;

    fn next(&mut self) -> Option<Wave> {
        let left = self.total.checked_sub(self.gone).filter(|&left| left > 0)?;
        let share = self.sessions.div_ceil(left as usize);
        self.sessions -= share;
        self.gone += 1;
        let progress = u64::from(self.gone) * 1000 / u64::from(self.total);
        Some(Wave {
            share,
            progress: u16::try_from(progress).unwrap_or(1000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(sessions: usize, over: u64, every: u64) -> Vec<Wave> {
        let drain = Drain::over(Duration::from_millis(over)).every(Duration::from_millis(every));
        Waves::new(sessions, &drain).collect()
    }

    #[test]
    fn waves_are_even_shares() {
        for sessions in [0, 1, 3, 10, 999, 100_000] {
            let waves = waves(sessions, 1000, 100);
            let shares: Vec<_> = waves.iter().map(|wave| wave.share).collect();
            assert_eq!((shares.len(), shares.iter().sum::<usize>()), (10, sessions));
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            assert!(most - least <= 1, "{shares:?}");
            assert_eq!(waves.last().map(|wave| wave.progress), Some(1000));
        }
    }

    #[test]
    fn a_drain_without_duration_has_one_wave() {
        let all = Wave {
            share: 7,
            progress: 1000,
        };
        assert_eq!(waves(7, 0, 100), [all]);
        assert_eq!(waves(7, 99, 0).len(), 99, "at least a millisecond each");
    }
}
