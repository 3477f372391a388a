//! The rules on the texts of messages, read from the settings and the files of words.

use std::hash::{DefaultHasher, Hash, Hasher};

use roomful_chat::{ContentRule, RuleAction};

use crate::{
    bounded_file::{self, WORDS_BYTES},
    config::{Config, ConfigError, RULES},
};

/// The settings and words of all rules, before they are compiled.
#[derive(Debug)]
pub(crate) struct RuleSources(Vec<Source>);

#[derive(Debug, Hash)]
struct Source {
    /// For errors: the number of the rule, and its file if it has one.
    origin: String,
    text: String,
    kind: Kind,
    action: RuleAction,
    rooms: Vec<String>,
}

#[derive(Debug, Clone, Copy, Hash)]
enum Kind {
    Words,
    Pattern,
}

impl RuleSources {
    /// Reads the files of words.
    ///
    /// # Errors
    /// A file is missing, unreadable, too large or not UTF-8.
    pub(crate) fn read(config: &Config) -> Result<Self, ConfigError> {
        let source = |(index, rule): (usize, &crate::config::Rule)| {
            let number = index + 1;
            let (origin, text, kind) = match (&rule.words_file, &rule.pattern) {
                (Some(file), _) => {
                    let origin = format!("rule {number}: {}", file.display());
                    let text = bounded_file::read_text(file, WORDS_BYTES).map_err(|error| {
                        let what = "failed to read it; write a UTF-8 file with one word a line";
                        invalid(config, format!("{origin}: {what}: {error}"))
                    })?;
                    (origin, text, Kind::Words)
                }
                (None, pattern) => {
                    let pattern = pattern.clone().unwrap_or_default();
                    (
                        format!("rule {number}: pattern {pattern:?}"),
                        pattern,
                        Kind::Pattern,
                    )
                }
            };
            Ok(Source {
                origin,
                text,
                kind,
                action: rule.action(),
                rooms: rule.rooms.clone(),
            })
        };
        let rules = config.moderation.rules.iter().enumerate();
        rules.map(source).collect::<Result<_, _>>().map(Self)
    }

    /// A number that changes with the settings and the words.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    /// Compiles the rules. Takes about a second for a million words.
    ///
    /// # Errors
    /// A pattern or a list of words is invalid.
    pub(crate) fn compile(&self, config: &Config) -> Result<Vec<ContentRule>, ConfigError> {
        let rule = |source: &Source| {
            let rule = match source.kind {
                Kind::Words => ContentRule::words(&source.text, source.action, &source.rooms),
                Kind::Pattern => ContentRule::pattern(&source.text, source.action, &source.rooms),
            };
            rule.map_err(|what| invalid(config, format!("{}: {what}", source.origin)))
        };
        self.0.iter().map(rule).collect()
    }
}

fn invalid(config: &Config, what: String) -> ConfigError {
    ConfigError::key(config.origins.of(RULES), RULES, what)
}
