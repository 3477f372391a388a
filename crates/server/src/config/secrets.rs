//! Secrets in settings: reading them from `…_file` keys, and the check for stray whitespace.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{
    error::{ConfigError, Origin},
    origins::Origins,
};
use crate::bounded_file::{self, SECRET_BYTES};

/// Keys of secrets, and of URLs that may contain one. Each has a variant `<key>_file` that names a file.
const KEYS: [&str; 9] = [
    "store.url",
    "bus.url",
    "auth.secret",
    "auth.second_secret",
    "http.metrics_key",
    "api.key",
    "api.second_key",
    "cluster.secret",
    "cluster.second_secret",
];

/// The same for the tables of a list: the list, and its keys.
const LIST_KEYS: [(&str, &[&str]); 5] = [
    ("webhooks", &["url", "secret", "second_secret"]),
    ("hooks", &["url", "secret", "second_secret"]),
    ("streams", &["url"]),
    ("auth.keys", &["secret"]),
    ("api.keys", &["secret"]),
];

/// Lists whose URLs may have a key in their path.
const LISTS_WITH_SECRET_PATHS: [&str; 2] = ["webhooks", "hooks"];

/// Replaces every `…_file` key by the secret in that file, and checks all secrets. Removes the `…_file`
/// keys.
pub(super) fn resolve(settings: &mut Table, origins: &mut Origins) -> Result<(), ConfigError> {
    for key in KEYS {
        let Some((section, name)) = key.split_once('.') else {
            continue;
        };
        let Some(Value::Table(table)) = settings.get_mut(section) else {
            continue;
        };
        let both = origins.of_exactly(key).is_some();
        if let Some(file) = read_file_key(table, key, name, both, origins)? {
            origins.set(key, file);
        }
        check(table, name).map_err(|what| ConfigError::key(origins.of(key), key, what))?;
    }
    for (list, names) in LIST_KEYS {
        for (index, table) in tables(settings, list).into_iter().enumerate() {
            for name in names {
                let key = format!("{list}[{index}].{name}");
                let both = table.contains_key(*name);
                if let Some(file) = read_file_key(table, &key, name, both, origins)? {
                    origins.set(&key, file);
                }
                check(table, name).map_err(|what| ConfigError::key(origins.of(list), key, what))?;
            }
        }
    }
    Ok(())
}

/// The files that contain secrets: the user's file, and those of `…_file` keys.
pub(super) fn files(settings: &mut Table, origins: &Origins) -> Vec<PathBuf> {
    let mut keys: Vec<String> = Vec::new();
    for key in KEYS {
        let (section, name) = key.split_once('.').unwrap_or_default();
        let table = settings.get(section).and_then(Value::as_table);
        if table.is_some_and(|table| is_secret(table, name)) {
            keys.push(key.to_owned());
        }
    }
    for (list, names) in LIST_KEYS {
        for (index, table) in tables(settings, list).into_iter().enumerate() {
            let secret = names.iter().filter(|name| is_secret(table, name));
            keys.extend(secret.map(|name| format!("{list}[{index}].{name}")));
        }
    }
    let mut files: Vec<_> = keys
        .iter()
        .filter_map(|key| match origins.of(key) {
            Origin::File(path) => Some(path),
            _ => None,
        })
        .collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// True if the key has a value that must stay secret. Many URLs contain none: they have no user.
fn is_secret(table: &Table, name: &str) -> bool {
    let value = table.get(name).and_then(Value::as_str).unwrap_or_default();
    !value.is_empty() && (name != "url" || value.contains('@'))
}

/// True if the value of `key` must stay secret. The key has no indices: `webhooks.secret`.
pub(super) fn is_secret_key(key: &str) -> bool {
    let in_list = |(list, names): &(&str, &[&str])| {
        let name = key.strip_prefix(list).and_then(|rest| rest.strip_prefix('.'));
        name.is_some_and(|name| names.contains(&name))
    };
    KEYS.contains(&key) || LIST_KEYS.iter().any(in_list)
}

/// True if the value of `key` is a URL. Parts of it may be secret.
pub(super) fn is_url(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or_default();
    name == "url" || name.ends_with("_url")
}

/// True if the value of `key` is a URL whose path may be secret.
pub(super) fn has_secret_path(key: &str) -> bool {
    let (list, _) = key.split_once('.').unwrap_or_default();
    LISTS_WITH_SECRET_PATHS.contains(&list)
}

/// The tables of a list in the settings, by its dotted key.
fn tables<'a>(settings: &'a mut Table, list: &str) -> Vec<&'a mut Table> {
    let value = match list.split_once('.') {
        Some((section, name)) => settings
            .get_mut(section)
            .and_then(Value::as_table_mut)
            .and_then(|section| section.get_mut(name)),
        None => settings.get_mut(list),
    };
    let values = value.and_then(Value::as_array_mut).into_iter().flatten();
    values.filter_map(Value::as_table_mut).collect()
}

/// Replaces the key `<name>_file` of a table by `name`, with the content of the file. Returns the file if
/// there is one.
fn read_file_key(
    table: &mut Table,
    key: &str,
    name: &str,
    both: bool,
    origins: &Origins,
) -> Result<Option<Origin>, ConfigError> {
    let file_key = format!("{key}_file");
    let path = match table.remove(&format!("{name}_file")) {
        None => return Ok(None),
        Some(Value::String(path)) if path.is_empty() => return Ok(None),
        Some(Value::String(path)) => path,
        Some(_) => {
            let what = "must be the path of a file, as a string";
            return Err(ConfigError::key(origins.of(&file_key), file_key, what));
        }
    };
    if both {
        let what = format!("is set beside {key}; set only one of them");
        return Err(ConfigError::key(origins.of(&file_key), file_key, what));
    }
    let file = Origin::File(path.clone().into());
    let secret = read(Path::new(&path)).map_err(|what| ConfigError::key(file.clone(), key, what))?;
    table.insert(name.to_owned(), Value::String(secret));
    Ok(Some(file))
}

/// The content of a secret's file, without the newline that editors and `echo` append.
fn read(path: &Path) -> Result<String, String> {
    let text = bounded_file::read_text(path, SECRET_BYTES)
        .map_err(|error| format!("failed to read the file: {error}"))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err("the file is empty".to_owned());
    }
    Ok(secret.to_owned())
}

/// Rejects whitespace at the ends, and control characters. They slip in from a file or a shell. The peer's
/// copy lacks them, so the server would refuse every token or key.
fn check(table: &Table, name: &str) -> Result<(), &'static str> {
    let secret = table.get(name).and_then(Value::as_str).unwrap_or_default();
    if secret.ends_with(['\r', '\n']) {
        return Err("ends with a newline; remove it");
    }
    if secret.trim() != secret {
        return Err("has whitespace at its start or end; remove it");
    }
    if secret.chars().any(char::is_control) {
        return Err("contains a newline or another control character; it must be one line");
    }
    Ok(())
}
