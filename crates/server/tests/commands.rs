//! Tests of the binary's commands: stdout, stderr and exit code.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail the test")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// Runs the binary in `folder`, without the caller's `ROOMFUL_…` variables.
fn roomful(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomful"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROOMFUL")) {
        command.env_remove(name);
    }
    command
        .args(args)
        .envs(env.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Creates a store as a server does, and closes it.
fn create_store(database: &Path) {
    let url = format!("sqlite:{}", database.display());
    let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.close());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The error of the JSON line with which a log without a terminal ends.
fn fatal_error(log: &str) -> String {
    let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "ERROR", "{log}");
    line["error"].as_str().unwrap().to_owned()
}

/// Header and claims of a token, which must be the only output.
fn read_token(output: &Output) -> (Value, Value) {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let token = text(&output.stdout);
    let parts: Vec<&str> = token.strip_suffix('\n').unwrap().split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (read(parts[0]), read(parts[1]))
}

#[test]
fn default_config_is_a_valid_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let output = roomful(folder.path(), &["default-config"], &[]);
    assert!(output.status.success(), "{output:?}");
    fs::write(folder.path().join("roomful.toml"), &output.stdout).unwrap();
    let output = roomful(folder.path(), &["check-config", "--config", "roomful.toml"], &[]);
    assert!(output.status.success(), "{output:?}");
    let output_text = text(&output.stdout);
    assert!(
        output_text.starts_with("The configuration is valid: listen 127.0.0.1:3000, data ./data;"),
        "{output_text}"
    );
    assert!(
        !folder.path().join("data").exists(),
        "check-config must not create files"
    );
    let output = roomful(
        folder.path(),
        &["check-config"],
        &[("ROOMFUL_LISTN", "127.0.0.1:1")],
    );
    let output_text = text(&output.stdout);
    assert!(
        output_text.starts_with("warning: the environment variable ROOMFUL_LISTN is not a setting\n"),
        "{output_text}"
    );
}

#[test]
fn an_invalid_value_gets_a_one_line_error_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.toml"), "[limits]\ntext = \"lots\"\n").unwrap();
    fs::write(folder.path().join("unknown.toml"), "[limit]\n").unwrap();
    let bus = "[bus]\nurl = \"rediss://u:pw@h\"\n";
    fs::write(folder.path().join("tls.toml"), bus).unwrap();
    fs::write(folder.path().join("no.pem"), "no key").unwrap();
    let key = "[[auth.keys]]\nalgorithm = \"RS256\"\npublic_key_file = \"no.pem\"\n";
    fs::write(folder.path().join("key.toml"), key).unwrap();
    let cases: [(&[&str], (&str, &str), &str); 13] = [
        (
            &["--config", "bad.toml"],
            ("A", ""),
            "file bad.toml: limits.text: \"lots\" is not a size",
        ),
        (
            &["check-config", "--config", "unknown.toml"],
            ("A", ""),
            "file unknown.toml: limit: unknown field `limit`",
        ),
        (
            &["check-config", "--config", "none.toml"],
            ("A", ""),
            "file none.toml: can't be read",
        ),
        (
            &["check-config", "--config", "key.toml"],
            ("A", ""),
            "file no.pem: auth.keys: the key (no kid) for RS256",
        ),
        (
            &["serve", "--listen", "here"],
            ("A", ""),
            "flag --listen: listen: \"here\" is not an address",
        ),
        (
            &["serve"],
            ("ROOMFUL_LISTEN", "1"),
            "environment variable ROOMFUL_LISTEN: listen: ",
        ),
        (
            &["serve"],
            ("ROOMFUL_AUTH_SECRET", "short"),
            "environment variable ROOMFUL_AUTH_SECRET: auth.secret: ",
        ),
        (
            &["serve"],
            ("ROOMFUL_STORE_URL", "mysql://u:pw@h/d"),
            "environment variable ROOMFUL_STORE_URL: store.url: ",
        ),
        (
            &["serve"],
            ("ROOMFUL_BUS_URL", "nats://u:pw@h"),
            "environment variable ROOMFUL_BUS_URL: bus.url: ",
        ),
        (
            &["check-config"],
            ("ROOMFUL__CLUSTER__ADVERTISE", "http://foo"),
            "environment variable ROOMFUL__CLUSTER__ADVERTISE: cluster.advertise: ",
        ),
        (
            &["check-config", "--config", "tls.toml"],
            ("ROOMFUL__BUS__CA_FILE", "/nope"),
            "environment variable ROOMFUL__BUS__CA_FILE: bus.ca_file: failed to read /nope: ",
        ),
        (
            &["check-config"],
            (
                "ROOMFUL_STORE_URL",
                "postgres://u:pw@h/d?sslmode=verify-full&sslrootcert=/nope",
            ),
            "can't open the store: sslrootcert of store.url, /nope: ",
        ),
        (
            &["token", "--user", "a"],
            ("ROOMFUL__SOCKET__PING", "1s"),
            "environment variable ROOMFUL__SOCKET__PING: there is",
        ),
    ];
    for (args, env, expected) in cases {
        let output = roomful(folder.path(), args, &[env]);
        let line = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?} {env:?}: {line}");
        assert!(output.stdout.is_empty());
        let serves = !["check-config", "token"].contains(&args[0]);
        if serves {
            assert!(
                fatal_error(&line).starts_with(expected),
                "{args:?} {env:?}: {line}"
            );
        } else {
            assert!(
                line.starts_with(&format!("roomful: {expected}")),
                "{args:?} {env:?}: {line}"
            );
        }
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains("short") && !line.contains("pw"), "{line}");
    }
}

#[test]
fn token_prints_only_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let secret = [("ROOMFUL_AUTH_SECRET", "0123456789abcdef0123456789abcdef")];
    let args = [
        "token",
        "--user",
        "alice",
        "--name",
        "Alice",
        "--ttl",
        "15m",
        "--room",
        "room-*",
        "--room",
        "dm:alice:*",
    ];
    let (header, claims) = read_token(&roomful(folder.path(), &args, &secret));
    assert_eq!(header["alg"], "HS256");
    assert_eq!(
        (claims["sub"].as_str(), claims["name"].as_str()),
        (Some("alice"), Some("Alice"))
    );
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        15 * 60
    );
    assert_eq!(claims["rooms"], serde_json::json!(["room-*", "dm:alice:*"]));
    assert!(claims["jti"].is_string() && claims.get("roles").is_none());
    assert!(
        !folder.path().join("data").exists(),
        "with a configured secret no file is needed"
    );
}

#[test]
fn token_without_a_secret_generates_one_in_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = roomful(folder.path(), &["token", "--user", "bob"], &[]);
    let notice = text(&std::mem::take(&mut first.stderr));
    assert!(
        notice.lines().count() == 1 && notice.contains("generated a secret in "),
        "{notice}"
    );
    let (_, claims) = read_token(&first);
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        3600
    );
    assert!(claims.get("rooms").is_none() && claims.get("name").is_none());
    let secret = folder.path().join("data/auth.secret");
    let before = fs::read(&secret).unwrap();
    assert_eq!(secret.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    read_token(&roomful(folder.path(), &["token", "--user", "bob"], &[]));
    assert_eq!(fs::read(&secret).unwrap(), before);
}

/// Arguments and variables.
type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

#[test]
fn usage_errors_get_a_one_line_error_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let rows: [Row<'_>; 8] = [
        (&["token", "--user", "bob", "--ttl", "banana"], &[]),
        (&["token", "--user", "bob", "--ttl", "0s"], &[]),
        (&["token", "--user", "bob", "--ttl", "400d"], &[]),
        (&["token"], &[]),
        (&["serve", "--nonsense"], &[]),
        (&["serve"], &[("ROOMFUL_DATA", "/proc/nowhere")]),
        (&["check-config"], &[("ROOMFUL_STORE_URL", "sqlite::memory:")]),
        (&["serve"], &[("ROOMFUL_LISTEN", "no.such.host.invalid:1")]),
    ];
    for (args, env) in rows {
        let output = roomful(folder.path(), args, env);
        let output_text = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?} {env:?}: {output_text}");
        // A failed start is an error in the log's format, after the log lines.
        let errors = output_text.lines().filter(|line| {
            !line.starts_with('{') || serde_json::from_str::<Value>(line).unwrap()["level"] == "ERROR"
        });
        assert_eq!(errors.count(), 1, "{args:?} {env:?}: {output_text}");
    }
    let unset = roomful(folder.path(), &["check-config"], &[("ROOMFUL_CONFIG", "")]);
    assert!(
        unset.status.success(),
        "an empty variable counts as not set: {unset:?}"
    );
}

#[test]
fn a_failed_start_is_reported_in_the_format_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let refused = ("ROOMFUL_DATA", "/proc/nowhere");
    for (format, is_json) in [("json", true), ("human", false), ("auto", true)] {
        let env = [refused, ("ROOMFUL__LOG__FORMAT", format)];
        let failed = text(&roomful(folder.path(), &["serve"], &env).stderr);
        assert_eq!(
            failed.lines().all(|line| line.starts_with('{')),
            is_json,
            "{failed}"
        );
        if is_json {
            assert!(fatal_error(&failed).contains("/proc/nowhere"), "{failed}");
        } else {
            let last = failed.lines().last().unwrap();
            assert!(
                last.starts_with("roomful: ") && last.contains("/proc/nowhere"),
                "{failed}"
            );
        }
        // The format of settings that cannot be read.
        let env = [("ROOMFUL_LISTEN", "nowhere"), ("ROOMFUL__LOG__FORMAT", format)];
        let failed = text(&roomful(folder.path(), &["serve"], &env).stderr);
        assert_eq!(failed.starts_with('{'), is_json, "{failed}");
    }
}

#[test]
fn token_rejects_an_invalid_user() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["token", "--user", ""][..],
        &["token"],
        &["token", "--user", "a", "--ttl", "soon"],
    ] {
        let output = roomful(folder.path(), args, &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn doctor_reports_problems() {
    let folder = tempfile::tempdir().unwrap();
    let output = roomful(folder.path(), &["doctor", "--listen", "127.0.0.1:0"], &[]);
    let output_text = text(&output.stdout);
    assert!(output.status.success(), "{output_text}");
    for subject in [
        "data folder",
        "secret",
        "disk space",
        "store",
        "bus",
        "port",
        "open files",
        "clock",
    ] {
        assert!(
            output_text.lines().any(|line| line.contains(subject)),
            "{subject} is not in\n{output_text}"
        );
    }
    fs::write(folder.path().join("file"), "").unwrap();
    let output = roomful(
        folder.path(),
        &["doctor", "--data", "file", "--listen", "127.0.0.1:0"],
        &[],
    );
    let output_text = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output_text}");
    assert!(
        output_text.contains("FAIL  data folder  file is not a folder; set `data` to a folder"),
        "{output_text}"
    );
}

#[test]
fn the_version_names_the_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let output = roomful(folder.path(), &["--version"], &[]);
    let [sqlite, postgres] = ["sqlite", "postgres"].map(|engine| {
        let folder = format!("{}/../store/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        fs::read_dir(folder).unwrap().count()
    });
    let expected = format!(
        "roomful {}\nschema: SQLite {sqlite}, PostgreSQL {postgres}\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn new_epoch_needs_an_existing_store_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let output = roomful(folder.path(), &["new-epoch"], &[]);
    let output_text = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output_text}");
    assert!(
        output_text.starts_with("roomful: there is no store at "),
        "{output_text}"
    );
    assert!(
        !folder.path().join("data").exists(),
        "new-epoch must not create files"
    );

    let doctor = || {
        let output = roomful(folder.path(), &["doctor", "--listen", "127.0.0.1:0"], &[]);
        text(&output.stdout)
    };
    assert!(
        doctor().contains("ok    store        not there yet"),
        "{}",
        doctor()
    );
    assert!(
        !folder.path().join("data").exists(),
        "doctor must not create files"
    );
    create_store(&folder.path().join("data/roomful.db"));
    let watermark = folder.path().join("data/roomful.db-watermark");
    let created = fs::read(&watermark).unwrap();
    assert!(doctor().contains("ok    store        opened"), "{}", doctor());
    assert_eq!(
        fs::read(&watermark).unwrap(),
        created,
        "doctor must not start a new generation"
    );
    let output = roomful(folder.path(), &["new-epoch"], &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        "0 rooms have a new epoch: returning clients will reset\n"
    );
    let before = fs::read(&watermark).unwrap();

    let lock = fs::File::options()
        .write(true)
        .open(folder.path().join("data/roomful.db.lock"))
        .unwrap();
    lock.lock().unwrap();
    let output = roomful(folder.path(), &["new-epoch"], &[]);
    let output_text = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output_text}");
    assert!(output_text.contains("stop it first"), "{output_text}");
    assert_eq!(fs::read(&watermark).unwrap(), before);
}

/// `docs/configuration.md` contains the defaults verbatim.
#[test]
fn the_reference_matches_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let defaults = text(&roomful(folder.path(), &["default-config"], &[]).stdout);
    let reference = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/configuration.md"
    ))
    .unwrap();
    let shown = reference
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert_eq!(
        shown, defaults,
        "docs/configuration.md is not what `roomful default-config` prints"
    );
}

#[test]
fn doctor_names_every_unsafe_setting() {
    let folder = tempfile::tempdir().unwrap();
    let safe = roomful(folder.path(), &["doctor", "--listen", "127.0.0.1:0"], &[]);
    assert!(text(&safe.stdout).contains("no unsafe setting found"), "{safe:?}");
    let env = [
        ("ROOMFUL_API_KEY", "abababababababab"),
        ("ROOMFUL__HTTP__ORIGINS", "*"),
        ("ROOMFUL__DEV__ALLOW_REMOTE", "on"),
        ("ROOMFUL_LIMITS", "off"),
    ];
    let output = roomful(folder.path(), &["doctor", "--dev", "--listen", "0.0.0.0:0"], &env);
    let said = text(&output.stdout);
    assert!(output.status.success(), "warnings are no failure: {said}");
    for warning in [
        "dev mode is on",
        "tokens travel unencrypted",
        "can read /metrics",
        "pages of any origin",
        "the rate limits are off",
        "API key      it has only 2 different characters",
    ] {
        let found = said
            .lines()
            .any(|line| line.starts_with("warn") && line.contains(warning));
        assert!(found, "{warning} is not in\n{said}");
    }
}

/// Each row: variables that close one gap, and the warning that goes with them.
#[test]
fn doctor_accepts_each_safe_setting() {
    let folder = tempfile::tempdir().unwrap();
    let public = |env: &[(&str, &str)]| {
        let output = roomful(folder.path(), &["doctor", "--listen", "0.0.0.0:0"], env);
        text(&output.stdout)
    };
    let key = "Wq3vT8rLxZ1mB6nC9yKd2sFhJ4gPaQeU";
    let open = public(&[]);
    for (name, value, warning) in [
        ("ROOMFUL__HTTP__METRICS_KEY", key, "can read /metrics"),
        ("ROOMFUL__HTTP__OPS_LISTEN", "127.0.0.1:0", "can read /metrics"),
        (
            "ROOMFUL__HTTP__TRUSTED_PROXIES",
            "10.0.0.0/8",
            "tokens travel unencrypted",
        ),
    ] {
        assert!(open.contains(warning), "{open}");
        let closed = public(&[(name, value)]);
        assert!(!closed.contains(warning), "{name}: {closed}");
    }
}

#[test]
fn doctor_names_weak_secrets_and_files_that_everyone_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file.display().to_string()
    };
    let doctor = |config: &str| {
        let args = ["doctor", "--config", config, "--listen", "127.0.0.1:0"];
        text(&roomful(folder.path(), &args, &[]).stdout)
    };
    let weak = "abab".repeat(10);
    let key_file = write("api.key", "Wq3vT8rLxZ1mB6nC9yKd2sFhJ4gPaQeU", 0o644);
    // Doctor reads no certificate, so its file need not exist.
    let tls_key = write("tls.key", "", 0o644);
    let open = format!(
        "[http.tls]\ncert = \"tls.pem\"\nkey = {tls_key:?}\n\
         [auth]\nsecond_secret = {weak:?}\n[cluster]\nsecret = {weak:?}\n\
         [[api.keys]]\nname = \"app\"\nscopes = []\nsecret_file = {key_file:?}\n"
    );
    let config = write("open.toml", &open, 0o644);
    let said = doctor(&config);
    for warning in [
        "second secret  it has only 2 different characters".to_owned(),
        "cluster      it has only 2 different characters".to_owned(),
        format!("the secrets in {config} (mode 644)"),
        format!("the secrets in {key_file} (mode 644)"),
        format!("the secrets in {tls_key} (mode 644)"),
    ] {
        let found = said
            .lines()
            .any(|line| line.starts_with("warn") && line.contains(&warning));
        assert!(found, "{warning} is not in\n{said}");
    }
    write("api.key", "Wq3vT8rLxZ1mB6nC9yKd2sFhJ4gPaQeU", 0o600);
    write("tls.key", "", 0o600);
    let closed = doctor(&write("closed.toml", &open, 0o640));
    assert!(!closed.contains("the secrets in"), "{closed}");
    let harmless = doctor(&write("harmless.toml", "[limits]\nmentions = 10\n", 0o644));
    assert!(!harmless.contains("the secrets in"), "{harmless}");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::set_permissions(folder.path().join("data"), fs::Permissions::from_mode(0o755)).unwrap();
    let folder = doctor(&write("harmless.toml", "", 0o644));
    assert!(
        folder.contains("warn  data folder  other users can enter"),
        "{folder}"
    );
}

#[test]
fn doctor_asks_each_issuer_for_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let issuers = r#"[{ issuer = "https://127.0.0.1:1" }]"#;
    let env = [("ROOMFUL__AUTH__ISSUERS", issuers)];
    let output = roomful(folder.path(), &["doctor", "--listen", "127.0.0.1:0"], &env);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = "FAIL  issuer       https://127.0.0.1:1: the host has a private address; set allow_private";
    assert!(said.contains(line), "{said}");
}

#[test]
fn schema_prints_the_events_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    for (format, events) in [
        ("asyncapi", "/operations/client.chat.join/action"),
        (
            "json-schema",
            "/properties/client/properties/chat:join/properties/payload",
        ),
    ] {
        let output = roomful(folder.path(), &["schema", "--format", format], &[]);
        assert!(output.status.success(), "{output:?}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(document.pointer(events).is_some(), "{format}");
    }
    let unknown = roomful(folder.path(), &["schema", "--format", "yaml"], &[]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}
