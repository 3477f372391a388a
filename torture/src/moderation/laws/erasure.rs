//! The laws of erasures.

use std::collections::{BTreeMap, BTreeSet};

use roomful_testkit::history::Name;

use crate::moderation::attempt::Attempt;
use crate::moderation::mark::{Mark, MarkKind};
use crate::moderation::violation::Violation;

/// What an erasure does to the user's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::moderation) enum Messages {
    Delete,
    Anonymise,
}

impl Messages {
    /// As the HTTP API names it.
    pub(in crate::moderation) const fn text(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Anonymise => "anonymise",
        }
    }
}

/// The erased users, by their cases.
pub(in crate::moderation) type Erased = BTreeMap<u32, Messages>;

/// Checks the marks of a place that was read after the erasures were acknowledged.
pub(in crate::moderation) fn check_place(
    place: &Name,
    marks: &BTreeSet<Mark>,
    erased: &Erased,
) -> Vec<Violation> {
    let is_erased = |mark: &&Mark| match erased.get(&mark.case) {
        Some(Messages::Delete) => true,
        Some(Messages::Anonymise) => mark.kind != MarkKind::Word,
        None => false,
    };
    let left = marks.iter().filter(is_erased).map(|mark| Violation::NotErased {
        place: place.clone(),
        mark: *mark,
    });
    left.collect()
}

/// Checks the attempts of a user whose erasure was acknowledged at `acked`.
pub(in crate::moderation) fn check_attempts(case: u32, acked: u64, attempts: &[Attempt]) -> Vec<Violation> {
    let after = attempts.iter().filter(|attempt| attempt.begun > acked);
    let back = after
        .filter(|attempt| attempt.succeeded())
        .map(|attempt| Violation::CameBack {
            case,
            action: attempt.action.clone(),
        });
    back.collect()
}

/// Checks that the texts of an anonymised user stay: `texts` are those of the room's messages by seq.
pub(in crate::moderation) fn check_texts(
    case: u32,
    attempts: &[Attempt],
    texts: &BTreeMap<u64, &str>,
) -> Vec<Violation> {
    let word = Mark::word(case).to_string();
    let stored: BTreeSet<u64> = attempts.iter().filter_map(Attempt::message).collect();
    let lost = stored
        .into_iter()
        .filter(|seq| !texts.get(seq).is_some_and(|text| text.contains(&word)));
    lost.map(|seq| Violation::TextLost { case, seq }).collect()
}

#[cfg(test)]
mod tests {
    use roomful_testkit::history::{Outcome, Stored};

    use super::*;
    use crate::moderation::attempt::Action;

    #[test]
    fn a_mark_of_an_erased_user_is_a_violation_and_the_word_of_an_anonymised_one_is_none() {
        let erased = Erased::from([(1, Messages::Delete), (2, Messages::Anonymise)]);
        let all = [1, 2, 3].map(|case| [Mark::user(case), Mark::name(case), Mark::word(case)]);
        let marks = all.into_iter().flatten().collect();
        let place = Name::from("the log");
        let left = check_place(&place, &marks, &erased);
        let expected = [
            Mark::user(1),
            Mark::user(2),
            Mark::name(1),
            Mark::name(2),
            Mark::word(1),
        ];
        let expected = expected.map(|mark| Violation::NotErased {
            place: place.clone(),
            mark,
        });
        assert_eq!(left, expected);
    }

    #[test]
    fn a_success_that_begins_after_an_erasure_is_a_violation() {
        let attempt = |begun, outcome| Attempt {
            action: Action::Connect,
            begun,
            ended: begun + 5,
            outcome,
        };
        let attempts = [
            attempt(9, Outcome::Ok(None)),
            attempt(11, Outcome::Failed("unauthorized".into())),
            attempt(12, Outcome::Unknown),
        ];
        assert_eq!(check_attempts(1, 10, &attempts), []);
        let (case, action) = (1, Action::Connect);
        let back = [attempt(11, Outcome::Ok(None))];
        assert_eq!(
            check_attempts(1, 10, &back),
            [Violation::CameBack { case, action }]
        );
    }

    #[test]
    fn a_lost_text_of_an_anonymised_user_is_a_violation() {
        let sent = |seq| Attempt {
            action: Action::Send("a".into()),
            begun: 1,
            ended: 2,
            outcome: Outcome::Ok(Some(Stored {
                seq,
                duplicate: false,
            })),
        };
        let text = format!("{} says hello", Mark::word(1));
        let texts = BTreeMap::from([(4, &*text), (5, "")]);
        let case = 1;
        assert_eq!(
            check_texts(case, &[sent(4), sent(5), sent(6)], &texts),
            [5, 6].map(|seq| Violation::TextLost { case, seq })
        );
    }
}
