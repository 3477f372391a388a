//! Rules on the texts of messages: lists of words and patterns that refuse, mask or flag a message.

pub(crate) mod normal_text;
pub(crate) mod words;

use std::{ops::Range, sync::Arc};

use parking_lot::RwLock;
use regex::{Regex, RegexBuilder};

use self::{
    normal_text::{NormalText, mask},
    words::Words,
};
use crate::{error::ChatError, metrics::Metrics, types::RoomPattern};

/// The most memory that a compiled pattern may take, in bytes.
const PATTERN_BYTES: usize = 4 << 20;

/// What a rule does with a message whose text it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// The sender gets the error `refused`.
    Refuse,
    /// The stored text has a `*` in place of each matched character.
    Mask,
    /// The message is stored as it is, counted and named in the log.
    Flag,
}

/// A rule on the texts of messages.
#[derive(Debug)]
pub struct ContentRule {
    matcher: Matcher,
    action: RuleAction,
    /// Empty for all rooms.
    rooms: Vec<RoomPattern>,
}

#[derive(Debug)]
enum Matcher {
    Words(Words),
    Pattern(Regex),
}

/// The rules in force. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ContentRules(Arc<RwLock<Arc<[ContentRule]>>>);

impl ContentRule {
    /// A rule for a list of words, one a line. It ignores case, the width of letters and invisible
    /// characters, and matches whole words.
    ///
    /// # Errors
    /// The fault of the list.
    pub fn words(lines: &str, action: RuleAction, rooms: &[String]) -> Result<Self, String> {
        Words::new(lines).map(|words| Self::new(Matcher::Words(words), action, rooms))
    }

    /// A rule for a regular expression. It sees the text composed (NFKC) and without invisible characters.
    ///
    /// # Errors
    /// The fault of the expression.
    pub fn pattern(pattern: &str, action: RuleAction, rooms: &[String]) -> Result<Self, String> {
        let regex = RegexBuilder::new(pattern)
            .size_limit(PATTERN_BYTES)
            .build()
            .map_err(|error| fault(&error))?;
        if regex.is_match("") {
            return Err("it matches the empty text, and so every message".to_owned());
        }
        Ok(Self::new(Matcher::Pattern(regex), action, rooms))
    }

    fn new(matcher: Matcher, action: RuleAction, rooms: &[String]) -> Self {
        Self {
            matcher,
            action,
            rooms: rooms.iter().map(|room| RoomPattern::new(room)).collect(),
        }
    }

    fn applies_to(&self, room: &str) -> bool {
        self.rooms.is_empty() || self.rooms.iter().any(|pattern| pattern.matches(room))
    }
}

/// The forms of one text, each made when the first rule needs it.
struct Forms<'a> {
    text: &'a str,
    words: Option<NormalText<'a>>,
    pattern: Option<NormalText<'a>>,
}

impl Forms<'_> {
    /// The matched bytes of the text: the first match, or all of them.
    fn matches(&mut self, matcher: &Matcher, all: bool) -> Vec<Range<usize>> {
        let most = if all { usize::MAX } else { 1 };
        match matcher {
            Matcher::Words(words) => {
                let text = self.words.get_or_insert_with(|| NormalText::for_words(self.text));
                words.find(text).take(most).collect()
            }
            Matcher::Pattern(regex) => {
                let text = self
                    .pattern
                    .get_or_insert_with(|| NormalText::for_patterns(self.text));
                find_pattern(regex, text).take(most).collect()
            }
        }
    }
}

/// The bytes of the original text that a pattern matches.
pub(crate) fn find_pattern<'t>(
    regex: &'t Regex,
    text: &'t NormalText<'_>,
) -> impl Iterator<Item = Range<usize>> + 't {
    regex
        .find_iter(text.as_str())
        .filter(|found| !found.is_empty())
        .map(|found| text.covering_segments(found.range()))
}

impl ContentRules {
    /// Replaces the rules, for the next message on.
    pub fn replace(&self, rules: Vec<ContentRule>) {
        *self.0.write() = rules.into();
    }

    /// Applies the rules to a text that `user` wants to write in `room`. Masks it in place. Returns whether
    /// it has masked something.
    ///
    /// # Errors
    /// `refused` if a rule refuses the text.
    pub(crate) fn apply(
        &self,
        metrics: &Metrics,
        (room, user): (&str, &str),
        text: &mut String,
    ) -> Result<bool, ChatError> {
        let rules = Arc::clone(&self.0.read());
        if rules.is_empty() || text.is_empty() {
            return Ok(false);
        }
        let (mut masked, mut flagged) = (Vec::new(), false);
        let mut forms = Forms {
            text,
            words: None,
            pattern: None,
        };
        for rule in rules.iter().filter(|rule| rule.applies_to(room)) {
            let mut found = forms.matches(&rule.matcher, rule.action == RuleAction::Mask);
            if found.is_empty() {
                continue;
            }
            match rule.action {
                RuleAction::Refuse => {
                    metrics.refused_by_rules.increment(1);
                    return Err(ChatError::Refused(REFUSED.into()));
                }
                RuleAction::Mask => masked.append(&mut found),
                RuleAction::Flag => flagged = true,
            }
        }
        if flagged {
            metrics.flagged_by_rules.increment(1);
            tracing::info!(room, user, "a moderation rule flagged a message");
        }
        let masks = !masked.is_empty();
        if masks {
            metrics.masked_by_rules.increment(1);
            *text = mask(text, masked);
        }
        Ok(masks)
    }
}

/// The message of a refusal. It does not name the word, so that nobody learns the list from it.
const REFUSED: &str = "the rules of this server do not allow this text; change it and send it again";

/// The fault of an expression, as one line.
fn fault(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests;
