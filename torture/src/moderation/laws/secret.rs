//! The laws of rotated secrets.

use std::time::Duration;

use crate::moderation::violation::{SecretKind, Violation};

/// How soon after SIGHUP a node accepts a new secret and refuses an old one.
const RELOADED: Duration = Duration::from_secs(10);

/// The time in which a secret is valid on all nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::moderation) struct Validity {
    /// When all nodes had accepted it.
    pub(in crate::moderation) begun: Option<u64>,
    /// Before its files were written without it.
    pub(in crate::moderation) ended: Option<u64>,
}

impl Validity {
    /// True if the secret was valid for the whole time.
    fn covers(&self, begun: u64, ended: u64) -> bool {
        self.begun.is_some_and(|valid| valid < begun) && self.ended.is_none_or(|withdrawn| ended < withdrawn)
    }
}

/// Checks a call, or a connection, that a node has refused as unauthorized.
pub(in crate::moderation) fn check_refusal(
    (kind, number): (SecretKind, u64),
    validity: Validity,
    (begun, ended): (u64, u64),
) -> Option<Violation> {
    validity
        .covers(begun, ended)
        .then_some(Violation::ValidRefused { kind, number })
}

/// Checks the answer of a node that got SIGHUP this long before it was asked.
pub(in crate::moderation) fn check_reload(
    (kind, number): (SecretKind, u64),
    node: usize,
    (accepted, expected): (bool, bool),
    after: Duration,
) -> Option<Violation> {
    if accepted == expected || after <= RELOADED {
        return None;
    }
    Some(if expected {
        Violation::NewRefused {
            kind,
            number,
            node,
            after,
        }
    } else {
        Violation::OldAccepted {
            kind,
            number,
            node,
            after,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (SecretKind, u64) = (SecretKind::ApiKey, 3);

    #[test]
    fn a_valid_secret_that_is_refused_is_a_violation() {
        let (kind, number) = KEY;
        let validity = |begun, ended| Validity { begun, ended };
        let refused = Some(Violation::ValidRefused { kind, number });
        for (valid, call, expected) in [
            (validity(None, None), (1, 2), None),
            (validity(Some(5), None), (4, 9), None),
            (validity(Some(5), None), (6, 9), refused.clone()),
            (validity(Some(5), Some(10)), (6, 9), refused),
            (validity(Some(5), Some(10)), (6, 11), None),
        ] {
            assert_eq!(check_refusal(KEY, valid, call), expected, "{valid:?} {call:?}");
        }
    }

    #[test]
    fn an_old_secret_that_is_accepted_for_too_long_is_a_violation_and_so_is_a_new_one_refused() {
        let (kind, number, node) = (KEY.0, KEY.1, 2);
        let [early, after] = [9, 11].map(Duration::from_secs);
        let new_refused = Violation::NewRefused {
            kind,
            number,
            node,
            after,
        };
        let old_accepted = Violation::OldAccepted {
            kind,
            number,
            node,
            after,
        };
        for expected in [true, false] {
            assert_eq!(check_reload(KEY, node, (expected, expected), after), None);
            assert_eq!(check_reload(KEY, node, (!expected, expected), early), None);
        }
        assert_eq!(check_reload(KEY, node, (false, true), after), Some(new_refused));
        assert_eq!(check_reload(KEY, node, (true, false), after), Some(old_accepted));
    }
}
