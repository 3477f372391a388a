//! Attempts with API keys: missing scopes, wrong places, and paths that lead around the scopes.

use serde_json::{Value, json};

use crate::{
    attempt::{Attempt, Key, call_with, connect},
    world::{
        MODERATES, NO_SCOPE, READS_MESSAGES, READS_ROOMS, READS_STATS, READS_USERS, ROTATED, WRITES_USERS,
    },
};

const FORBIDDEN: &str = "403 forbidden";
const UNAUTHORIZED: &str = "401 unauthorized";

pub(crate) fn rows(full_key: &'static str) -> Vec<Attempt> {
    [
        no_scope(),
        neighbouring_scopes(),
        detours(),
        credentials(full_key),
    ]
    .concat()
}

fn with(name: &'static str, key: &'static str, call: &str, expected: &'static str) -> Attempt {
    let body = if call.starts_with("GET") {
        Value::Null
    } else {
        json!({})
    };
    call_with(name, Key::Bearer(key), call, body, expected)
}

fn no_scope() -> Vec<Attempt> {
    let none = |name, call| with(name, NO_SCOPE, call, FORBIDDEN);
    vec![
        none("a key without rooms:read", "GET /rooms/den"),
        none("a key without rooms:write", "DELETE /rooms/den"),
        none("a key without messages:read", "GET /rooms/den/messages"),
        none("a key without messages:write", "POST /rooms/den/messages"),
        none("a key without users:read", "GET /users/ann"),
        none("a key without users:write", "POST /users/ann/disconnect"),
        none("a key without notifications:write", "POST /notifications"),
        none("a key without moderation", "PUT /rooms/den/bans/ann"),
        none("a key without stats:read", "GET /stats/history"),
        none("a key without admin", "GET /audit"),
    ]
}

fn neighbouring_scopes() -> Vec<Attempt> {
    vec![
        with(
            "rooms:read deletes a room",
            READS_ROOMS,
            "DELETE /rooms/den",
            FORBIDDEN,
        ),
        with(
            "rooms:read reads messages",
            READS_ROOMS,
            "GET /rooms/den/messages",
            FORBIDDEN,
        ),
        with(
            "messages:read posts a message",
            READS_MESSAGES,
            "POST /rooms/den/messages",
            FORBIDDEN,
        ),
        with(
            "users:read erases a user",
            READS_USERS,
            "DELETE /users/ann?messages=delete",
            FORBIDDEN,
        ),
        with(
            "users:read exports a user",
            READS_USERS,
            "GET /users/ann/export",
            FORBIDDEN,
        ),
        with(
            "messages:read exports a user",
            READS_MESSAGES,
            "GET /users/ann/export",
            FORBIDDEN,
        ),
        with(
            "users:write erases a user",
            WRITES_USERS,
            "DELETE /users/ann?messages=delete",
            FORBIDDEN,
        ),
        with(
            "users:write exports a user",
            WRITES_USERS,
            "GET /users/ann/export",
            FORBIDDEN,
        ),
        with(
            "users:write bans a user",
            WRITES_USERS,
            "PUT /users/ann/ban",
            FORBIDDEN,
        ),
        with(
            "moderation exports a user",
            MODERATES,
            "GET /users/ann/export",
            FORBIDDEN,
        ),
        with(
            "moderation reads the audit log",
            MODERATES,
            "GET /audit",
            FORBIDDEN,
        ),
        with(
            "moderation makes itself an owner",
            MODERATES,
            "PUT /rooms/den/members/sue",
            FORBIDDEN,
        ),
        with(
            "stats:read lists connections",
            READS_STATS,
            "GET /connections",
            FORBIDDEN,
        ),
        with(
            "stats:read explains a message",
            READS_STATS,
            "GET /explain?user=ann&room=den&seq=1",
            FORBIDDEN,
        ),
        with(
            "stats:read replays dead records",
            READS_STATS,
            "POST /webhooks/replay",
            FORBIDDEN,
        ),
    ]
}

fn detours() -> Vec<Attempt> {
    let nothing = "404 not_found";
    vec![
        with(
            "a method that no call has",
            READS_ROOMS,
            "PATCH /rooms/den",
            FORBIDDEN,
        ),
        with("an encoded letter in a path", NO_SCOPE, "GET /%61udit", nothing),
        with("two slashes in a path", NO_SCOPE, "GET //audit", nothing),
        with("a slash at the end", NO_SCOPE, "GET /audit/", nothing),
        with("capitals in a path", NO_SCOPE, "GET /AUDIT", nothing),
        with(
            "a path through a room to the audit log",
            READS_ROOMS,
            "GET /rooms/../audit",
            nothing,
        ),
        with(
            "an encoded path through a room to the audit log",
            READS_ROOMS,
            "GET /rooms/..%2Faudit",
            nothing,
        ),
        with(
            "an encoded slash from members to messages",
            READS_ROOMS,
            "GET /rooms/den%2Fmessages",
            nothing,
        ),
    ]
}

fn credentials(full_key: &'static str) -> Vec<Attempt> {
    let shorter = &full_key[..full_key.len() - 1];
    let longer: &'static str = format!("{full_key}0").leak();
    let basic: &'static str = format!("Basic {full_key}").leak();
    let two: &'static str = format!("Bearer {NO_SCOPE}, Bearer {full_key}").leak();
    let get = |name, key, path: &str| call_with(name, key, &format!("GET {path}"), Value::Null, UNAUTHORIZED);
    let in_url = format!("/rooms?key={full_key}");
    let hidden_in_url = format!("/rooms?limit=1&x={full_key}");
    vec![
        get("no key", Key::None, "/rooms"),
        get("an empty key", Key::Bearer(""), "/rooms"),
        get("a key of nobody", Key::Bearer("a key of nobody at all"), "/rooms"),
        get("a key that was rotated away", Key::Bearer(ROTATED), "/rooms"),
        get("a key without its last letter", Key::Bearer(shorter), "/rooms"),
        get("a key with one more letter", Key::Bearer(longer), "/rooms"),
        get("a key as Basic", Key::Header(basic), "/rooms"),
        get("two keys in one header", Key::Header(two), "/rooms"),
        get("a key in the URL", Key::None, &in_url),
        get("a key in the URL and in the header", Key::Full, &in_url),
        get("a key under any name in the URL", Key::Full, &hidden_in_url),
        connect("an API key as a token", full_key.to_owned(), "unauthorized"),
    ]
}
