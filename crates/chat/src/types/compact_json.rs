//! JSON without the white space between its parts.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// Removes white space outside of strings. The rest keeps its form: the order of keys, repeated keys, and
/// numbers as they were written.
///
/// So a JSON text that somebody else wrote cannot break a line of an export, and two forms of one text that
/// differ in white space are equal.
pub(crate) fn compact(json: Box<RawValue>) -> Box<RawValue> {
    match without_white_space(json.get()) {
        Cow::Borrowed(_) => json,
        // The rest of a JSON text is a JSON text.
        Cow::Owned(compact) => RawValue::from_string(compact).unwrap_or(json),
    }
}

fn without_white_space(json: &str) -> Cow<'_, str> {
    let (mut in_string, mut is_escaped) = (false, false);
    let mut is_part = |char: char| {
        match char {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => in_string = !in_string,
            ' ' | '\n' | '\r' | '\t' => return in_string,
            _ => {}
        }
        true
    };
    let Some(first) = json.find(|char| !is_part(char)) else {
        return Cow::Borrowed(json);
    };
    let (mut compact, rest) = (json[..first].to_owned(), &json[first + 1..]);
    compact.extend(rest.chars().filter(|char| is_part(*char)));
    Cow::Owned(compact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_between_parts_goes_and_the_rest_stays() {
        for (json, compact) in [
            (r#"{"b":1,"a":[1.0,1e2],"b":2}"#, r#"{"b":1,"a":[1.0,1e2],"b":2}"#),
            ("{\"a\":\n1,\r\n\t\"b c\" : [ ]\n}", r#"{"a":1,"b c":[]}"#),
            ("{\"a \\\" b\" : \"\\\\\" , \"ü\": 1}", r#"{"a \" b":"\\","ü":1}"#),
        ] {
            assert_eq!(without_white_space(json), compact);
        }
    }

    #[test]
    fn a_compact_text_is_not_copied() {
        assert!(matches!(without_white_space(r#"{"a b":1}"#), Cow::Borrowed(_)));
    }
}
