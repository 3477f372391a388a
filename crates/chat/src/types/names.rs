//! The rules for every name and short text that a client chooses: one place, so that all entries check alike.
//!
//! Each rule answers with the violated condition as the end of a sentence that begins with the field's name.

/// The longest user id, in characters.
pub(crate) const USER_ID_CHARS: usize = 128;
/// The longest room name, in bytes of UTF-8.
pub(crate) const ROOM_NAME_BYTES: usize = 128;
/// The longest id of a notification, in characters.
pub(crate) const NOTIFICATION_ID_CHARS: usize = 128;
/// The longest device name, in characters.
pub(crate) const DEVICE_CHARS: usize = 64;
/// The longest URL of a picture, in characters.
pub(crate) const AVATAR_CHARS: usize = 2_048;
/// The longest reaction, in bytes. An emoji sequence of a family with skin tones fits.
pub(crate) const EMOJI_BYTES: usize = 32;
/// The longest `reason` of a report, in characters.
pub(crate) const REPORT_REASON_CHARS: usize = 64;

/// The violated rule, as the end of a sentence.
pub type Violation = &'static str;

/// What the names of API keys begin with, where a user or a key may stand: as the actor of an audit record,
/// or as the one who deleted a message.
const KEY_PREFIX: &str = "key:";

const CONTROL: Violation = "must not contain control characters";
const INVISIBLE: Violation = "must contain a visible character";

/// Checks a user id: 1 to 128 characters, no control characters, at least one visible character.
///
/// # Errors
/// The violated rule.
pub fn check_user_id(id: &str) -> Result<(), Violation> {
    if id.is_empty() || id.chars().count() > USER_ID_CHARS {
        return Err("must be 1 to 128 characters long");
    }
    check_visible(id)
}

/// Checks the id of a user who acts, or whom the backend acts on: a user id that names no API key. Otherwise
/// a user could act under the name of a key, and the erasure of that user would change the key's audit
/// records.
///
/// # Errors
/// The violated rule.
pub fn check_acting_user_id(id: &str) -> Result<(), Violation> {
    if id.starts_with(KEY_PREFIX) {
        return Err("must not begin with \"key:\", which names API keys");
    }
    check_user_id(id)
}

/// Checks a room name: 1 to 128 bytes, no control characters, no outer white space, at least one visible
/// character.
pub(crate) fn check_room_name(name: &str) -> Result<(), Violation> {
    if name.is_empty() || name.len() > ROOM_NAME_BYTES {
        return Err("must be 1 to 128 bytes long");
    }
    if name.trim().len() != name.len() && !name.chars().any(is_control) {
        return Err("must not begin or end with white space");
    }
    check_visible(name)
}

/// Checks a device name: 1 to 64 characters, no control characters, at least one visible character.
pub(crate) fn check_device(name: &str) -> Result<(), Violation> {
    if name.is_empty() || name.chars().count() > DEVICE_CHARS {
        return Err("must be 1 to 64 characters long");
    }
    check_visible(name)
}

/// Checks a reaction: 1 to 32 bytes, no control characters, at least one visible character. The app decides
/// which reactions it offers.
pub(crate) fn check_emoji(emoji: &str) -> Result<(), Violation> {
    if emoji.is_empty() || emoji.len() > EMOJI_BYTES {
        return Err("must be 1 to 32 bytes long");
    }
    check_visible(emoji)
}

/// Checks the URL of a picture: 1 to 2,048 visible characters without white space, and no script or page.
/// Clients decide what else they load.
pub(crate) fn check_avatar(url: &str) -> Result<(), Violation> {
    if url.is_empty() || url.chars().count() > AVATAR_CHARS {
        return Err("must be 1 to 2,048 characters long");
    }
    if url.chars().any(char::is_whitespace) {
        return Err("must not contain white space");
    }
    if is_active(url) {
        return Err("must not be a script or a page");
    }
    check_visible(url)
}

/// Whether a browser that opens the URL may run code in it. A client may show a picture as a link.
fn is_active(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once(':') else {
        return false;
    };
    match scheme.to_ascii_lowercase().as_str() {
        "javascript" | "vbscript" => true,
        "data" => rest
            .get(..6)
            .is_none_or(|kind| !kind.eq_ignore_ascii_case("image/")),
        _ => false,
    }
}

/// Checks an id that the app chooses, such as a `clientId`: no control characters. The caller checks its
/// length.
pub(crate) fn check_id(id: &str) -> Result<(), Violation> {
    check_controls(id)
}

/// Checks a status text: no control characters. The caller checks its length.
pub(crate) fn check_status_text(text: &str) -> Result<(), Violation> {
    check_controls(text)
}

/// Whether the text shows anything at all: a character that is neither white space nor invisible.
pub(crate) fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_ignorable(c))
}

fn check_visible(text: &str) -> Result<(), Violation> {
    check_controls(text)?;
    if is_visible(text) { Ok(()) } else { Err(INVISIBLE) }
}

fn check_controls(text: &str) -> Result<(), Violation> {
    if text.chars().any(is_control) {
        return Err(CONTROL);
    }
    Ok(())
}

/// Control characters, and the two separators that break a line like one.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Unicode's `Default_Ignorable_Code_Point` (UAX 44): zero-width characters, bidi controls, variation
/// selectors, tags and fillers. They show nothing on their own. The blank braille pattern shows nothing
/// either.
pub(crate) const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVISIBLE_NAMES: [&str; 8] = [
        " ",
        "\u{3000}\u{a0}",
        "\u{200b}",
        "\u{200d}\u{feff}\u{2060}",
        "\u{202e}",
        "\u{2066}\u{2069}\u{200f}",
        "\u{3164}\u{115f}",
        "\u{e0061}\u{fe0f}",
    ];

    #[test]
    fn names_that_show_nothing_are_refused() {
        for name in INVISIBLE_NAMES {
            assert!(check_user_id(name).is_err(), "user {name:?}");
            assert!(check_room_name(name).is_err(), "room {name:?}");
            assert!(check_device(name).is_err(), "device {name:?}");
            assert!(check_emoji(name).is_err(), "emoji {name:?}");
        }
    }

    #[test]
    fn names_in_any_script_are_accepted() {
        for name in [
            "alice",
            "a b",
            "a,b",
            "..",
            "комната",
            "مستخدم\u{200f}",
            "ありす",
            "👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}",
        ] {
            assert_eq!(check_user_id(name), Ok(()), "user {name:?}");
            assert_eq!(check_room_name(name), Ok(()), "room {name:?}");
            assert_eq!(check_device(name), Ok(()), "device {name:?}");
            assert_eq!(check_emoji(name), Ok(()), "emoji {name:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_everywhere() {
        for text in ["a\0", "a\nb", "\u{1b}[31ma", "a\u{85}", "a\u{2028}b", "a\u{7f}"] {
            let checks = [
                check_user_id,
                check_room_name,
                check_device,
                check_emoji,
                check_id,
                check_status_text,
            ];
            for check in checks {
                assert_eq!(check(text), Err(CONTROL), "{text:?}");
            }
        }
    }

    #[test]
    fn no_user_acts_under_the_name_of_a_key() {
        assert!(check_acting_user_id("key:default").is_err());
        assert!(check_acting_user_id("").is_err());
        for id in ["key", "keys:a", "Key:a", " key:a"] {
            assert_eq!(check_acting_user_id(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn a_picture_is_no_script_and_no_page() {
        for url in [
            "https://x.test/a.png",
            "/a.png",
            "a:b",
            "data:image/png;base64,AA==",
            "https://x.test/?u=javascript:alert(1)",
        ] {
            assert_eq!(check_avatar(url), Ok(()), "{url}");
        }
        for url in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "vbscript:x",
            "data:text/html,<script>",
            "data:,x",
            "java\nscript:alert(1)",
            "\u{1}javascript:alert(1)",
            " javascript:alert(1)",
        ] {
            assert!(check_avatar(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(check_user_id(&"ж".repeat(128)), Ok(()));
        assert!(check_user_id(&"x".repeat(129)).is_err());
        assert!(check_room_name(&"ж".repeat(65)).is_err());
        assert!(check_device(&"x".repeat(65)).is_err());
        assert!(check_emoji(&"x".repeat(33)).is_err());
        assert!(check_user_id("").is_err());
    }
}
