//! Tests of signals: reload on SIGHUP, ignored signals, and the notifications to systemd.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail the test")]

use std::{fs, path::Path};

use roomful_testkit::{ServerProcess, SioClient, http, server::Config, token};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::UnixDatagram;

const OLD: &str = "old-secret-0123456789abcdefghijklmn";
const NEW: &str = "new-secret-0123456789abcdefghijklmn";

/// A server with a settings file, and the socket that it notifies as it would notify systemd.
struct Service {
    server: ServerProcess,
    notifications: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Service {
    async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let notifications = UnixDatagram::bind(&socket).unwrap();
        fs::write(settings_file(folder.path()), settings).unwrap();
        let mut config = Config::new(env!("CARGO_BIN_EXE_roomful"))
            .env("NOTIFY_SOCKET", socket.to_str().unwrap())
            .env("ROOMFUL_AUTH_SECRET", "")
            .env("ROOMFUL_API_KEY", "");
        config.args = vec![
            "--config".to_owned(),
            settings_file(folder.path()).to_str().unwrap().to_owned(),
        ];
        let server = ServerProcess::start_with(config).await.unwrap();
        let service = Service {
            server,
            notifications,
            folder,
        };
        assert_eq!(service.notification().await, "READY=1");
        service
    }

    /// The next message to systemd.
    async fn notification(&self) -> String {
        let mut buffer = [0; 200];
        let length = self.notifications.recv(&mut buffer).await.unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.server.pid().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Writes the settings file, sends SIGHUP and waits until the reload is complete.
    async fn reload(&self, settings: &str) {
        fs::write(settings_file(self.folder.path()), settings).unwrap();
        self.signal(Signal::HUP);
        let reloading = self.notification().await;
        assert!(
            reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
            "{reloading}"
        );
        assert_eq!(self.notification().await, "READY=1");
    }

    async fn accepts_token(&self, secret: &str) -> bool {
        let auth = json!({ "token": token::for_user(secret, "alice") });
        SioClient::connect(self.server.addr(), "/", &auth).await.is_ok()
    }

    async fn accepts_api_key(&self, key: &str) -> bool {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        let answer = http::request(self.server.addr(), "GET", "/api/v1/stats", &headers, b"");
        answer.await.unwrap().status == 200
    }

    /// Waits until the log contains `message`; fails if no line with it also contains `detail`.
    async fn logs(&self, message: &str, detail: &str) {
        let log = self.server.wait_log(message).await.unwrap();
        let mut lines = log.lines();
        assert!(
            lines.any(|line| line.contains(message) && line.contains(detail)),
            "{log}"
        );
    }
}

fn settings_file(folder: &Path) -> std::path::PathBuf {
    folder.join("roomful.toml")
}

#[tokio::test]
async fn only_sigterm_and_sigint_end_the_server() {
    let mut service = Service::start("").await;
    service.signal(Signal::USR1);
    service.signal(Signal::USR2);
    service.reload("").await;
    let ready = http::get(service.server.addr(), "/readyz").await.unwrap();
    assert_eq!(ready.status, 200);
    assert!(service.server.terminate().await.unwrap().success());
    assert_eq!(service.notification().await, "STOPPING=1");
    service.logs("stopped", "").await;
}

#[tokio::test]
async fn a_reload_rotates_secrets_without_a_gap() {
    let old = format!("[auth]\nsecret = {OLD:?}\n[api]\nkey = {OLD:?}\n");
    let overlap = format!(
        "[auth]\nsecret = {NEW:?}\nsecond_secret = {OLD:?}\n[api]\nkey = {NEW:?}\nsecond_key = {OLD:?}\n"
    );
    let new = format!("[auth]\nsecret = {NEW:?}\n[api]\nkey = {NEW:?}\n");
    let service = Service::start(&old).await;
    for (settings, accepted) in [
        (&old, (true, false)),
        (&overlap, (true, true)),
        (&new, (false, true)),
    ] {
        service.reload(settings).await;
        for (secret, accepted) in [(OLD, accepted.0), (NEW, accepted.1)] {
            assert_eq!(service.accepts_token(secret).await, accepted, "{secret}");
            assert_eq!(service.accepts_api_key(secret).await, accepted, "{secret}");
        }
    }
    let keys = "api.key, api.second_key, auth.second_secret, auth.secret";
    service.logs("reloaded the settings", keys).await;
}

#[tokio::test]
async fn a_reload_reports_settings_that_need_a_restart_and_rejects_invalid_ones() {
    let old = format!("[auth]\nsecret = {OLD:?}\n");
    let service = Service::start(&old).await;
    service
        .reload(&format!(
            "{old}[limits]\ntext = \"1KB\"\n[log]\nfilter = \"warn\"\n"
        ))
        .await;
    service.logs("need a restart", "limits.text").await;
    service.reload("[auth]\nsecret = \"short\"\n").await;
    service
        .logs("failed to reload the settings", "auth.secret: has 5 bytes")
        .await;
    assert!(service.accepts_token(OLD).await);
    service.reload(&format!("{old}[log]\nfilter = \"info\"\n")).await;
    service.logs("reloaded the settings", "log.filter").await;
}

/// Sends a text; the code of the error if that fails.
#[tokio::test]
async fn the_listed_settings_are_those_in_force_after_a_reload() {
    let settings = |filter: &str, mentions: u32, second: &str| {
        format!("[api]\nkey = {NEW:?}\n{second}[log]\nfilter = {filter:?}\n[limits]\nmentions = {mentions}\n")
    };
    let service = Service::start(&settings("info", 7, "")).await;
    let weak = "second_key = \"abababababababab\"\n";
    service.reload(&settings("warn", 9, weak)).await;
    let bearer = format!("Bearer {NEW}");
    let headers = [("authorization", bearer.as_str())];
    let answer = http::request(service.server.addr(), "GET", "/api/v1/settings", &headers, b"");
    let answer = answer.await.unwrap().json();
    let find = |key: &str| {
        let mut all = answer["settings"].as_array().unwrap().iter();
        all.find(|setting| setting["key"] == key).unwrap()
    };
    assert_eq!(find("log.filter")["value"], "warn");
    assert_eq!(find("limits.mentions")["value"], 7, "this one needs a restart");
    let second = json!({ "key": "api.second_key", "set": true, "source": "file" });
    assert_eq!(find("api.second_key"), &second);
    assert_eq!(answer["warnings"][0]["key"], "api.second_key", "{answer}");
}

async fn send(client: &SioClient, text: &str) -> Result<Value, Value> {
    let message = json!({ "room": "lobby", "text": text });
    let ack = client.call("chat:send_message", &message).await.unwrap();
    if ack["ok"] == true {
        Ok(ack["data"].clone())
    } else {
        Err(ack["error"]["code"].clone())
    }
}

#[tokio::test]
async fn a_reload_takes_the_new_words_of_a_rule_and_keeps_the_old_ones_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let words = folder.path().join("words.txt");
    fs::write(&words, "bad\n").unwrap();
    let settings = format!(
        "[auth]\nsecret = {OLD:?}\n[[moderation.rules]]\nwords_file = {words:?}\naction = \"refuse\"\n"
    );
    let service = Service::start(&settings).await;
    let auth = json!({ "token": token::for_user(OLD, "alice") });
    let alice = SioClient::connect(service.server.addr(), "/", &auth)
        .await
        .unwrap();
    alice.call("chat:join", &json!("lobby")).await.unwrap();
    let refused = Err(json!("refused"));
    assert_eq!(send(&alice, "so bad").await, refused);
    send(&alice, "worse").await.unwrap();

    fs::write(&words, "worse\n").unwrap();
    service.reload(&settings).await;
    service.logs("reloaded the settings", "moderation.rules").await;
    assert_eq!(send(&alice, "worse").await, refused);
    send(&alice, "so bad").await.unwrap();

    fs::remove_file(&words).unwrap();
    service.reload(&settings).await;
    service
        .logs("failed to reload the settings", "one word a line")
        .await;
    std::os::unix::fs::symlink("/dev/zero", &words).unwrap();
    service.reload(&settings).await;
    service.server.wait_log("more than 64 MiB").await.unwrap();
    assert_eq!(send(&alice, "worse").await, refused);
    let metrics = http::get(service.server.addr(), "/metrics").await.unwrap();
    let metrics = metrics.text();
    let counted = "roomful_moderation_rule_matches_total{action=\"refuse\"} 3";
    assert!(metrics.contains(counted), "{metrics}");
}
