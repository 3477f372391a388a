//! Comparison of two configurations, key by key.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// All settings by their dotted keys. A list is one value. Contains secrets, so it has no debug output.
#[derive(Clone, Default)]
pub(crate) struct FlatSettings(BTreeMap<String, Value>);

impl std::fmt::Debug for FlatSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FlatSettings({} keys)", self.0.len())
    }
}

impl FlatSettings {
    /// The leaves of `settings`.
    pub(super) fn new(settings: Table) -> Self {
        let mut flat = BTreeMap::new();
        flatten("", settings, &mut flat);
        FlatSettings(flat)
    }

    /// Keys whose values differ between `self` and `other`, in alphabetical order.
    pub(crate) fn changed_keys(&self, other: &FlatSettings) -> Vec<String> {
        let keys = self.0.keys().chain(other.0.keys());
        let changed = keys.filter(|key| self.0.get(*key) != other.0.get(*key));
        let mut keys: Vec<String> = changed.cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Takes over the value of one key from `other`.
    pub(crate) fn adopt(&mut self, key: &str, other: &FlatSettings) {
        match other.0.get(key) {
            Some(value) => self.0.insert(key.to_owned(), value.clone()),
            None => self.0.remove(key),
        };
    }

    /// True if the tables of the list `key` differ in `fields` only.
    pub(crate) fn differ_only_in(&self, other: &FlatSettings, key: &str, fields: &[&str]) -> bool {
        self.without(key, fields) == other.without(key, fields)
    }

    fn without(&self, key: &str, fields: &[&str]) -> Option<Vec<Value>> {
        let mut entries = self.0.get(key)?.as_array()?.clone();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> FlatSettings {
        FlatSettings::new(text.parse().unwrap())
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
