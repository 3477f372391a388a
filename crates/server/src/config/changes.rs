//! All settings by key, for comparing two configurations.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{error::Origin, origins::Origins};

/// All settings by their dotted keys, with their sources. A list is one value. Contains secrets, so it has no
/// debug output.
#[derive(Clone, Default)]
pub(crate) struct FlatSettings {
    values: BTreeMap<String, Value>,
    origins: Origins,
}

impl std::fmt::Debug for FlatSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FlatSettings({} keys)", self.values.len())
    }
}

impl FlatSettings {
    /// The leaves of `settings`.
    pub(super) fn new(settings: Table, origins: Origins) -> Self {
        let mut values = BTreeMap::new();
        flatten("", settings, &mut values);
        FlatSettings { values, origins }
    }

    /// The settings as a table of tables.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new();
        for (key, value) in &self.values {
            unflatten(&mut table, key, value);
        }
        table
    }

    /// The value of one key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Source of `key`, or of the list around it.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.origins.of(key)
    }

    /// All keys in alphabetical order.
    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Keys whose values differ between `self` and `other`, in alphabetical order.
    pub(crate) fn changed_keys(&self, other: &FlatSettings) -> Vec<String> {
        let keys = self.values.keys().chain(other.values.keys());
        let changed = keys.filter(|key| self.get(key) != other.get(key));
        let mut keys: Vec<String> = changed.cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Takes over the value of one key and its source from `other`.
    pub(crate) fn adopt(&mut self, key: &str, other: &FlatSettings) {
        match other.get(key) {
            Some(value) => self.values.insert(key.to_owned(), value.clone()),
            None => self.values.remove(key),
        };
        self.origins.adopt(key, &other.origins);
    }

    /// True if the tables of the list `key` differ in `fields` only.
    pub(crate) fn differ_only_in(&self, other: &FlatSettings, key: &str, fields: &[&str]) -> bool {
        self.without(key, fields) == other.without(key, fields)
    }

    fn without(&self, key: &str, fields: &[&str]) -> Option<Vec<Value>> {
        let mut entries = self.get(key)?.as_array()?.clone();
        for table in entries.iter_mut().filter_map(Value::as_table_mut) {
            for field in fields {
                table.remove(*field);
            }
        }
        Some(entries)
    }
}

fn flatten(path: &str, table: Table, into: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = if path.is_empty() {
            name
        } else {
            format!("{path}.{name}")
        };
        match value {
            Value::Table(table) => flatten(&key, table, into),
            value => {
                into.insert(key, value);
            }
        }
    }
}

fn unflatten(table: &mut Table, key: &str, value: &Value) {
    let Some((section, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value.clone());
        return;
    };
    let entry = table.entry(section).or_insert_with(|| Table::new().into());
    if let Some(inner) = entry.as_table_mut() {
        unflatten(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> FlatSettings {
        FlatSettings::new(text.parse().unwrap(), Origins::default())
    }

    #[test]
    fn a_table_survives_being_flattened() {
        let text = "a = 1\n[s]\nb = [1]\n[s.t]\nc = \"x\"\n";
        assert_eq!(flat(text).table(), text.parse().unwrap());
    }

    #[test]
    fn an_adopted_value_brings_its_source() {
        let from = |origin: &Origin| {
            let mut origins = Origins::default();
            for key in ["a", "w", "w[0].secret"] {
                origins.set(key, origin.clone());
            }
            FlatSettings::new("a = 1\nw = []".parse().unwrap(), origins)
        };
        let (old, new) = (Origin::Env("OLD".into()), Origin::Flag("--new"));
        let mut settings = from(&old);
        settings.adopt("w", &from(&new));
        assert_eq!(settings.origin("a"), old);
        assert_eq!(settings.origin("w[0].secret"), new);
        assert_eq!(settings.origin("w[1].secret"), new);
        settings.adopt("w", &flat("a = 1\nw = []"));
        assert_eq!(settings.origin("w[0].secret"), Origin::Default);
    }

    #[test]
    fn changed_added_and_removed_keys_are_found() {
        let old = flat("a = 1\n[s]\nb = [1]\nc = \"x\"\n");
        let new = flat("[s]\nb = [1, 2]\nc = \"x\"\nd = 1\n");
        assert_eq!(old.changed_keys(&new), ["a", "s.b", "s.d"]);
        let mut adopted = old.clone();
        adopted.adopt("a", &new);
        adopted.adopt("s.b", &new);
        assert_eq!(adopted.changed_keys(&new), ["s.d"]);
    }

    #[test]
    fn lists_may_differ_in_some_fields_only() {
        let old = flat("[[w]]\nurl = \"u\"\nsecret = \"1\"\n");
        let rotated = flat("[[w]]\nurl = \"u\"\nsecret = \"2\"\nsecond = \"1\"\n");
        assert!(old.differ_only_in(&rotated, "w", &["secret", "second"]));
        assert!(!old.differ_only_in(&flat("[[w]]\nurl = \"v\"\nsecret = \"1\"\n"), "w", &["secret"]));
        assert!(!old.differ_only_in(&flat("w = []"), "w", &["secret"]));
    }
}
