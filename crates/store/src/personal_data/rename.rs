//! Replaces the id of a user in stored JSON.
//!
//! The server's own JSON has ids in known fields only: a user may have the id `ban` or `yes`, and texts stay
//! as they are. In the app's objects, any string may be an id, also the name of a field. The JSON keeps its
//! form otherwise, such as the order of fields.

/// Fields of the server whose values are ids of users, or lists of them.
const IDS: [&str; 12] = [
    "actor",
    "author",
    "blocked",
    "fromUserId",
    "members",
    "mentions",
    "places",
    "reporter",
    "user",
    "userId",
    "userIds",
    "users",
];
/// Fields with objects of the app.
const OF_APP: [&str; 2] = ["data", "metadata"];

/// What a string means where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// A text, or anything else that is no id.
    Text,
    Id,
    /// Any string within an object of the app may be an id.
    App,
}

impl Scope {
    /// The scope of the value of a field, in an object of this scope.
    fn of_field(self, name: &str) -> Self {
        match self {
            Self::App => Self::App,
            _ if OF_APP.contains(&name) => Self::App,
            _ if IDS.contains(&name) => Self::Id,
            _ => Self::Text,
        }
    }
}

/// An open object or list.
struct Level {
    is_object: bool,
    scope: Scope,
    /// The scope of the next value.
    value: Scope,
    /// True where an object expects the name of a field.
    expects_name: bool,
}

/// The JSON with `alias` in place of the user; `None` if it does not name the user, or is no JSON.
pub(super) fn rename(json: &str, user: &str, alias: &str) -> Option<String> {
    let alias = serde_json::to_string(alias).ok()?;
    let mut renamed = String::new();
    let (mut levels, mut copied): (Vec<Level>, usize) = (Vec::new(), 0);
    let mut rest = json.char_indices();
    while let Some((at, c)) = rest.next() {
        let within = levels.last().map_or(Scope::Text, |level| level.value);
        match c {
            '{' | '[' => levels.push(Level {
                is_object: c == '{',
                // An object among ids, such as a member, is one of the server.
                scope: if c == '{' && within == Scope::Id {
                    Scope::Text
                } else {
                    within
                },
                value: within,
                expects_name: c == '{',
            }),
            '}' | ']' => drop(levels.pop()),
            ',' => {
                if let Some(level) = levels.last_mut().filter(|level| level.is_object) {
                    level.expects_name = true;
                }
            }
            '"' => {
                let end = end_of_string(&mut rest)?;
                let token = json.get(at..end)?;
                let text: String = serde_json::from_str(token).ok()?;
                let mut scope = within;
                if let Some(level) = levels.last_mut().filter(|level| level.expects_name) {
                    level.expects_name = false;
                    level.value = level.scope.of_field(&text);
                    // The name itself is an id only where the app chose it.
                    scope = if level.scope == Scope::App {
                        Scope::App
                    } else {
                        Scope::Text
                    };
                }
                if scope != Scope::Text && text == user {
                    renamed.push_str(json.get(copied..at)?);
                    renamed.push_str(&alias);
                    copied = end;
                }
            }
            _ => {}
        }
    }
    if copied == 0 {
        return None;
    }
    renamed.push_str(json.get(copied..)?);
    Some(renamed)
}

/// The end of the string whose opening quote was just read.
fn end_of_string(rest: &mut std::str::CharIndices<'_>) -> Option<usize> {
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => drop(rest.next()?),
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_replaced_and_texts_are_not() {
        let table = [
            (
                r#"{"text":"ban","mentions":["ann","ban"],"metadata":{"z":"ban","ban":[1,{"a":"ban"}]}}"#,
                Some(r#"{"text":"ban","mentions":["ann","x"],"metadata":{"z":"x","x":[1,{"a":"x"}]}}"#),
            ),
            (r#"{"text":"ban"}"#, None),
            (r#"{"text":"he said \"ban\""}"#, None),
            (r#"{"ban":1,"metadata":{"text":"bann"}}"#, None),
            (
                r#"{"Moderated":{"room":1,"act":{"action":"ban","userId":"ban","reason":"ban"}}}"#,
                Some(r#"{"Moderated":{"room":1,"act":{"action":"ban","userId":"x","reason":"ban"}}}"#),
            ),
            (
                r#"{"places":[["ban",3],["ann",1]],"notice":{"title":"ban","data":{"by":"ban"}}}"#,
                Some(r#"{"places":[["x",3],["ann",1]],"notice":{"title":"ban","data":{"by":"x"}}}"#),
            ),
            (
                r#"{"members":[{"userId":"ban","name":"ban","role":"ban"}]}"#,
                Some(r#"{"members":[{"userId":"x","name":"ban","role":"ban"}]}"#),
            ),
            (r#"{ "user" : "b\u0061n" }"#, Some(r#"{ "user" : "x" }"#)),
            (r#"{"user":"ba"#, None),
            ("", None),
        ];
        for (json, expected) in table {
            assert_eq!(rename(json, "ban", "x").as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn ids_with_any_characters_are_found_in_any_form() {
        let json = r#"{"userId":"j\u00fcrg \"\\","users":["jürg \"\\"]}"#;
        let renamed = rename(json, "jürg \"\\", "a\"b").unwrap();
        assert_eq!(renamed, r#"{"userId":"a\"b","users":["a\"b"]}"#);
    }
}
