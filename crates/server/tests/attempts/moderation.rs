//! Attempts against bans, mutes, slow mode and frozen rooms, and by those whom they concern.

use roomful_testkit::token;
use serde_json::{Value, json};

use crate::attempt::{Attempt, call, connect, emit};

const FORBIDDEN: &str = "forbidden";
const INVALID: &str = "invalid_request";
/// A time in the year 2100.
const LATER: i64 = 4_102_444_800_000;

pub(crate) fn rows(secret: &str) -> Vec<Attempt> {
    [
        by_members(),
        by_moderators(),
        absurd_ends(),
        absurd_orders(),
        by_the_muted(),
        by_the_banned(secret),
        in_restricted_rooms(),
        by_backends(),
    ]
    .concat()
}

/// A row in which a user moderates `den`.
fn act(
    name: &'static str,
    user: &'static str,
    action: &Value,
    more: &Value,
    expected: &'static str,
) -> Attempt {
    let mut order = json!({ "room": "den", "action": action });
    for (field, value) in more.as_object().unwrap() {
        order[field] = value.clone();
    }
    emit(name, user, "chat:moderate", order, expected)
}

/// A row in which a user acts against another one.
fn against(
    name: &'static str,
    user: &'static str,
    action: &str,
    whom: &str,
    expected: &'static str,
) -> Attempt {
    act(name, user, &json!(action), &json!({ "userId": whom }), expected)
}

fn by_members() -> Vec<Attempt> {
    vec![
        against("a member bans a member", "ann", "ban", "bob", FORBIDDEN),
        against("a member mutes a moderator", "ann", "mute", "mona", FORBIDDEN),
        against(
            "a member deletes the messages of another",
            "ann",
            "delete_messages",
            "bob",
            FORBIDDEN,
        ),
        act(
            "a member slows the room down",
            "ann",
            &json!("slow_mode"),
            &json!({ "seconds": 5 }),
            FORBIDDEN,
        ),
        act(
            "a member freezes the room",
            "ann",
            &json!("freeze"),
            &json!({}),
            FORBIDDEN,
        ),
        act(
            "a member thaws the room",
            "ann",
            &json!("unfreeze"),
            &json!({}),
            FORBIDDEN,
        ),
        against(
            "a moderator of another room bans a member here, as a member",
            "max",
            "ban",
            "bob",
            FORBIDDEN,
        ),
        against(
            "a moderator of another room mutes a member here, as a stranger",
            "sue",
            "mute",
            "bob",
            FORBIDDEN,
        ),
        against(
            "a former moderator bans a member",
            "demo",
            "ban",
            "bob",
            FORBIDDEN,
        ),
        emit(
            "a moderator acts in a room that does not exist",
            "mona",
            "chat:moderate",
            json!({ "room": "nowhere", "action": "freeze" }),
            FORBIDDEN,
        ),
        emit(
            "a user with the moderator's token acts in a room of others",
            "roy",
            "chat:moderate",
            json!({ "room": "attic", "action": "freeze" }),
            FORBIDDEN,
        ),
    ]
}

fn by_moderators() -> Vec<Attempt> {
    vec![
        against("a moderator bans the owner", "mona", "ban", "olga", FORBIDDEN),
        against("a moderator mutes the owner", "mona", "mute", "olga", FORBIDDEN),
        against(
            "a moderator deletes the owner's messages",
            "mona",
            "delete_messages",
            "olga",
            FORBIDDEN,
        ),
        against("a moderator bans another", "mona", "ban", "mark", FORBIDDEN),
        against(
            "a token with the moderator's role bans the owner",
            "roy",
            "ban",
            "olga",
            FORBIDDEN,
        ),
        against(
            "a token with the moderator's role mutes a moderator",
            "roy",
            "mute",
            "mona",
            FORBIDDEN,
        ),
        against("a moderator bans himself", "mark", "ban", "mark", INVALID),
        against("an owner mutes herself", "olga", "mute", "olga", INVALID),
    ]
}

fn absurd_ends() -> Vec<Attempt> {
    let ban = |name, until: Value| {
        let more = json!({ "userId": "bob", "until": until });
        act(name, "mona", &json!("ban"), &more, INVALID)
    };
    vec![
        ban("a ban that ended in 1970", json!(5)),
        ban("a ban until before 1970", json!(-5)),
        ban("a ban until a word", json!("tomorrow")),
        ban("a ban until a fraction", json!(4_102_444_800_000.5)),
        ban("a ban until far beyond all numbers", json!(1e40)),
        ban("a ban until beyond exact numbers", json!(1_u64 << 60)),
        ban("a ban until a list", json!([LATER])),
        act(
            "a frozen room with an end",
            "mona",
            &json!("freeze"),
            &json!({ "until": LATER }),
            INVALID,
        ),
        act(
            "an end of an end",
            "mona",
            &json!("unban"),
            &json!({ "userId": "vic", "until": LATER }),
            INVALID,
        ),
    ]
}

fn absurd_orders() -> Vec<Attempt> {
    let order = |name, action: Value, more: Value| act(name, "mona", &action, &more, INVALID);
    vec![
        order("an unknown action", json!("destroy"), json!({ "userId": "bob" })),
        order(
            "an action named __proto__",
            json!("__proto__"),
            json!({ "userId": "bob" }),
        ),
        order("a list of actions", json!(["ban"]), json!({ "userId": "bob" })),
        order("a ban of nobody", json!("ban"), json!({})),
        order("a ban of a list", json!("ban"), json!({ "userId": ["bob"] })),
        order("a ban of a NUL", json!("ban"), json!({ "userId": "bob\0" })),
        order(
            "a ban of an invisible user",
            json!("ban"),
            json!({ "userId": "\u{200b}" }),
        ),
        order(
            "a slow mode of negative seconds",
            json!("slow_mode"),
            json!({ "seconds": -1 }),
        ),
        order(
            "a slow mode of a year",
            json!("slow_mode"),
            json!({ "seconds": 31_536_000 }),
        ),
        order(
            "a slow mode for one user",
            json!("slow_mode"),
            json!({ "seconds": 5, "userId": "bob" }),
        ),
        order(
            "a reason that is an object",
            json!("mute"),
            json!({ "userId": "bob", "reason": { "html": "<b>" } }),
        ),
        act(
            "a reason of 10,000 characters",
            "mona",
            &json!("mute"),
            &json!({ "userId": "bob", "reason": "x".repeat(10_000) }),
            "payload_too_large",
        ),
    ]
}

fn by_the_muted() -> Vec<Attempt> {
    vec![
        emit(
            "a muted user sends",
            "mia",
            "chat:send_message",
            json!({ "room": "den", "text": "hello" }),
            "muted",
        ),
        emit(
            "a muted user edits an old message",
            "mia",
            "chat:edit_message",
            json!({ "room": "den", "seq": 4, "text": "after the mute" }),
            "muted",
        ),
        emit(
            "a muted user reacts",
            "mia",
            "chat:react",
            json!({ "room": "den", "seq": 1, "emoji": "+1" }),
            "muted",
        ),
        against("a muted user ends the mute", "mia", "unmute", "mia", FORBIDDEN),
        call(
            "a backend posts for a muted user",
            "POST /rooms/den/messages",
            json!({ "userId": "mia", "text": "hello" }),
            "403 muted",
        ),
    ]
}

fn by_the_banned(secret: &str) -> Vec<Attempt> {
    let banned = |name, event, argument| emit(name, "vic", event, argument, "banned");
    vec![
        banned("a banned user joins again", "chat:join", json!({ "room": "den" })),
        banned(
            "a banned user sends",
            "chat:send_message",
            json!({ "room": "den", "text": "hello" }),
        ),
        banned(
            "a banned user reads history",
            "chat:get_history",
            json!({ "room": "den" }),
        ),
        banned(
            "a banned user lists members",
            "chat:get_members",
            json!({ "room": "den" }),
        ),
        banned(
            "a banned user reports a message",
            "chat:report",
            json!({ "room": "den", "seq": 1, "reason": "spam" }),
        ),
        against("a banned user ends the ban", "vic", "unban", "vic", "banned"),
        connect(
            "a user with a ban everywhere connects",
            token::for_user(secret, "pia"),
            "banned",
        ),
        call(
            "a backend posts for a banned user",
            "POST /rooms/den/messages",
            json!({ "userId": "vic", "text": "hello" }),
            "403 banned",
        ),
        call(
            "a backend makes a banned user a member",
            "PUT /rooms/den/members/vic",
            json!({}),
            "403 banned",
        ),
        call(
            "a backend makes a user with a ban everywhere an owner",
            "PUT /rooms/attic/members/pia",
            json!({ "role": "owner" }),
            "403 banned",
        ),
    ]
}

fn in_restricted_rooms() -> Vec<Attempt> {
    vec![
        emit(
            "a member sends to a frozen room",
            "ann",
            "chat:send_message",
            json!({ "room": "ice", "text": "hello" }),
            FORBIDDEN,
        ),
        emit(
            "a member edits in a frozen room",
            "ann",
            "chat:edit_message",
            json!({ "room": "ice", "seq": 1, "text": "after the frost" }),
            FORBIDDEN,
        ),
        emit(
            "a member reacts in a frozen room",
            "ann",
            "chat:react",
            json!({ "room": "ice", "seq": 1, "emoji": "+1" }),
            FORBIDDEN,
        ),
        emit(
            "a member sends too soon in slow mode",
            "ann",
            "chat:send_message",
            json!({ "room": "snail", "text": "the second one" }),
            "slow_mode",
        ),
        call(
            "a backend posts too soon for a member in slow mode",
            "POST /rooms/snail/messages",
            json!({ "userId": "ann", "text": "the second one" }),
            "429 slow_mode",
        ),
    ]
}

fn by_backends() -> Vec<Attempt> {
    let ban = |name, body, expected| call(name, "PUT /rooms/den/bans/bob", body, expected);
    let invalid = "400 invalid_request";
    vec![
        ban("a backend's ban in the past", json!({ "until": 5 }), invalid),
        ban(
            "a backend's ban until a word",
            json!({ "until": "soon" }),
            invalid,
        ),
        ban(
            "a ban in the name of another key",
            json!({ "actor": "key:other" }),
            invalid,
        ),
        ban("a ban as a list", json!(["bob"]), invalid),
        ban(
            "a backend's reason of 10,000 characters",
            json!({ "reason": "x".repeat(10_000) }),
            "413 payload_too_large",
        ),
        call(
            "a ban in a room that does not exist",
            "PUT /rooms/nowhere/bans/bob",
            json!({}),
            "404 not_found",
        ),
        call(
            "a ban of a NUL in a path",
            "PUT /rooms/den/bans/%00",
            json!({}),
            invalid,
        ),
        call(
            "the end of a ban that is none",
            "DELETE /rooms/den/bans/bob",
            Value::Null,
            "404 not_found",
        ),
        call(
            "a slow mode that overflows",
            "PUT /rooms/den",
            json!({ "slowMode": u64::MAX }),
            invalid,
        ),
        call(
            "a page of bans after a forged cursor",
            "GET /rooms/den/bans?cursor=%27%20OR%201=1",
            Value::Null,
            invalid,
        ),
    ]
}
