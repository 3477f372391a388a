//! Attempts with reports, blocks and profiles.

use roomful_testkit::token::{self, now};
use serde_json::{Value, json};

use crate::{
    attempt::{Attempt, Key, call, call_with, connect, emit},
    world::READS_USERS,
};

const INVALID: &str = "invalid_request";
const BAD_CALL: &str = "400 invalid_request";

pub(crate) fn rows(secret: &str) -> Vec<Attempt> {
    [
        reports(),
        malformed_reports(),
        resolutions(),
        blocks(),
        tokens_with_profiles(secret),
        profiles_by_backends(),
    ]
    .concat()
}

fn report(name: &'static str, user: &'static str, report: Value, expected: &'static str) -> Attempt {
    emit(name, user, "chat:report", report, expected)
}

fn reports() -> Vec<Attempt> {
    let spam = |room: &str, seq: u64| json!({ "room": room, "seq": seq, "reason": "spam" });
    vec![
        report("a report of a stranger", "sue", spam("den", 1), "forbidden"),
        report(
            "a report in a room that does not exist",
            "ann",
            spam("nowhere", 1),
            "forbidden",
        ),
        report(
            "a report of a message that does not exist",
            "ann",
            spam("den", 999),
            "not_found",
        ),
        report(
            "a report of a deleted message",
            "ann",
            spam("den", 2),
            "not_found",
        ),
        report("a report of a deletion", "ann", spam("den", 3), "not_found"),
        report("one report too many", "flo", spam("den", 5), "quota_exceeded"),
    ]
}

fn malformed_reports() -> Vec<Attempt> {
    let with = |name, field: &str, value: Value, expected| {
        let mut malformed = json!({ "room": "den", "seq": 1, "reason": "spam" });
        malformed[field] = value;
        report(name, "bob", malformed, expected)
    };
    vec![
        with("a report of the message 0", "seq", json!(0), INVALID),
        with("a report of a negative message", "seq", json!(-1), INVALID),
        with("a report of a message by its name", "seq", json!("1"), INVALID),
        with(
            "a report of a message beyond exact numbers",
            "seq",
            json!(1_u64 << 60),
            INVALID,
        ),
        with("a report without a reason", "reason", Value::Null, INVALID),
        with(
            "a report for a reason of 65 characters",
            "reason",
            json!("x".repeat(65)),
            INVALID,
        ),
        with(
            "a report for a reason with a terminal escape",
            "reason",
            json!("spam\u{1b}[2J"),
            INVALID,
        ),
        with(
            "a report with a text of 10,000 characters",
            "text",
            json!("x".repeat(10_000)),
            "payload_too_large",
        ),
        with(
            "a report with a text that is an object",
            "text",
            json!({ "a": 1 }),
            INVALID,
        ),
    ]
}

fn resolutions() -> Vec<Attempt> {
    let resolve = |name, id: &str, body: Value, expected| {
        call(name, &format!("POST /moderation/reports/{id}"), body, expected)
    };
    let ban = || json!({ "action": "ban" });
    vec![
        resolve(
            "a second end of a report",
            "1",
            json!({ "action": "delete" }),
            "404 not_found",
        ),
        resolve("the end of an unknown report", "999", ban(), "404 not_found"),
        resolve("the end of a negative report", "-1", ban(), "404 not_found"),
        resolve(
            "the end of a report beyond all numbers",
            "99999999999999999999",
            ban(),
            BAD_CALL,
        ),
        resolve("the end of a report with SQL", "2%20OR%201=1", ban(), BAD_CALL),
        resolve(
            "an unknown end of a report",
            "2",
            json!({ "action": "forgive" }),
            BAD_CALL,
        ),
        resolve(
            "the end of a report in the past",
            "2",
            json!({ "action": "mute", "until": 5 }),
            BAD_CALL,
        ),
        resolve(
            "a report resolved in the name of another",
            "2",
            json!({ "action": "ban", "resolvedBy": "key:other" }),
            BAD_CALL,
        ),
        call(
            "a page of reports after a forged cursor",
            "GET /moderation/reports?cursor=YWJj",
            Value::Null,
            BAD_CALL,
        ),
        call(
            "reports in an unknown state",
            "GET /moderation/reports?state=open'--",
            Value::Null,
            BAD_CALL,
        ),
    ]
}

fn blocks() -> Vec<Attempt> {
    let block = |name, user, whom: Value, expected| {
        emit(name, user, "user:block", json!({ "userId": whom }), expected)
    };
    let to_the_pair = |name, user| {
        let message = json!({ "room": "pair", "text": "hello" });
        emit(name, user, "chat:send_message", message, "forbidden")
    };
    vec![
        block("a block of oneself", "ann", json!("ann"), INVALID),
        block("a block of nobody", "ann", Value::Null, INVALID),
        block("a block of an empty id", "ann", json!(""), INVALID),
        block("a block of a NUL", "ann", json!("bob\0"), INVALID),
        block(
            "a block of 129 characters",
            "ann",
            json!("x".repeat(129)),
            INVALID,
        ),
        block("a block of a number", "ann", json!(7), INVALID),
        block("a block of a list", "ann", json!(["bob"]), INVALID),
        block("one block too many", "una", json!("mia"), "quota_exceeded"),
        to_the_pair("the blocked user writes to the blocker", "udo"),
        to_the_pair("the blocker writes to the blocked user", "una"),
        call(
            "a backend blocks a user for herself",
            "PUT /users/ann/blocks/ann",
            Value::Null,
            BAD_CALL,
        ),
        call(
            "a backend blocks a line break",
            "PUT /users/ann/blocks/%0A",
            Value::Null,
            BAD_CALL,
        ),
        call(
            "one block too many by a backend",
            "PUT /users/una/blocks/mia",
            Value::Null,
            "403 quota_exceeded",
        ),
        call(
            "the end of a block that is none",
            "DELETE /users/ann/blocks/bob",
            Value::Null,
            "404 not_found",
        ),
    ]
}

fn tokens_with_profiles(secret: &str) -> Vec<Attempt> {
    let with = |name, claim: &str, value: Value| {
        let mut claims = json!({ "sub": "eve", "exp": now() + 60 });
        claims[claim] = value;
        connect(name, token::with_claims(secret, &claims), "unauthorized")
    };
    let genuine = token::for_user(secret, "eve");
    let (_, signature) = genuine.rsplit_once('.').unwrap();
    let renamed = json!({ "sub": "eve", "name": "olga", "exp": now() + 60 }).to_string();
    let renamed = token::with_signature(r#"{"alg":"HS256","typ":"JWT"}"#, &renamed, signature);
    vec![
        connect("another's name in one's own token", renamed, "unauthorized"),
        with(
            "the name of an API key as one's own id",
            "sub",
            json!("key:default"),
        ),
        with("a name that is an object", "name", json!({ "first": "Eve" })),
        with(
            "an avatar that is a script",
            "avatar",
            json!("javascript:alert(1)"),
        ),
        with(
            "an avatar that is a script in capitals",
            "avatar",
            json!("JavaScript:alert(1)"),
        ),
        with(
            "an avatar that is a page",
            "avatar",
            json!("data:text/html,<script>alert(1)</script>"),
        ),
        with(
            "an avatar with a line break in its scheme",
            "avatar",
            json!("java\nscript:alert(1)"),
        ),
        with(
            "an avatar that is a list",
            "avatar",
            json!(["https://x.test/a.png"]),
        ),
        with(
            "an avatar of 10,000 characters",
            "avatar",
            json!(format!("https://x.test/{}", "a".repeat(10_000))),
        ),
    ]
}

fn profiles_by_backends() -> Vec<Attempt> {
    let change = |name, body: Value, expected| call(name, "PUT /users/bob", body, expected);
    let users: Vec<_> = (0..201).map(|i| format!("user-{i}")).collect();
    vec![
        change(
            "a profile with a script as its avatar",
            json!({ "avatar": "javascript:alert(1)" }),
            BAD_CALL,
        ),
        change(
            "a profile with a NUL in its avatar",
            json!({ "avatar": "https://x.test/\0" }),
            BAD_CALL,
        ),
        change(
            "a profile with an invisible name",
            json!({ "name": "\u{200b}\u{7}" }),
            BAD_CALL,
        ),
        change(
            "a profile with metadata of 10,000 bytes",
            json!({ "metadata": { "a": "x".repeat(10_000) } }),
            "413 payload_too_large",
        ),
        change(
            "a profile with metadata that is a list",
            json!({ "metadata": ["x"] }),
            BAD_CALL,
        ),
        change(
            "a profile for another user",
            json!({ "name": "Bob", "userId": "olga" }),
            BAD_CALL,
        ),
        change("a profile that is a list", json!(["Bob"]), BAD_CALL),
        call(
            "a post in the name of an API key",
            "POST /rooms/den/messages",
            json!({ "userId": "key:default", "text": "hello" }),
            BAD_CALL,
        ),
        call(
            "a profile of a NUL",
            "PUT /users/%00",
            json!({ "name": "Bob" }),
            BAD_CALL,
        ),
        call_with(
            "a profile by a key that only reads",
            Key::Bearer(READS_USERS),
            "PUT /users/bob",
            json!({ "name": "Bob" }),
            "403 forbidden",
        ),
        emit(
            "profiles of 201 users",
            "ann",
            "user:get",
            json!({ "users": users }),
            INVALID,
        ),
        emit(
            "the profile of a terminal escape",
            "ann",
            "user:get",
            json!({ "users": ["\u{1b}[2J"] }),
            INVALID,
        ),
    ]
}
