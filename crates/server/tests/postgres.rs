//! Tests of the running binary on PostgreSQL: kills of server and database, and the migration from SQLite.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

use roomful_testkit::{PostgresServer, ServerProcess, SioClient, http, server::Config, token};
use serde_json::{Value, json};

static POSTGRES: LazyLock<PostgresServer> = LazyLock::new(|| PostgresServer::start().unwrap());

fn command(data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomful"));
    command
        .args(args)
        .env_remove("ROOMFUL_STORE_URL")
        .env("ROOMFUL_DATA", data);
    command
}

async fn client(server: &ServerProcess) -> SioClient {
    let auth = json!({ "token": token::for_user(server.secret(), "alice") });
    SioClient::connect(server.addr(), "/", &auth).await.unwrap()
}

async fn send(client: &mut SioClient, text: &str) {
    let message = json!({ "room": "lobby", "text": text, "clientId": text });
    let ack = client.call("chat:send_message", &message).await.unwrap();
    assert_eq!(ack["ok"], true, "{ack}");
}

async fn join(client: &mut SioClient) -> Value {
    let ack = client
        .call("chat:join", &json!({ "room": "lobby" }))
        .await
        .unwrap();
    assert_eq!(ack["ok"], true, "{ack}");
    ack["data"].clone()
}

fn texts(joined: &Value) -> Vec<String> {
    let messages = joined["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn acknowledged_messages_survive_kills_of_server_and_database() {
    let postgres = PostgresServer::start().unwrap();
    let url = postgres.new_database().unwrap();
    let config = Config::new(env!("CARGO_BIN_EXE_roomful")).env("ROOMFUL_STORE_URL", &url);
    let mut server = ServerProcess::start_with(config).await.unwrap();
    let mut alice = client(&server).await;
    join(&mut alice).await;
    send(&mut alice, "1").await;
    server.kill9().await.unwrap();
    server.restart().await.unwrap();
    let mut alice = client(&server).await;
    join(&mut alice).await;
    send(&mut alice, "2").await;
    postgres.kill9().unwrap();
    let refused = json!({ "room": "lobby", "text": "3", "clientId": "3" });
    let ack = alice.call("chat:send_message", &refused).await.unwrap();
    assert_eq!(
        (&ack["ok"], &ack["error"]["code"]),
        (&json!(false), &json!("unavailable")),
        "{ack}"
    );
    assert_eq!(ack["error"]["retryable"], true);
    postgres.restart().unwrap();
    // Retry as a client does, until the server is connected to the database again.
    loop {
        let ack = alice.call("chat:send_message", &refused).await.unwrap();
        if ack["ok"] == true {
            break;
        }
        assert_eq!(ack["error"]["code"], "unavailable", "{ack}");
    }
    let mut again = client(&server).await;
    let joined = join(&mut again).await;
    assert_eq!(texts(&joined), ["1", "2", "3"]);
    assert_eq!(joined["head"], 3);
    let doctor = command(&server.data(), &["doctor"])
        .env("ROOMFUL_STORE_URL", &url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        said.contains("ok    store        opened, read and written"),
        "{said}"
    );
    assert!(server.terminate().await.unwrap().success());
    let renewed = command(&server.data(), &["new-epoch"])
        .env("ROOMFUL_STORE_URL", &url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&renewed.stdout).into_owned();
    assert!(said.starts_with("1 rooms have a new epoch"), "{said} {renewed:?}");
    server.restart().await.unwrap();
    let renewed = join(&mut client(&server).await).await;
    assert_ne!(renewed["epoch"], joined["epoch"]);
    assert_eq!(texts(&renewed), ["1", "2", "3"]);
}

/// Creates a store as a server does, and closes it.
fn create_store(url: &str) {
    let url = url.to_owned();
    // On a thread of its own, since some callers run on a runtime.
    let created = std::thread::spawn(move || {
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(store.close());
    });
    created.join().unwrap();
}

/// Creates the tables, with a trigger that blocks inserts into `entries`.
fn block_entries(url: &str) {
    const HOLD: &str = "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
        CREATE TRIGGER hold BEFORE INSERT ON entries EXECUTE FUNCTION hold()";
    create_store(url);
    POSTGRES.sql(database(url), HOLD).unwrap();
}

/// Ends blocked statements and removes the trigger.
fn unblock_entries(url: &str) {
    // PostgreSQL keeps running the statement of a killed client, and with it the table's lock.
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    POSTGRES.sql(database(url), END).unwrap();
    POSTGRES
        .sql(database(url), "DROP TRIGGER hold ON entries")
        .unwrap();
}

fn database(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn a_killed_migration_resumes_and_the_server_runs_on_its_result() {
    let config = Config::new(env!("CARGO_BIN_EXE_roomful"));
    let mut server = ServerProcess::start_with(config.clone()).await.unwrap();
    let mut alice = client(&server).await;
    join(&mut alice).await;
    for text in ["1", "2", "3"] {
        send(&mut alice, text).await;
    }
    let before = join(&mut alice).await;
    let url = POSTGRES.new_database().unwrap();
    let data = server.data();
    let args = ["migrate", "--to", &url];
    let refused = command(&data, &args).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("stop it first"),
        "{said}"
    );
    assert!(server.terminate().await.unwrap().success());

    block_entries(&url);
    let mut killed = command(&data, &args)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(killed.stderr.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "rooms: 1 of 1");
    killed.kill().unwrap();
    assert!(!killed.wait().unwrap().success(), "the kill came too late");
    unblock_entries(&url);
    let done = command(&data, &args).output().unwrap();
    let (said, errors) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{errors}");
    assert!(said.contains("Copied and verified 10 rows"), "{said}");
    assert!(errors.contains("entries: 3 compared"), "{errors}");

    let config = config.env("ROOMFUL_STORE_URL", &url);
    let server = ServerProcess::start_with(config).await.unwrap();
    let mut alice = client(&server).await;
    let after = join(&mut alice).await;
    assert_eq!(
        (&after["epoch"], &after["head"], &after["messages"]),
        (&before["epoch"], &before["head"], &before["messages"])
    );
    send(&mut alice, "4").await;
    assert_eq!(join(&mut alice).await["head"], 4);
}

#[test]
fn a_migration_names_its_flag_in_errors_and_refuses_an_empty_file() {
    let data = tempfile::tempdir().unwrap();
    let migrate = |to: &str| {
        let refused = command(data.path(), &["migrate", "--to", to]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(
            (refused.status.code(), said.lines().count()),
            (Some(2), 1),
            "{said}"
        );
        said
    };
    let url = POSTGRES.new_database().unwrap();
    std::fs::write(data.path().join("roomful.db"), "").unwrap();
    let said = migrate(&url);
    assert!(said.contains("is no database of Roomful"), "{said}");
    std::fs::remove_file(data.path().join("roomful.db")).unwrap();
    create_store(&format!("sqlite:{}", data.path().join("roomful.db").display()));
    for (to, expected) in [
        (
            POSTGRES.url("nowhere"),
            "roomful: the database of --to does not exist",
        ),
        (
            url.replacen("roomful@", "nobody:pw@", 1),
            "roomful: PostgreSQL refuses the user or password of --to",
        ),
    ] {
        let said = migrate(&to);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn commands_leave_a_schema_alone() {
    const LATER: &str = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')";
    let data = tempfile::tempdir().unwrap();
    let url = POSTGRES.new_database().unwrap();
    let run = |args: &[&str]| {
        let output = command(data.path(), args)
            .env("ROOMFUL_STORE_URL", &url)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let doctor = &["doctor", "--listen", "127.0.0.1:0"][..];
    let (_, said) = run(doctor);
    assert!(said.contains("ok    store        not there yet"), "{said}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(POSTGRES.sql(database(&url), tables).unwrap(), "0");
    create_store(&url);
    POSTGRES.sql(database(&url), LATER).unwrap();
    for args in [doctor, &["new-epoch"], &["serve", "--listen", "127.0.0.1:0"]] {
        let (succeeded, said) = run(args);
        let newest = roomful_store::schema_versions().postgres;
        let expected = format!(
            "the database has schema 99, this version supports up to {newest}: start the newer version or \
             restore the backup"
        );
        assert!(!succeeded && said.contains(&expected), "{args:?}: {said}");
    }
}

#[test]
fn a_password_is_never_shown() {
    let data = tempfile::tempdir().unwrap();
    for (args, url) in [
        (
            ["check-config", "--listen", "127.0.0.1:0"],
            "postgres://u:hunter2@127.0.0.1:1/d",
        ),
        (
            ["doctor", "--listen", "127.0.0.1:0"],
            "postgres://u:hunter2@127.0.0.1:1/d",
        ),
        (
            ["serve", "--listen", "127.0.0.1:0"],
            "postgres://u:hunter2@127.0.0.1:x/d",
        ),
        (
            ["serve", "--listen", "127.0.0.1:0"],
            "postgres://u:hunter2@x@127.0.0.1:1/d",
        ),
    ] {
        let output = command(data.path(), &args)
            .env("ROOMFUL_STORE_URL", url)
            .env("ROOMFUL_LOG", "trace")
            .env("ROOMFUL_AUTH_SECRET", "a-secret-of-32-bytes-for-this-test")
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!said.contains("hunter2"), "{args:?}: {said}");
        assert_eq!(
            output.status.success(),
            args[0] == "check-config",
            "{args:?}: {said}"
        );
    }
}

#[tokio::test]
async fn the_start_waits_for_postgres_and_readyz_tells_why() {
    let data = tempfile::tempdir().unwrap();
    let port = roomful_testkit::ports::free_port().unwrap();
    let listen = format!("127.0.0.1:{port}");
    let log = std::fs::File::create(data.path().join("log")).unwrap();
    let mut server = command(data.path(), &["serve", "--listen", &listen])
        .env("ROOMFUL_STORE_URL", "postgres://u:hunter2@127.0.0.1:1/d")
        .env("ROOMFUL_AUTH_SECRET", "a-secret-of-32-bytes-for-this-test")
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let deadline = tokio::time::Instant::now() + roomful_testkit::PATIENCE;
    loop {
        assert_eq!(server.try_wait().unwrap(), None, "it does not wait");
        if let Ok(answer) = roomful_testkit::http::get(listen.parse().unwrap(), "/readyz").await
            && answer.text().contains("not open: ")
        {
            assert_eq!(answer.status, 503);
            assert!(!answer.text().contains("hunter2"), "{}", answer.text());
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "/readyz does not tell why"
        );
        // Another process gives no event to wait for.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let pid = rustix::process::Pid::from_raw(server.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    let said = std::fs::read_to_string(data.path().join("log")).unwrap();
    let warnings = said
        .lines()
        .filter(|line| line.contains("failed to open the store"));
    assert_eq!(warnings.count(), 1, "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

/// The environment of a process whose clock is 20 s ahead. The tests install libfaketime.
fn clock_ahead() -> Vec<(&'static str, String)> {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|library| library.is_file()).unwrap();
    vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", "+20s".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

#[tokio::test]
async fn a_clock_that_differs_from_the_databases_is_reported() {
    let url = POSTGRES.new_database().unwrap();
    let mut config = Config::new(env!("CARGO_BIN_EXE_roomful")).env("ROOMFUL_STORE_URL", &url);
    for (name, value) in clock_ahead() {
        config = config.env(name, &value);
    }
    let server = ServerProcess::start_with(config).await.unwrap();
    server
        .wait_log("this machine's clock is far from the database's")
        .await
        .unwrap();
    let metrics = http::get(server.addr(), "/metrics").await.unwrap().text();
    let skew = metrics
        .lines()
        .find_map(|line| line.strip_prefix("roomful_cluster_clock_skew_seconds "));
    let skew: f64 = skew.unwrap().parse().unwrap();
    assert!((15.0..25.0).contains(&skew), "{skew}");

    let doctor = |ahead: Vec<(&'static str, String)>| {
        let output = command(&server.data(), &["doctor"])
            .env("ROOMFUL_STORE_URL", &url)
            .envs(ahead)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let wrong = doctor(clock_ahead());
    assert!(
        wrong.contains("s ahead of PostgreSQL's; set both by NTP"),
        "{wrong}"
    );
    let right = doctor(Vec::new());
    assert!(!right.contains("PostgreSQL's"), "{right}");
}
