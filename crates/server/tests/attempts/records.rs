//! Attempts with exports, erasures, the audit log, and what operators ask.

use serde_json::{Value, json};

use crate::attempt::{Attempt, call};

const INVALID: &str = "400 invalid_request";
const NOT_FOUND: &str = "404 not_found";
const METHOD: &str = "405 invalid_request";

pub(crate) fn rows() -> Vec<Attempt> {
    [erasures(), exports(), audit(), questions(), replays()].concat()
}

fn get(name: &'static str, path: &str, expected: &'static str) -> Attempt {
    call(name, &format!("GET {path}"), Value::Null, expected)
}

fn erasures() -> Vec<Attempt> {
    let erase = |name, path: &str, expected| call(name, &format!("DELETE {path}"), Value::Null, expected);
    vec![
        erase(
            "an erasure that keeps everything",
            "/users/ann?messages=keep",
            INVALID,
        ),
        erase(
            "an erasure that says how twice",
            "/users/ann?messages=delete&messages=anonymise",
            INVALID,
        ),
        erase("an erasure of a NUL", "/users/%00?messages=delete", INVALID),
        erase(
            "an erasure of nobody visible",
            "/users/%E2%80%8B?messages=delete",
            INVALID,
        ),
        erase(
            "an erasure of half a character",
            "/users/%E2%80?messages=delete",
            INVALID,
        ),
        erase(
            "an erasure of a name that is not base64",
            "/users/~!!?messages=delete",
            INVALID,
        ),
        erase("an erasure of all users", "/users?messages=delete", NOT_FOUND),
        erase(
            "an erasure of a pattern, of whose name there is nobody",
            "/users/%25?messages=delete",
            "200",
        ),
        erase(
            "an erasure of a path, of whose name there is nobody",
            "/users/..%2Fann?messages=delete",
            "200",
        ),
        erase(
            "an erasure of a user who is named like a field of messages",
            "/users/text?messages=delete",
            "200",
        ),
        erase(
            "an erasure of an erased user",
            "/users/era?messages=delete",
            "200",
        ),
        erase(
            "an erasure of an API key in the audit log",
            "/users/key:default?messages=delete",
            INVALID,
        ),
        erase(
            "an erasure of an encoded API key in the audit log",
            "/users/key%3Adefault?messages=anonymise",
            INVALID,
        ),
        call(
            "an erasure by a POST",
            "POST /users/ann",
            json!({ "messages": "delete" }),
            METHOD,
        ),
    ]
}

fn exports() -> Vec<Attempt> {
    vec![
        get("an export of a pattern", "/users/%25/export", "200 empty"),
        get("an export of SQL", "/users/'%20OR%20''='/export", "200 empty"),
        get("an export of a path", "/users/..%2Fann/export", "200 empty"),
        get("an export of a NUL", "/users/ann%00/export", INVALID),
        get("an export of half a character", "/users/%FF/export", INVALID),
        call("an export by a POST", "POST /users/ann/export", json!({}), METHOD),
    ]
}

fn audit() -> Vec<Attempt> {
    let write = |name, method: &str| call(name, &format!("{method} /audit"), json!({}), METHOD);
    vec![
        write("a POST of an audit record", "POST"),
        write("a PUT of the audit log", "PUT"),
        write("a DELETE of the audit log", "DELETE"),
        write("a PATCH of the audit log", "PATCH"),
        call(
            "a DELETE of one audit record",
            "DELETE /audit/1",
            Value::Null,
            NOT_FOUND,
        ),
        get(
            "an actor with SQL in the audit log",
            "/audit?actor='%20OR%20''='",
            "200 empty",
        ),
        get(
            "an action with SQL in the audit log",
            "/audit?action=x'%3B%20DROP%20TABLE%20audit%3B--",
            "200 empty",
        ),
        get("an actor as a pattern", "/audit?actor=%25", "200 empty"),
        get("audit records after a negative one", "/audit?after=-1", INVALID),
        get("audit records after SQL", "/audit?after=1%20OR%201=1", INVALID),
        get(
            "audit records before all numbers",
            "/audit?before=99999999999999999999",
            INVALID,
        ),
        get("no audit records", "/audit?limit=0", INVALID),
        get("negative audit records", "/audit?limit=-1", INVALID),
    ]
}

fn questions() -> Vec<Attempt> {
    vec![
        get("an explanation of nothing", "/explain", INVALID),
        get(
            "an explanation of the message 0",
            "/explain?user=ann&room=den&seq=0",
            INVALID,
        ),
        get(
            "an explanation of a message beyond exact numbers",
            "/explain?user=ann&room=den&seq=18446744073709551615",
            INVALID,
        ),
        get(
            "an explanation for a NUL",
            "/explain?user=%00&room=den&seq=1",
            INVALID,
        ),
        get(
            "an explanation in a room that does not exist",
            "/explain?user=ann&room=nowhere&seq=1",
            NOT_FOUND,
        ),
        get(
            "an explanation of a deletion",
            "/explain?user=ann&room=den&seq=3",
            NOT_FOUND,
        ),
        get("connections of a NUL", "/connections?user=%00", INVALID),
        get(
            "connections after a forged cursor",
            "/connections?cursor=YWJj",
            INVALID,
        ),
        get(
            "connections after a negative one",
            "/connections?cursor=LTE",
            INVALID,
        ),
        get(
            "connections of SQL",
            "/connections?user='%20OR%20''='",
            "200 empty",
        ),
        call(
            "a change of the history of statistics",
            "POST /stats/history",
            json!({}),
            METHOD,
        ),
        get("presence of nobody", "/presence", INVALID),
    ]
}

fn replays() -> Vec<Attempt> {
    vec![
        get(
            "records in an unknown state",
            "/webhooks/records?state=lost",
            INVALID,
        ),
        call(
            "a replay with a target",
            "POST /webhooks/replay",
            json!({ "url": "http://169.254.169.254/" }),
            INVALID,
        ),
        call(
            "a disconnect with a victim in its body",
            "POST /users/nobody/disconnect",
            json!({ "userId": "ann" }),
            INVALID,
        ),
    ]
}
