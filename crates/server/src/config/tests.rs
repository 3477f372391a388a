//! Tests of the order of sources and of the error line for each kind of mistake.

use std::{fs, time::Duration};

use super::*;

fn from_file(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roomful.toml");
    fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    Config::load(sources).map_err(|error| {
        error
            .to_string()
            .replace(&format!("{}/", folder.path().display()), "")
    })
}

fn from_env(name: &str, text: &str) -> Result<Config, String> {
    let sources = Sources {
        env: vec![(name.into(), text.into())],
        ..Sources::default()
    };
    Config::load(sources).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = Config::load(Sources::default()).unwrap();
    assert_eq!(config.listen, "127.0.0.1:3000");
    assert_eq!(config.store_url(), "sqlite:./data/roomful.db");
    assert_eq!(config.socket.ping_interval.0, Duration::from_secs(25));
    assert_eq!(config.socket.ping_timeout.0, Duration::from_secs(20));
    assert_eq!(config.socket.max_payload.0, 100 * 1024);
    assert_eq!(config.limits.text.0, 16 * 1024);
    assert_eq!(
        (config.limits.events_per_second, config.limits.events_burst),
        (20, 40)
    );
    assert_eq!(config.limits.rooms_per_socket, 200);
    assert_eq!(config.history.max_messages, 10_000);
    assert_eq!(config.history.max_age.0, Duration::from_hours(90 * 24));
    assert_eq!(config.typing.interval.0, Duration::from_secs(2));
    assert_eq!(config.typing.timeout.0, Duration::from_secs(6));
    assert_eq!(config.presence.grace.0, Duration::from_secs(5));
    assert!(config.limits.rates && !config.dev.enabled && config.auth.secret.expose().is_none());
}

#[test]
fn later_sources_win() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roomful.toml");
    fs::write(
        &path,
        "listen = \"127.0.0.1:1\"\ndata = \"/file\"\n[limits]\nmentions = 1\n",
    )
    .unwrap();
    let config = Config::load(Sources {
        file: Some(path),
        env: vec![
            ("ROOMFUL_LISTEN".into(), "127.0.0.1:2".into()),
            ("ROOMFUL__LIMITS__MENTIONS".into(), "2".into()),
        ],
        flags: vec![("--listen", "listen", "127.0.0.1:3".into())],
    });
    let config = config.unwrap();
    assert_eq!(
        (config.listen.as_str(), config.limits.mentions),
        ("127.0.0.1:3", 2)
    );
    assert_eq!(config.data, Path::new("/file"));
}

/// Each row: a mistake in a file, and the start of its error line.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of wrong settings")]
fn an_invalid_file_gets_a_one_line_error() {
    let lines = [
        (
            "listen = ",
            "line 1: string values must be quoted, expected literal string",
        ),
        ("liste = \"x:1\"", "liste: unknown field `liste`"),
        ("[limits]\ntxt = 1", "limits.txt: unknown field `txt`"),
        (
            "[limits]\nmentions = \"x\"",
            "limits.mentions: invalid type: string \"x\", expected usize",
        ),
        (
            "[limits]\nmentions = -1",
            "limits.mentions: invalid value: integer `-1`, expected usize",
        ),
        (
            "[limits]\ntext = \"16XB\"",
            "limits.text: \"16XB\" is not a size;",
        ),
        (
            "[limits]\nevents_burst = 0",
            "limits.events_burst: 0 is out of bounds; use 1 to 1000000",
        ),
        (
            "[socket]\nping_interval = 25",
            "socket.ping_interval: invalid type: integer `25`, expected a duration",
        ),
        (
            "[socket]\nping_interval = \"1ms\"",
            "socket.ping_interval: 1ms is out of bounds; use 100ms to 10m",
        ),
        (
            "[http]\norigins = [\"https://a/b\"]",
            "http.origins: \"https://a/b\" is not an origin;",
        ),
        (
            "[http]\ntrusted_proxies = [\"10.0.0.0\"]",
            "http.trusted_proxies: \"10.0.0.0\" is not a network; write an address and the length",
        ),
        (
            "[http]\ntrusted_proxies = [\"127.0.0.1/99\"]",
            "http.trusted_proxies: \"127.0.0.1/99\" is not a network;",
        ),
        (
            "[http]\nassets_url = \"//cdn\"",
            "http.assets_url: \"//cdn\" is not a URL prefix;",
        ),
        (
            "[auth]\nsecret = \"short\"",
            "auth.secret: has 5 bytes and must have at least 32;",
        ),
        (
            "[[auth.keys]]\nalgorithm = \"none\"",
            "auth.keys[0].algorithm: unknown variant `none`, expected one of `HS256`",
        ),
        (
            "[[auth.keys]]\nalgorithm = \"RS256\"",
            "auth.keys: an RS256, ES256 or EdDSA key needs a public_key_file",
        ),
        (
            "[store]\nurl = \"mysql://u:hunter2@h/d\"",
            "store.url: no store for `mysql:` in this build;",
        ),
        (
            "[store]\nurl = \"postgres://u:hunter2@h\"",
            "store.url: it names no database; write postgres://user:password@host/database",
        ),
        (
            "[store]\nurl = \"postgres://u:hunter2@h/d?sslmode=on\"",
            "store.url: its sslmode is none of disable, prefer, require and verify-full",
        ),
        (
            "[bus]\nurl = \"nats://h\"",
            "bus.url: the URL of the bus must begin with",
        ),
        (
            "[[streams]]\nurl = \"http://u:hunter2@h\"\nkey = \"k\"\nevents = []",
            "streams: entry 1: url must be a redis: or rediss: URL such as",
        ),
        (
            "[[streams]]\nurl = \"rediss://u:hunter2@h/#insecure\"\nkey = \"k\"\nevents = []",
            "streams: entry 1: url must be a redis: or rediss: URL such as",
        ),
        (
            "[[streams]]\nurl = \"redis://h\"\nkey = \"\"\nevents = []",
            "streams: entry 1: the key must have 1 to 512 bytes",
        ),
        (
            "[[streams]]\nurl = \"redis://h\"\nkey = \"k\"\nevents = []\nmax_len = 0",
            "streams: entry 1: max_len is out of bounds; use 1 to 1000000000",
        ),
        (
            "[[streams]]\nurl = \"redis://h\"\nkey = \"k\"\nevents = [\"room.burnt\"]",
            "streams: entry 1: there is no event \"room.burnt\"; the events are message.created,",
        ),
        (
            "[[streams]]\nurl = \"redis://h\"\nkey = \"k\"\nevents = []\n\
             [[streams]]\nurl = \"redis://i\"\nkey = \"k\"\nevents = []",
            "streams: entry 2: two have the name \"k\"; give each its own",
        ),
        (
            "[log]\nfilter = \"loud\"",
            "log.filter: \"loud\" is not a filter;",
        ),
        (
            "listen = \"0.0.0.0:1\"\n[dev]\nenabled = true",
            "listen: dev mode lets anyone sign in, and other machines can reach \"0.0.0.0:1\"",
        ),
    ];
    assert_one_line_errors(&lines);
}

#[test]
fn an_invalid_hook_gets_a_one_line_error() {
    let url = "url = \"https://hunter2.example\"";
    let hook = |fields: &str| {
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]);
        format!("[[hooks]]\n{url}\nsecret = \"whsec_{key}\"\n{fields}\n")
    };
    let join = hook("event = \"room.join\"");
    let spam = hook("event = \"room.join\"\nname = \"spam\"");
    let table = [
        (
            hook("event = \"message.sent\""),
            "hooks: entry 1: there is no event \"message.sent\"; \
             the events are message.send, room.join, connect",
        ),
        (
            format!("{spam}{spam}"),
            "hooks: entry 2: two have the name \"spam\"; give each its own",
        ),
        (
            hook("event = \"connect\"\nrooms = [\"*\"]"),
            "hooks: entry 1: a hook for connect has no rooms; remove them",
        ),
        (
            hook("event = \"connect\"\ntimeout = \"1m\""),
            "hooks: entry 1: timeout 1m is out of bounds; use 10ms to 15s",
        ),
        (
            hook("event = \"connect\"\non_failure = \"ignore\""),
            "hooks[0].on_failure: unknown variant `ignore`, expected `allow` or `refuse`",
        ),
        (
            join.replace("https", "ftp"),
            "hooks: entry 1: url must be an http: or https: URL",
        ),
        (
            join.replace("whsec_", "secret_"),
            "hooks: entry 1: a secret must be \"whsec_\" and base64 of 24 to 64 bytes;",
        ),
    ];
    let table: Vec<_> = table.iter().map(|(text, error)| (&**text, *error)).collect();
    assert_one_line_errors(&table);
}

#[test]
fn hooks_without_a_name_get_one_each() {
    let hook = |fields: &str| {
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]);
        format!("[[hooks]]\nurl = \"https://a.example\"\nsecret = \"whsec_{key}\"\n{fields}\n")
    };
    let [send, connect] = ["message.send", "connect"].map(|event| hook(&format!("event = {event:?}")));
    let taken = hook("event = \"message.send\"\nname = \"message.send-2\"");
    let config = from_file(&format!("{send}{connect}{send}{taken}{send}")).unwrap();
    let expected = [
        "message.send",
        "connect",
        "message.send-3",
        "message.send-2",
        "message.send-4",
    ];
    let of_settings = Config::of(&config.flat).unwrap();
    for config in [config, of_settings] {
        let names: Vec<_> = config.hooks.iter().map(Hook::name).collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn tls_needs_both_files_and_a_single_node() {
    assert_one_line_errors(&[
        (
            "[http.tls]\ncert = \"c.pem\"",
            "http.tls.cert: is set, but http.tls.key is empty;",
        ),
        (
            "[http.tls]\nkey = \"k.pem\"",
            "http.tls.key: is set, but http.tls.cert is empty;",
        ),
        (
            "[bus]\nurl = \"redis://h\"\n[http.tls]\ncert = \"c.pem\"\nkey = \"k.pem\"",
            "http.tls.cert: the nodes of a cluster send requests to each other over plain HTTP;",
        ),
    ]);
}

#[test]
fn an_invalid_store_url_gets_a_one_line_error_without_the_password() {
    assert_one_line_errors(&[
        (
            "[store]\nurl = \"mysql://u:hunter2@h/d\"",
            "store.url: no store for `mysql:` in this build;",
        ),
        (
            "[store]\nurl = \"postgres://u:hunter2@h\"",
            "store.url: it names no database; write postgres://user:password@host/database",
        ),
        (
            "[store]\nurl = \"postgres://u:hunter2@h/d?sslmode=on\"",
            "store.url: its sslmode is none of disable, prefer, require and verify-full",
        ),
    ]);
}

fn assert_one_line_errors(lines: &[(&str, &str)]) {
    for (text, expected) in lines {
        let line = from_file(text).expect_err(text);
        assert!(
            line.starts_with(&format!("file roomful.toml: {expected}")),
            "{text:?}\n got: {line}"
        );
        assert!(!line.contains('\n') && !line.contains("hunter2"), "{line:?}");
    }
}

#[test]
fn an_error_names_the_variable_or_flag() {
    let line = from_env("ROOMFUL_LISTEN", "nowhere").unwrap_err();
    assert!(
        line.starts_with("environment variable ROOMFUL_LISTEN: listen: \"nowhere\" is not an address"),
        "{line}"
    );
    let line = from_env("ROOMFUL_AUTH_SECRET", "hunter2").unwrap_err();
    assert!(
        line.starts_with("environment variable ROOMFUL_AUTH_SECRET: auth.secret: ")
            && !line.contains("hunter2")
    );
    let line = from_env("ROOMFUL_LIMITS", "maybe").unwrap_err();
    assert_eq!(
        line,
        "environment variable ROOMFUL_LIMITS: limits.rates: \"maybe\" is neither \"on\" nor \"off\""
    );
    let flags = vec![("--listen", "listen", "127.0.0.1:99999".to_owned())];
    let line = Config::load(Sources {
        flags,
        ..Sources::default()
    })
    .unwrap_err()
    .to_string();
    assert!(
        line.starts_with("flag --listen: listen: \"127.0.0.1:99999\" is not an address"),
        "{line}"
    );
}

#[test]
fn a_missing_file_gets_a_one_line_error() {
    let sources = Sources {
        file: Some("/no/such/file.toml".into()),
        ..Sources::default()
    };
    let line = Config::load(sources).unwrap_err().to_string();
    assert!(
        line.starts_with("file /no/such/file.toml: can't be read: "),
        "{line}"
    );
}

#[test]
fn valid_addresses_and_origins_are_accepted() {
    for listen in [
        "127.0.0.1:0",
        "[::1]:3000",
        "0.0.0.0:80",
        "localhost:3000",
        "chat.example.com:443",
    ] {
        from_env("ROOMFUL_LISTEN", listen).unwrap();
    }
    let config = from_env("ROOMFUL__HTTP__ASSETS_URL", "https://cdn.example.com/roomful/").unwrap();
    assert_eq!(config.http.assets_origin(), Some("https://cdn.example.com"));
    assert!(
        from_env(
            "ROOMFUL__HTTP__ASSETS_URL",
            "https://cdn.example.com/\"><script>/"
        )
        .is_err()
    );
    from_env(
        "ROOMFUL__HTTP__ORIGINS",
        "https://a.example,http://localhost:5173",
    )
    .unwrap();
}

#[test]
fn secrets_with_stray_whitespace_are_errors() {
    let key = "0123456789abcdef0123456789abcdef";
    for (variable, setting) in [
        ("ROOMFUL_AUTH_SECRET", "auth.secret"),
        ("ROOMFUL_API_KEY", "api.key"),
        ("ROOMFUL__CLUSTER__SECRET", "cluster.secret"),
    ] {
        from_env(variable, key).unwrap();
        for (text, expected) in [
            (format!("{key}\n"), "ends with a newline; remove it"),
            (format!("{key}\r\n"), "ends with a newline; remove it"),
            (format!(" {key}"), "has whitespace at its start or end; remove it"),
            (
                format!("{key}\n{key}"),
                "contains a newline or another control character;",
            ),
        ] {
            let line = from_env(variable, &text).unwrap_err();
            let expected = format!("environment variable {variable}: {setting}: {expected}");
            assert!(line.starts_with(&expected), "{text:?}: {line}");
            assert!(!line.contains(key), "{line}");
        }
    }
    let line = from_file(&format!(
        "[[webhooks]]\nurl = \"https://a.example\"\nsecret = \"{key} \"\nevents = []"
    ));
    assert!(
        line.unwrap_err()
            .starts_with("file roomful.toml: webhooks[0].secret: has whitespace")
    );
}

#[test]
fn weak_secrets_are_errors() {
    for (variable, text, expected) in [
        ("ROOMFUL_API_KEY", "a", "has 1 bytes and must have at least 16"),
        ("ROOMFUL_API_KEY", "aaaaaaaaaaaaaaaaaaaa", "repeats one character"),
        (
            "ROOMFUL_AUTH_SECRET",
            "00000000000000000000000000000000",
            "repeats one character",
        ),
        (
            "ROOMFUL__AUTH__SECOND_SECRET",
            "short",
            "has 5 bytes and must have at least 32",
        ),
        (
            "ROOMFUL__CLUSTER__SECOND_SECRET",
            "short",
            "has 5 bytes and must have at least 16",
        ),
    ] {
        let line = from_env(variable, text).unwrap_err();
        assert!(line.contains(expected), "{variable}: {line}");
    }
}

#[test]
fn secrets_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let key = "0123456789abcdef0123456789abcdef";
    let webhook = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    for (name, text) in [
        ("key", format!("{key}\n")),
        ("url", "postgres://u:p@h/d\r\n".to_owned()),
        ("webhook", webhook.to_owned()),
        ("empty", "\n".to_owned()),
        ("lines", format!("{key}\n{key}\n")),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let path = |name: &str| folder.path().join(name).display().to_string();
    let key_path = path("key");

    let config = from_env("ROOMFUL_AUTH_SECRET_FILE", &key_path).unwrap();
    assert_eq!(config.auth.secret.expose(), Some(key));
    let config = from_env("ROOMFUL__API__SECOND_KEY_FILE", &key_path).unwrap();
    let secrets: Vec<_> = config.api.keys().into_iter().map(|(key, _)| key).collect();
    assert_eq!(secrets, [key]);
    let config = from_env("ROOMFUL_STORE_URL_FILE", &path("url")).unwrap();
    assert_eq!(config.store_url(), "postgres://u:p@h/d");
    let text = format!(
        "[[webhooks]]\nurl = \"https://a.example\"\nsecret_file = {:?}\nevents = []\n\
         [[auth.keys]]\nalgorithm = \"HS256\"\nsecret_file = {key_path:?}\n\
         [[api.keys]]\nname = \"a\"\nsecret_file = {key_path:?}\nscopes = [\"moderation\"]\n",
        path("webhook")
    );
    let config = from_file(&text).unwrap();
    assert_eq!(config.webhooks[0].keys().unwrap(), [key.as_bytes()]);
    assert_eq!(config.auth.keys[0].secret.expose(), Some(key));
    assert_eq!(config.api.keys[0].secret.expose(), Some(key));

    for (text, expected) in [
        (
            format!("[api]\nkey_file = {:?}", path("missing")),
            "api.key: failed to read the file: ",
        ),
        (
            "[api]\nkey_file = \"/dev/zero\"".to_owned(),
            "api.key: failed to read the file: it has more than 64 KiB",
        ),
        (
            format!("[api]\nkey_file = {:?}", path("empty")),
            "api.key: the file is empty",
        ),
        (
            format!("[api]\nkey_file = {:?}", path("lines")),
            "api.key: contains a newline",
        ),
        (
            format!("[api]\nkey = {key:?}\nkey_file = {key_path:?}"),
            "api.key_file: is set beside api.key; set only one of them",
        ),
        (
            format!("[[auth.keys]]\nalgorithm = \"HS256\"\nsecret = {key:?}\nsecret_file = {key_path:?}"),
            "auth.keys[0].secret_file: is set beside auth.keys[0].secret; set only one of them",
        ),
        (
            "[api]\nkey_file = 1".to_owned(),
            "api.key_file: must be the path of a file",
        ),
    ] {
        let line = from_file(&text).unwrap_err();
        assert!(line.contains(expected), "{text:?}\n got: {line}");
    }
}

#[test]
fn a_key_of_the_api_needs_a_name_a_secret_and_known_scopes() {
    let entry = |name: &str, secret: &str, scopes: &str| {
        format!("[[api.keys]]\nname = {name:?}\nsecret = {secret:?}\nscopes = {scopes}\n")
    };
    let (one, two) = ("0123456789abcdef-1", "0123456789abcdef-2");
    let good = entry("a", one, "[\"rooms:read\", \"admin\"]") + &entry("b", two, "[]");
    assert_eq!(from_file(&good).unwrap().api.keys.len(), 2);
    let long = "x".repeat(65);
    for (text, expected) in [
        (entry("", one, "[]"), "no name"),
        (entry("a b", one, "[]"), "no name"),
        (entry("key:a", one, "[]"), "no name"),
        (entry(&long, one, "[]"), "no name"),
        (entry("a", "", "[]"), "no secret"),
        (entry("a", "short", "[]"), "bytes"),
        (entry("a", "0000000000000000000", "[]"), "repeats"),
        (entry("a", one, "[\"rooms\"]"), "no scope"),
        (entry("a", one, "[\"rooms:read\", \"Admin\"]"), "no scope"),
        (entry("a", one, "[]") + &entry("a", two, "[]"), "same name"),
        (entry("a", one, "[]") + &entry("b", one, "[]"), "same secret"),
    ] {
        let error = from_file(&text).unwrap_err();
        assert!(
            error.contains(expected) && error.contains("api"),
            "{text}: {error}"
        );
    }
}
