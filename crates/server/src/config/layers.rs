//! Merging of settings from several sources, with the source of each key. Handles settings by name only.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{
    error::{ConfigError, Origin},
    origins::Origins,
    secrets,
};
use crate::bounded_file::{self, SETTINGS_BYTES};

/// Variables with a short name, and the key that each one sets.
const SHORT_NAMES: [(&str, &str); 12] = [
    ("ROOMFUL_LISTEN", "listen"),
    ("ROOMFUL_DATA", "data"),
    ("ROOMFUL_STORE_URL", "store.url"),
    ("ROOMFUL_STORE_URL_FILE", "store.url_file"),
    ("ROOMFUL_BUS_URL", "bus.url"),
    ("ROOMFUL_BUS_URL_FILE", "bus.url_file"),
    ("ROOMFUL_AUTH_SECRET", "auth.secret"),
    ("ROOMFUL_AUTH_SECRET_FILE", "auth.secret_file"),
    ("ROOMFUL_API_KEY", "api.key"),
    ("ROOMFUL_API_KEY_FILE", "api.key_file"),
    ("ROOMFUL_LIMITS", "limits.rates"),
    ("ROOMFUL_LOG", "log.filter"),
];

/// Variables with our prefix that are no settings.
const OTHER_VARIABLES: [&str; 3] = ["ROOMFUL_CONFIG", "ROOMFUL_MIGRATE_TO", "ROOMFUL_PORT_FILE"];

/// Prefix of the variable for any key: `ROOMFUL__SECTION__KEY`.
const LONG_PREFIX: &str = "ROOMFUL__";

/// The merged table so far, and the source of each key.
#[derive(Debug)]
pub(super) struct Layers {
    merged: Table,
    origins: Origins,
    unknown_variables: Vec<String>,
}

impl Layers {
    /// Starts with the defaults, as TOML text.
    pub(super) fn new(defaults: &str) -> Result<Self, ConfigError> {
        let merged = parse(defaults, &Origin::Default)?;
        Ok(Layers {
            merged,
            origins: Origins::default(),
            unknown_variables: Vec::new(),
        })
    }

    /// Merges a TOML file over the settings so far.
    pub(super) fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let origin = Origin::File(path.to_owned());
        let text = bounded_file::read_text(path, SETTINGS_BYTES)
            .map_err(|error| ConfigError::layer(origin.clone(), format!("can't be read: {error}")))?;
        let table = parse(&text, &origin)?;
        merge(&mut self.merged, table, "", &mut |key| {
            self.origins.set(key, origin.clone());
        });
        Ok(())
    }

    /// Merges the variables with our prefix over the settings so far. An empty variable counts as not set.
    pub(super) fn env(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        let mut long = Vec::new();
        for (name, text) in variables.into_iter().filter(|(_, text)| !text.is_empty()) {
            if let Some((_, key)) = SHORT_NAMES.iter().find(|(short, _)| *short == name) {
                self.text(Origin::Env(name), key, &text)?;
            } else if let Some(key) = name.strip_prefix(LONG_PREFIX) {
                long.push((key.to_ascii_lowercase().replace("__", "."), name, text));
            } else if name.starts_with("ROOMFUL_") && !OTHER_VARIABLES.contains(&name.as_str()) {
                self.unknown_variables.push(name);
            }
        }
        long.into_iter()
            .try_for_each(|(key, name, text)| self.text(Origin::Env(name), &key, &text))
    }

    /// Sets one key from a flag.
    pub(super) fn flag(&mut self, flag: &'static str, key: &str, text: &str) -> Result<(), ConfigError> {
        self.text(Origin::Flag(flag), key, text)
    }

    /// Variables with our prefix that are no setting, most likely typing errors.
    pub(super) fn take_unknown_variables(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unknown_variables)
    }

    /// Replaces every `…_file` key of a secret by the secret that the file contains, and checks all
    /// secrets for whitespace that would make them differ from the value that other programs use.
    pub(super) fn resolve_secrets(&mut self) -> Result<(), ConfigError> {
        secrets::resolve(&mut self.merged, &mut self.origins)
    }

    /// The files that contain secrets. Call it after [`resolve_secrets`](Self::resolve_secrets).
    pub(super) fn secret_files(&mut self) -> Vec<PathBuf> {
        secrets::files(&mut self.merged, &self.origins)
    }

    /// The merged settings.
    pub(super) fn table(&self) -> Table {
        self.merged.clone()
    }

    /// Source of `key`, or of the nearest table around it.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.origins.of(key)
    }

    /// Source of each key.
    pub(super) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Sets one key from text, parsed in the type of its default: `8` may be a number or a name.
    fn text(&mut self, origin: Origin, key: &str, text: &str) -> Result<(), ConfigError> {
        let Some(slot) = slot(&mut self.merged, key) else {
            return Err(ConfigError::layer(
                origin,
                format!("there is no setting {key:?}; `roomful default-config` lists all"),
            ));
        };
        *slot = value_like(slot, text).map_err(|what| ConfigError::key(origin.clone(), key, what))?;
        self.origins.set(key, origin);
        Ok(())
    }
}

fn parse(text: &str, origin: &Origin) -> Result<Table, ConfigError> {
    text.parse::<Table>().map_err(|error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        ConfigError::layer(origin.clone(), format!("line {line}: {}", error.message()))
    })
}

fn merge(below: &mut Table, above: Table, path: &str, set: &mut impl FnMut(&str)) {
    for (name, value) in above {
        let key = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match (below.get_mut(&name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above, &key, set),
            (_, value) => {
                set(&key);
                below.insert(name, value);
            }
        }
    }
}

/// The value at a dotted `key`; `None` if there is none, or if it is a table.
fn slot<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let (name, rest) = key
        .split_once('.')
        .map_or((key, None), |(name, rest)| (name, Some(rest)));
    match (table.get_mut(name)?, rest) {
        (Value::Table(table), Some(rest)) => slot(table, rest),
        (Value::Table(_), None) | (_, Some(_)) => None,
        (value, None) => Some(value),
    }
}

fn value_like(default: &Value, text: &str) -> Result<Value, String> {
    match default {
        Value::Boolean(_) => match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok(Value::Boolean(true)),
            "off" | "false" | "no" | "0" => Ok(Value::Boolean(false)),
            _ => Err(format!("{text:?} is neither \"on\" nor \"off\"")),
        },
        Value::Integer(_) => text
            .trim()
            .parse()
            .map(Value::Integer)
            .map_err(|_| format!("{text:?} is not a whole number")),
        Value::Array(_) if text.trim_start().starts_with('[') => format!("list = {text}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("list"))
            .ok_or_else(|| "this is not a TOML list; write it like [\"a\", \"b\"]".to_owned()),
        Value::Array(_) => Ok(Value::Array(
            text.split(',')
                .map(|item| Value::String(item.trim().into()))
                .collect(),
        )),
        _ => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str =
        "listen = \"a\"\n[limits]\nrates = true\ntext = \"16KB\"\nmentions = 50\n[http]\norigins = []\n";

    fn with_env(pairs: &[(&str, &str)]) -> Result<Layers, ConfigError> {
        let mut layers = Layers::new(DEFAULTS).unwrap();
        layers.env(
            pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned())),
        )?;
        Ok(layers)
    }

    #[test]
    fn a_variable_is_read_in_the_type_of_its_default() {
        let layers = with_env(&[
            ("ROOMFUL_LIMITS", "off"),
            ("ROOMFUL__LIMITS__MENTIONS", "7"),
            ("ROOMFUL__LIMITS__TEXT", "8"),
            ("ROOMFUL__HTTP__ORIGINS", "https://a, https://b"),
        ]);
        let expected = "listen = \"a\"\n[limits]\nrates = false\ntext = \"8\"\nmentions = \
            7\n[http]\norigins = [\"https://a\", \"https://b\"]\n";
        assert_eq!(layers.unwrap().table(), expected.parse::<Table>().unwrap());
    }

    #[test]
    fn the_origin_is_the_last_that_set_the_key() {
        let mut layers = with_env(&[("ROOMFUL_LISTEN", "b"), ("ROOMFUL__LIMITS__TEXT", "8KB")]).unwrap();
        layers.flag("--listen", "listen", "c").unwrap();
        assert_eq!(layers.origin("listen"), Origin::Flag("--listen"));
        assert_eq!(
            layers.origin("limits.text"),
            Origin::Env("ROOMFUL__LIMITS__TEXT".into())
        );
        assert_eq!(layers.origin("limits.mentions"), Origin::Default);
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        assert_eq!(
            with_env(&[("ROOMFUL_LISTEN", "")]).unwrap().origin("listen"),
            Origin::Default
        );
    }

    #[test]
    fn unknown_keys_and_unparsable_values_are_errors() {
        for (name, text) in [
            ("ROOMFUL__LIMITS__TXT", "1"),
            ("ROOMFUL__LIMITS", "1"),
            ("ROOMFUL__LISTEN__PORT", "1"),
            ("ROOMFUL__LIMITS__MENTIONS", "many"),
            ("ROOMFUL_LIMITS", "perhaps"),
            ("ROOMFUL__HTTP__ORIGINS", "[\"a\""),
        ] {
            let error = with_env(&[(name, text)]).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("environment variable {name}: ")),
                "{error}"
            );
        }
    }
}
