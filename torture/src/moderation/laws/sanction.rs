//! The laws of bans and mutes.

use roomful_testkit::history::{Name, Outcome};

use crate::moderation::attempt::{Action, Attempt};
use crate::moderation::violation::{SanctionKind, Violation};

/// The period of a ban or a mute.
#[derive(Clone, Debug)]
pub(in crate::moderation) struct Sanction {
    pub(in crate::moderation) kind: SanctionKind,
    /// In all rooms: a banned user cannot even connect.
    pub(in crate::moderation) everywhere: bool,
    /// The times before the first call, and after its acknowledgement.
    pub(in crate::moderation) asked: u64,
    pub(in crate::moderation) acked: u64,
    /// The seq of another user's message that was sent after that.
    pub(in crate::moderation) marker: u64,
    pub(in crate::moderation) lift: Lift,
}

/// The end of a ban or a mute.
#[derive(Clone, Debug)]
pub(in crate::moderation) struct Lift {
    /// The seq of another user's message that was acknowledged before the first call.
    pub(in crate::moderation) marker: u64,
    pub(in crate::moderation) asked: u64,
    pub(in crate::moderation) acked: u64,
    /// False if a call that imposed it got no answer: the server may still carry it out.
    pub(in crate::moderation) is_final: bool,
}

/// An entry of the user in the room's log.
#[derive(Clone, Debug)]
pub(in crate::moderation) struct Entry {
    pub(in crate::moderation) seq: u64,
    /// The client id of a message.
    pub(in crate::moderation) client_id: Option<Name>,
}

impl Sanction {
    /// True if the sanction forbids this.
    fn forbids(&self, action: &Action) -> bool {
        let is_ban = self.kind == SanctionKind::Ban;
        match action {
            Action::Connect => is_ban && self.everywhere,
            Action::Join => is_ban,
            Action::Send(_) | Action::Edit | Action::React => true,
        }
    }

    /// True if the attempt took place under the sanction as a whole.
    fn covers(&self, attempt: &Attempt) -> bool {
        attempt.begun > self.acked && attempt.ended < self.lift.asked
    }

    /// True if nothing was in force during the whole attempt.
    fn spares(&self, attempt: &Attempt) -> bool {
        attempt.ended < self.asked || (self.lift.is_final && attempt.begun > self.lift.acked)
    }

    /// True if the server may store what the attempt sent.
    fn admits(&self, attempt: &Attempt) -> bool {
        let is_answered = attempt.outcome != Outcome::Unknown;
        attempt.begun < self.acked || attempt.ended > self.lift.asked || !is_answered
    }
}

/// Checks the attempts of a user with one sanction, and the user's entries in the log.
pub(in crate::moderation) fn check(
    case: u32,
    sanction: &Sanction,
    attempts: &[Attempt],
    entries: &[Entry],
) -> Vec<Violation> {
    let of_attempts = attempts
        .iter()
        .filter_map(|attempt| check_attempt(case, sanction, attempt));
    let of_entries = entries
        .iter()
        .filter_map(|entry| check_entry(case, sanction, attempts, entry));
    of_attempts.chain(of_entries).collect()
}

fn check_attempt(case: u32, sanction: &Sanction, attempt: &Attempt) -> Option<Violation> {
    let kind = sanction.kind;
    let action = attempt.action.clone();
    if sanction.covers(attempt) && sanction.forbids(&action) {
        return match attempt.refusal() {
            Some(code) if **code == *kind.code() => None,
            Some(code) => Some(Violation::WrongCode {
                case,
                kind,
                action,
                code: code.clone(),
            }),
            None if !attempt.succeeded() || attempt.is_duplicate() => None,
            None if action.writes() => Some(Violation::Wrote { case, kind, action }),
            None => Some(Violation::LetIn { case, action }),
        };
    }
    let code = attempt.refusal()?;
    let is_unfounded = sanction.spares(attempt) && matches!(&**code, "banned" | "muted");
    is_unfounded.then(|| Violation::Unfounded {
        case,
        action,
        code: code.clone(),
    })
}

fn check_entry(case: u32, sanction: &Sanction, attempts: &[Attempt], entry: &Entry) -> Option<Violation> {
    let (kind, seq) = (sanction.kind, entry.seq);
    if seq > sanction.marker && seq < sanction.lift.marker {
        let marker = sanction.marker;
        return Some(Violation::LoggedAfter {
            case,
            kind,
            seq,
            marker,
        });
    }
    let client_id = entry.client_id.clone()?;
    let send = Action::Send(client_id.clone());
    let mut sends = attempts.iter().filter(|attempt| attempt.action == send);
    (!sends.any(|attempt| sanction.admits(attempt))).then_some(Violation::SentUnder {
        case,
        kind,
        client_id,
        seq,
    })
}

#[cfg(test)]
mod tests {
    use roomful_testkit::history::Stored;

    use super::*;

    const CASE: u32 = 7;

    /// In force from 20 to 40, and from seq 5 to seq 9.
    fn sanction(kind: SanctionKind) -> Sanction {
        Sanction {
            kind,
            everywhere: false,
            asked: 10,
            acked: 20,
            marker: 5,
            lift: Lift {
                marker: 9,
                asked: 40,
                acked: 50,
                is_final: true,
            },
        }
    }

    fn send() -> Action {
        Action::Send("a".into())
    }

    fn stored(duplicate: bool) -> Outcome<Option<Stored>> {
        Outcome::Ok(Some(Stored { seq: 4, duplicate }))
    }

    fn refused(code: &str) -> Outcome<Option<Stored>> {
        Outcome::Failed(code.into())
    }

    fn attempt(action: Action, (begun, ended): (u64, u64), outcome: Outcome<Option<Stored>>) -> Attempt {
        Attempt {
            action,
            begun,
            ended,
            outcome,
        }
    }

    fn of_one(kind: SanctionKind, attempt: Attempt) -> Vec<Violation> {
        check(CASE, &sanction(kind), &[attempt], &[])
    }

    #[test]
    fn writing_under_a_sanction_is_a_violation() {
        for kind in [SanctionKind::Ban, SanctionKind::Mute] {
            for action in [send(), Action::Edit, Action::React] {
                let during = attempt(action.clone(), (21, 39), stored(false));
                let case = CASE;
                assert_eq!(of_one(kind, during), [Violation::Wrote { case, kind, action }]);
            }
        }
    }

    #[test]
    fn a_retry_may_learn_under_a_sanction_that_it_is_a_duplicate() {
        let retry = attempt(send(), (21, 39), stored(true));
        assert_eq!(of_one(SanctionKind::Ban, retry), []);
    }

    #[test]
    fn writing_that_overlaps_the_begin_or_the_end_of_a_sanction_may_succeed() {
        for times in [(1, 5), (19, 30), (30, 41), (51, 60)] {
            let overlapping = attempt(send(), times, stored(false));
            assert_eq!(of_one(SanctionKind::Ban, overlapping), [], "{times:?}");
        }
    }

    #[test]
    fn entering_under_a_ban_is_a_violation_and_under_a_mute_it_is_none() {
        for (action, everywhere, count) in [
            (Action::Join, false, 1),
            (Action::Join, true, 1),
            (Action::Connect, false, 0),
            (Action::Connect, true, 1),
        ] {
            let entering = [attempt(action.clone(), (21, 39), Outcome::Ok(None))];
            let [mut mute, mut ban] = [SanctionKind::Mute, SanctionKind::Ban].map(sanction);
            (mute.everywhere, ban.everywhere) = (everywhere, everywhere);
            assert_eq!(check(CASE, &mute, &entering, &[]), []);
            let case = CASE;
            let expected = [Violation::LetIn { case, action }];
            assert_eq!(check(CASE, &ban, &entering, &[]), expected[..count]);
        }
    }

    #[test]
    fn a_refusal_under_a_sanction_has_its_code() {
        let action = send();
        for code in ["banned", "unavailable"] {
            let right = attempt(send(), (21, 39), refused(code));
            assert_eq!(of_one(SanctionKind::Ban, right), []);
        }
        let wrong = attempt(send(), (21, 39), refused("forbidden"));
        let (case, kind, code) = (CASE, SanctionKind::Ban, "forbidden".into());
        assert_eq!(
            of_one(kind, wrong),
            [Violation::WrongCode {
                case,
                kind,
                action,
                code
            }]
        );
    }

    #[test]
    fn a_refusal_outside_of_a_sanction_is_a_violation() {
        for times in [(1, 9), (51, 60)] {
            let (case, action, code) = (CASE, Action::Join, Name::from("banned"));
            let refused = attempt(action.clone(), times, refused(&code));
            assert_eq!(
                of_one(SanctionKind::Ban, refused),
                [Violation::Unfounded { case, action, code }]
            );
        }
        let overlapping = attempt(Action::Join, (45, 60), refused("banned"));
        assert_eq!(of_one(SanctionKind::Ban, overlapping), []);
    }

    #[test]
    fn a_sanction_may_come_back_if_one_of_its_calls_got_no_answer() {
        let mut ban = sanction(SanctionKind::Ban);
        ban.lift.is_final = false;
        let late = attempt(Action::Join, (51, 60), refused("banned"));
        assert_eq!(check(CASE, &ban, &[late], &[]), []);
    }

    #[test]
    fn a_message_whose_sends_all_began_under_a_sanction_is_a_violation() {
        let kind = SanctionKind::Ban;
        let (client_id, seq) = (Name::from("a"), 12);
        let entry = Entry {
            seq,
            client_id: Some(client_id.clone()),
        };
        let during = attempt(send(), (21, 39), refused("banned"));
        let found = check(
            CASE,
            &sanction(kind),
            std::slice::from_ref(&during),
            std::slice::from_ref(&entry),
        );
        let case = CASE;
        let violation = Violation::SentUnder {
            case,
            kind,
            client_id,
            seq,
        };
        assert_eq!(found, [violation]);
        for other in [
            attempt(send(), (19, 30), Outcome::Unknown),
            attempt(send(), (21, 30), Outcome::Unknown),
            attempt(send(), (39, 41), stored(false)),
        ] {
            let sends = [during.clone(), other];
            assert_eq!(
                check(CASE, &sanction(kind), &sends, std::slice::from_ref(&entry)),
                []
            );
        }
    }

    #[test]
    fn an_entry_after_the_position_of_a_sanction_is_a_violation() {
        let kind = SanctionKind::Mute;
        let before = attempt(send(), (1, 30), Outcome::Unknown);
        for (seq, count) in [(4, 0), (6, 1), (8, 1), (10, 0)] {
            for client_id in [None, Some("a".into())] {
                let entry = Entry { seq, client_id };
                let found = check(CASE, &sanction(kind), std::slice::from_ref(&before), &[entry]);
                assert_eq!(found.len(), count, "{seq}: {found:?}");
                let is_right = |violation: &Violation| {
                    let &Violation::LoggedAfter { seq: at, marker, .. } = violation else {
                        return false;
                    };
                    at == seq && marker == 5
                };
                assert!(found.iter().all(is_right), "{found:?}");
            }
        }
    }
}
