//! The list of settings as operators read them: in the order of the reference, without secrets.

use http::Uri;
use toml::Value;

use super::{changes::FlatSettings, error::Origin, secrets};

/// Stands in place of a part of a URL that may be secret.
const HIDDEN: &str = "…";

/// A setting that an operator may see.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    /// The dotted key. Tables of a list have their index in it, as in `webhooks[0].name`.
    pub(crate) key: String,
    pub(crate) shown: Shown,
    pub(crate) origin: Origin,
}

/// What an operator may see of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shown {
    Value(Value),
    Secret { is_set: bool },
}

/// Lists `settings` in the order of `reference`, the text of `default.toml`.
pub(crate) fn listing(settings: &FlatSettings, reference: &str) -> Vec<Setting> {
    let mut listed = Vec::new();
    for key in keys(reference) {
        if let Some(value) = settings.get(&key) {
            add(&key, &key, value, settings, &mut listed);
        }
    }
    listed
}

/// The dotted keys of a TOML text with one line for each value, in its order.
fn keys(reference: &str) -> Vec<String> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in reference.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let dot = if section.is_empty() { "" } else { "." };
            keys.push(format!("{section}{dot}{name}"));
        }
    }
    keys
}

/// Adds a value, or the values that it contains. `name` is `key` without indices.
fn add(key: &str, name: &str, value: &Value, settings: &FlatSettings, listed: &mut Vec<Setting>) {
    match value {
        Value::Table(table) => {
            for (field, value) in table {
                let (key, name) = (format!("{key}.{field}"), format!("{name}.{field}"));
                add(&key, &name, value, settings, listed);
            }
        }
        Value::Array(entries) if entries.iter().any(Value::is_table) => {
            for (index, entry) in entries.iter().enumerate() {
                add(&format!("{key}[{index}]"), name, entry, settings, listed);
            }
        }
        value => listed.push(Setting {
            key: key.to_owned(),
            shown: shown(name, value),
            origin: settings.origin(key),
        }),
    }
}

/// What an operator may see of the value of `name`, a key without indices.
fn shown(name: &str, value: &Value) -> Shown {
    let text = value.as_str().unwrap_or_default();
    let secret = Shown::Secret {
        is_set: !text.is_empty(),
    };
    if !secrets::is_url(name) {
        let is_secret = secrets::is_secret_key(name);
        return if is_secret {
            secret
        } else {
            Shown::Value(value.clone())
        };
    }
    let url = public_part(text, secrets::has_secret_path(name));
    url.map_or(secret, |url| Shown::Value(Value::String(url)))
}

/// A URL without user, password and query, and without its path if that may be secret. `None` if the URL has
/// a form in which these are not certain.
fn public_part(url: &str, secret_path: bool) -> Option<String> {
    // Nothing, the path of a file, or a bare scheme such as `memory:`.
    if url.is_empty() || url.starts_with("sqlite:") || url.split_once(':')?.1.is_empty() {
        return Some(url.to_owned());
    }
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let (user, host) = match authority.rsplit_once('@') {
        Some((_, host)) => (format!("{HIDDEN}@"), host),
        // An unescaped slash in a password ends what the parser takes for the host.
        None if url.contains('@') => return None,
        None => (String::new(), authority),
    };
    let path = match uri.path() {
        "" | "/" => uri.path().to_owned(),
        _ if secret_path => format!("/{HIDDEN}"),
        path => path.to_owned(),
    };
    let query = uri.query().map(|_| format!("?{HIDDEN}")).unwrap_or_default();
    Some(format!("{}://{user}{host}{path}{query}", uri.scheme_str()?))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Config, DEFAULT_TEXT, Sources},
        *,
    };

    #[test]
    fn every_setting_is_listed_once_in_the_order_of_the_reference() {
        let config = Config::load(Sources::default()).unwrap();
        let listed = listing(&config.flat, DEFAULT_TEXT);
        let listed: Vec<_> = listed.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!(listed[..3], ["listen", "data", "webhooks"]);
        assert!(listed.contains(&"http.tls.handshake_timeout"));
        let mut sorted = listed.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, config.flat.keys().collect::<Vec<_>>());
    }

    /// Every key that can come from a file contains a secret, or a URL.
    #[test]
    fn no_secret_of_the_reference_is_shown() {
        let files = keys(DEFAULT_TEXT);
        let files = files.iter().filter_map(|key| key.strip_suffix("_file"));
        let mut secrets = 0;
        for key in files.filter(|key| *key != "bus.ca") {
            let value = Value::String("postgres://alice:hunter2@db/chat?key=hunter2".into());
            let seen = format!("{:?}", shown(key, &value));
            assert!(!seen.contains("hunter2"), "{key}: {seen}");
            secrets += 1;
        }
        assert_eq!(secrets, 9);
    }

    #[test]
    fn secrets_in_lists_are_not_shown() {
        let file = "
            [[webhooks]]
            url = \"https://app.example/hooks/hunter2?key=hunter2\"
            secret = \"hunter2\"
            second_secret = \"\"
            events = [\"message.created\"]
            [[hooks]]
            url = \"http://app.example:81/hunter2\"
            secret = \"hunter2\"
            [[streams]]
            url = \"rediss://user:hunter2@redis.example:6379/0\"
            key = \"events\"
            [auth]
            keys = [{ kid = \"a\", secret = \"hunter2\" }]
            issuers = [{ issuer = \"https://a.example\", jwks_url = \"https://a.example/k?key=hunter2\" }]
            [api]
            keys = [{ name = \"app\", secret = \"hunter2\", scopes = [\"admin\"] }]
        ";
        let settings = FlatSettings::new(file.parse().unwrap(), super::super::Origins::default());
        let listed = listing(&settings, DEFAULT_TEXT);
        assert!(!format!("{listed:?}").contains("hunter2"), "{listed:?}");
        let find = |key: &str| {
            let setting = listed.iter().find(|setting| setting.key == key);
            setting
                .unwrap_or_else(|| panic!("{key} is missing"))
                .shown
                .clone()
        };
        let text = |text: &str| Shown::Value(Value::String(text.to_owned()));
        for (key, expected) in [
            ("webhooks[0].url", text("https://app.example/…?…")),
            ("webhooks[0].secret", Shown::Secret { is_set: true }),
            ("webhooks[0].second_secret", Shown::Secret { is_set: false }),
            ("hooks[0].url", text("http://app.example:81/…")),
            ("streams[0].url", text("rediss://…@redis.example:6379/0")),
            ("streams[0].key", text("events")),
            ("auth.keys[0].secret", Shown::Secret { is_set: true }),
            ("auth.keys[0].kid", text("a")),
            ("auth.issuers[0].jwks_url", text("https://a.example/k?…")),
            ("api.keys[0].secret", Shown::Secret { is_set: true }),
        ] {
            assert_eq!(find(key), expected, "{key}");
        }
    }

    #[test]
    fn the_public_part_of_a_url_has_no_password() {
        for (url, expected) in [
            ("", Some("")),
            ("sqlite:", Some("sqlite:")),
            (
                "sqlite:///var/lib/roomful.db",
                Some("sqlite:///var/lib/roomful.db"),
            ),
            ("memory:", Some("memory:")),
            ("postgres://db.example/chat", Some("postgres://db.example/chat")),
            (
                "postgres://a:p@db.example:5432/chat?sslmode=x",
                Some("postgres://…@db.example:5432/chat?…"),
            ),
            ("postgres://a:12/34@db.example/chat", None),
            ("postgres://a:p?w@db.example/chat", None),
            ("postgres://a:p#w@db.example/chat", None),
            ("postgres:host=db password=p", None),
            ("no url", None),
        ] {
            assert_eq!(public_part(url, false).as_deref(), expected, "{url}");
        }
    }
}
