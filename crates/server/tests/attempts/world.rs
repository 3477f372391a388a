//! The server of the table, and the people, rooms and sanctions that the attempts find there.

use std::{collections::HashMap, fmt::Write as _, fs, path::Path};

use jsonwebtoken::Algorithm;
use roomful_testkit::{
    Error, PATIENCE, ServerProcess, SioClient,
    http::{self, Answer},
    server::Config,
    token::{self, now},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    attempt::Key,
    issuer,
    receiver::{Mood, Receiver, SECRET},
};

/// Keys by their secret, with their scopes.
pub(crate) const KEYS: [(&str, &[&str]); 7] = [
    (NO_SCOPE, &[]),
    (READS_ROOMS, &["rooms:read"]),
    (READS_MESSAGES, &["messages:read"]),
    (READS_USERS, &["users:read"]),
    (WRITES_USERS, &["users:write"]),
    (MODERATES, &["moderation"]),
    (READS_STATS, &["stats:read"]),
];
pub(crate) const NO_SCOPE: &str = "a key that opens no door";
pub(crate) const READS_ROOMS: &str = "a key that reads rooms";
pub(crate) const READS_MESSAGES: &str = "a key that reads messages";
pub(crate) const READS_USERS: &str = "a key that reads users";
pub(crate) const WRITES_USERS: &str = "a key that writes users";
pub(crate) const MODERATES: &str = "a key that moderates";
pub(crate) const READS_STATS: &str = "a key that reads statistics";
/// A key that a rotation has replaced.
pub(crate) const ROTATED: &str = "a key that was rotated away";

/// Users whom one user may block here, and messages that one user may report.
const QUOTA: usize = 2;

/// The server with everything in it.
pub(crate) struct World {
    pub(crate) server: ServerProcess,
    /// The endpoint of the hook for the room `hooked`.
    pub(crate) receiver: Receiver,
    pub(crate) issuer: issuer::Issuer,
    /// The key that the issuer publishes, and one that it does not.
    pub(crate) issuer_key: issuer::Key,
    pub(crate) foreign_key: issuer::Key,
    people: HashMap<&'static str, SioClient>,
    _folder: TempDir,
}

/// The users in the room `den`, with their roles:
///
/// | user | who |
/// |---|---|
/// | `olga`, `mona`, `mark` | its owner and its moderators |
/// | `max` | a member, and moderator of the room `attic` |
/// | `demo` | a former moderator, now a member |
/// | `roy` | a member whose token makes them a moderator |
/// | `mia`, `flo` | members: one is muted, the other has reported [`QUOTA`] messages |
/// | `ann`, `bob` | members |
///
/// `vic` is banned from it, `pia` from everywhere. `sue` moderates the `attic` alone. `una` has blocked
/// `udo`, with whom she shares the room `pair`, and is at her limit. `era` is erased. A user named `text` is
/// in the room `yard`.
const PEOPLE: [&str; 14] = [
    "olga", "mona", "mark", "max", "demo", "roy", "mia", "flo", "ann", "bob", "vic", "sue", "una", "udo",
];

/// The settings. The file without the last key is in force once the rotation is over.
fn settings(folder: &Path, receiver: &Receiver, issuer: &str, with_rotated: bool) -> String {
    let words = folder.join("words.txt").display().to_string();
    let hook = format!("http://{}/hook", receiver.addr);
    let mut settings = format!(
        "[limits]\nblocks = {QUOTA}\n[reports]\nper_day = {QUOTA}\n\
         [[moderation.rules]]\nwords_file = {words:?}\naction = \"refuse\"\n\
         [[auth.issuers]]\nissuer = {issuer:?}\naudience = \"chat\"\nallow_private = true\n\
         [[hooks]]\nevent = \"message.send\"\nurl = {hook:?}\nsecret = {SECRET:?}\nrooms = [\"hooked\"]\n\
         on_failure = \"refuse\"\nretries = 0\nopen_after = 1000\n"
    );
    let rotated: &[&str] = &["rooms:read", "admin"];
    let keys = KEYS.into_iter().chain(with_rotated.then_some((ROTATED, rotated)));
    for (number, (secret, scopes)) in keys.enumerate() {
        writeln!(
            settings,
            "[[api.keys]]\nname = \"key-{number}\"\nsecret = {secret:?}\nscopes = {scopes:?}"
        )
        .unwrap();
    }
    settings
}

impl World {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("words.txt"), "casino\nbuy now\n").unwrap();
        let receiver = Receiver::start(Mood::Say(r#"{"action":"allow"}"#)).await;
        let issuer_key = issuer::Key::new(Algorithm::ES256, "current");
        let foreign_key = issuer::Key::new(Algorithm::ES256, "current");
        let issuer = issuer::Issuer::start(&[&issuer_key]).await;

        let path = folder.path().join("roomful.toml");
        let [before, after] =
            [true, false].map(|rotated| settings(folder.path(), &receiver, issuer.url(), rotated));
        fs::write(&path, before).unwrap();
        // The rows share one address, so the rate limits are off. They have their own test.
        let mut config = Config::new(env!("CARGO_BIN_EXE_roomful")).env("ROOMFUL_LIMITS", "off");
        config.args = vec!["--config".into(), path.display().to_string()];
        let server = ServerProcess::start_with(config).await.unwrap();
        let mut world = Self {
            server,
            receiver,
            issuer,
            issuer_key,
            foreign_key,
            people: HashMap::new(),
            _folder: folder,
        };
        fs::write(&path, after).unwrap();
        world.rotate().await;
        world.furnish().await;
        world
    }

    /// Reloads the settings, and waits until the old key is void.
    async fn rotate(&self) {
        let key = Key::Bearer(ROTATED);
        let accepted = self.call_with(key, "GET", "/key", &Value::Null).await.unwrap();
        assert_eq!(accepted.status, 200, "{}", accepted.text());
        let pid = Pid::from_raw(self.server.pid().cast_signed()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
        let refused = async {
            while self
                .call_with(key, "GET", "/key", &Value::Null)
                .await
                .unwrap()
                .status
                == 200
            {}
        };
        timeout(PATIENCE, refused).await.expect("the reload takes effect");
    }

    /// Makes the rooms, the members, the messages, and then the sanctions.
    async fn furnish(&mut self) {
        for user in PEOPLE {
            let claims = json!({
                "sub": user, "name": user, "exp": now() + 3600,
                "roles": (user == "roy").then_some(["moderator"]),
            });
            let auth = json!({ "token": token::with_claims(self.server.secret(), &claims) });
            let client = SioClient::connect(self.server.addr(), "/", &auth).await.unwrap();
            self.people.insert(user, client);
        }
        self.make_rooms().await;
        self.write_messages().await;
        self.impose().await;
    }

    async fn make_rooms(&self) {
        let none = || json!({});
        for room in ["den", "attic", "ice", "snail", "hooked", "yard"] {
            self.done("PUT", &format!("/rooms/{room}"), none()).await;
        }
        let pair = json!({ "kind": "private", "members": ["una", "udo"] });
        self.done("PUT", "/rooms/pair", pair).await;
        for user in ["ann", "bob", "roy", "mia", "flo", "max"] {
            self.done("PUT", &format!("/rooms/den/members/{user}"), none())
                .await;
        }
        for (room, user, role) in [
            ("den", "olga", "owner"),
            ("den", "mona", "moderator"),
            ("den", "mark", "moderator"),
            ("den", "demo", "moderator"),
            ("den", "demo", "member"),
            ("attic", "max", "moderator"),
            ("attic", "sue", "moderator"),
        ] {
            let path = format!("/rooms/{room}/members/{user}");
            self.done("PUT", &path, json!({ "role": role })).await;
        }
        self.done("PUT", "/rooms/yard/members/text", none()).await;
        for room in ["den", "ice", "snail", "hooked", "yard"] {
            self.join("ann", room).await;
        }
        self.join("bob", "den").await;
    }

    /// In `den`: 1 and 2 by `ann`, of which 2 is deleted by 3, 4 by `mia`, 5 by `bob`.
    async fn write_messages(&self) {
        self.send("ann", "den", "hello").await;
        self.send("ann", "den", "gone").await;
        let deleted = json!({ "room": "den", "seq": 2 });
        self.succeed("ann", "chat:delete_message", deleted).await;
        self.send("mia", "den", "before the mute").await;
        self.send("bob", "den", "good day").await;
        self.send("ann", "yard", "beside a user named text").await;
        self.send("ann", "ice", "before the frost").await;
        let slow = json!({ "slowMode": 3600 });
        self.done("PUT", "/rooms/snail", slow).await;
        self.send("ann", "snail", "the first one").await;
        let post = json!({ "userId": "era", "text": "remember me" });
        self.done("POST", "/rooms/attic/messages", post).await;
    }

    async fn impose(&self) {
        for (path, body) in [
            ("/rooms/den/bans/vic", json!({})),
            ("/users/pia/ban", json!({})),
            ("/rooms/den/mutes/mia", json!({})),
            ("/rooms/ice", json!({ "frozen": true })),
        ] {
            self.done("PUT", path, body).await;
        }
        for blocked in ["udo", "bob"] {
            self.succeed("una", "user:block", json!({ "userId": blocked }))
                .await;
        }
        for seq in [1, 4] {
            let report = json!({ "room": "den", "seq": seq, "reason": "spam" });
            self.succeed("flo", "chat:report", report).await;
        }
        let resolved = json!({ "action": "dismiss" });
        self.done("POST", "/moderation/reports/1", resolved).await;
        self.done("DELETE", "/users/era?messages=delete", Value::Null)
            .await;
    }

    pub(crate) fn person(&self, user: &str) -> &SioClient {
        self.people
            .get(user)
            .unwrap_or_else(|| panic!("{user} is not one of the people"))
    }

    async fn succeed(&self, user: &str, event: &str, argument: Value) -> Value {
        let ack = self.person(user).call(event, &argument).await.unwrap();
        assert_eq!(ack["ok"], true, "{user} {event} {argument}: {ack}");
        ack["data"].clone()
    }

    async fn join(&self, user: &str, room: &str) {
        self.succeed(user, "chat:join", json!({ "room": room })).await;
    }

    pub(crate) async fn send(&self, user: &str, room: &str, text: &str) -> Value {
        let message = json!({ "room": room, "text": text });
        self.succeed(user, "chat:send_message", message).await
    }

    /// Makes a call. `path` is relative to `/api/v1`.
    pub(crate) async fn call_with(
        &self,
        key: Key,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Answer, Error> {
        let credential = match key {
            Key::Full => format!("Bearer {}", self.server.api_key()),
            Key::Bearer(key) => format!("Bearer {key}"),
            Key::Header(header) => header.to_owned(),
            Key::None => String::new(),
        };
        let mut headers = vec![("content-type", "application/json")];
        if !matches!(key, Key::None) {
            headers.push(("authorization", &credential));
        }
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let path = format!("/api/v1{path}");
        http::request(self.server.addr(), method, &path, &headers, body.as_bytes()).await
    }

    /// Makes a call that must succeed.
    pub(crate) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call_with(Key::Full, method, path, &body).await.unwrap();
        let status = answer.status;
        assert!((200..300).contains(&status), "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// Everything that no attempt may change.
    pub(crate) async fn state(&self) -> Vec<Value> {
        let mut state = Vec::new();
        for path in [
            "/rooms/den",
            "/rooms/den/members",
            "/rooms/den/messages",
            "/rooms/den/bans",
            "/rooms/den/mutes",
            "/rooms/yard/messages",
            "/rooms/ice",
            "/rooms/snail",
            "/bans",
            "/mutes",
            "/moderation/reports",
            "/users/una/blocks",
        ] {
            state.push(self.done("GET", path, Value::Null).await);
        }
        let profiles = json!({ "users": ["ann", "bob", "olga", "mona", "una"] });
        state.push(self.succeed("ann", "user:get", profiles).await);
        state
    }
}
