use super::*;

fn rules(rules: Vec<ContentRule>) -> ContentRules {
    let table = ContentRules::default();
    table.replace(rules);
    table
}

fn words(lines: &str, action: RuleAction) -> ContentRule {
    ContentRule::words(lines, action, &[]).unwrap()
}

fn applied(table: &ContentRules, room: &str, text: &str) -> Result<String, ChatError> {
    let mut text = text.to_owned();
    table.apply(&Metrics::new(), (room, "ann"), &mut text)?;
    Ok(text)
}

#[test]
fn masks_replace_exactly_the_characters_of_whole_words() {
    let table = rules(vec![words(
        "bad\ncafé\nstraße\nbad word\n\u{4f5c}\u{5f0a}\n바보\n\u{1f595}\n",
        RuleAction::Mask,
    )]);
    let cases = [
        ("a bad day", "a *** day"),
        ("BAD, Bad!", "***, ***!"),
        ("badge, forbad, bad_, bad2", "badge, forbad, bad_, bad2"),
        ("a bad word here", "a ******** here"),
        ("bad words", "*** words"),
        // Full width letters, and letters with separate accents.
        ("ｂａｄ ＢＡＤ", "*** ***"),
        ("un café, un cafe\u{301}!", "un ****, un ****!"),
        ("cafe, bad\u{301}", "cafe, bad\u{301}"),
        ("STRASSE Straße", "******* ******"),
        // Invisible characters do not hide a word, and go with it.
        ("b\u{200b}a\u{ad}d", "***"),
        ("\u{200b}bad", "\u{200b}***"),
        ("b\u{3164}ad", "***"),
        ("b\u{2800}ad", "***"),
        // No spaces between words, or endings.
        ("考试\u{4f5c}\u{5f0a}了", "考试**了"),
        ("바보야, 밥", "**야, 밥"),
        ("so\u{1f595}so", "so*so"),
        ("", ""),
        ("ünïcödé", "ünïcödé"),
    ];
    for (text, expected) in cases {
        assert_eq!(applied(&table, "lobby", text).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn a_refusal_wins_over_masks_and_does_not_name_the_word() {
    let table = rules(vec![
        words("bad\n", RuleAction::Mask),
        words("worse\n", RuleAction::Refuse),
    ]);
    assert_eq!(applied(&table, "lobby", "bad").unwrap(), "***");
    let refused = applied(&table, "lobby", "bad and worse").unwrap_err();
    assert_eq!(refused.code().as_str(), "refused");
    assert!(!refused.to_string().contains("worse"));
    assert!(!refused.retryable());
}

#[test]
fn a_flag_leaves_the_text_as_it_is() {
    let table = rules(vec![words("bad\n", RuleAction::Flag)]);
    assert_eq!(applied(&table, "lobby", "bad").unwrap(), "bad");
}

#[test]
fn patterns_see_composed_letters_and_mask_whole_ones() {
    let digits = ContentRule::pattern(r"\b\d{4} ?\d{4}\b", RuleAction::Mask, &[]).unwrap();
    let accent = ContentRule::pattern("(?i)caf\u{e9}", RuleAction::Mask, &[]).unwrap();
    let table = rules(vec![digits, accent]);
    for (text, expected) in [
        ("call 1234 5678 now", "call ********* now"),
        ("１２３４５６７８", "********"),
        ("12345", "12345"),
        ("Cafe\u{301}s", "****s"),
    ] {
        assert_eq!(applied(&table, "lobby", text).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn a_rule_applies_to_its_rooms_only() {
    let rooms = ["kids-*".to_owned()];
    let table = rules(vec![
        ContentRule::words("bad\n", RuleAction::Mask, &rooms).unwrap(),
    ]);
    assert_eq!(applied(&table, "kids-1", "bad").unwrap(), "***");
    assert_eq!(applied(&table, "lobby", "bad").unwrap(), "bad");
}

#[test]
fn invalid_rules_are_refused_with_the_reason() {
    let long = format!("ok\n{}\n", "a".repeat(300));
    let error = ContentRule::words(&long, RuleAction::Flag, &[]).unwrap_err();
    assert!(error.starts_with("line 2 "), "{error}");
    let error = ContentRule::pattern("(", RuleAction::Flag, &[]).unwrap_err();
    assert!(error.contains("unclosed group"), "{error}");
    let error = ContentRule::pattern("a*", RuleAction::Flag, &[]).unwrap_err();
    assert!(error.contains("every message"), "{error}");
    assert!(ContentRule::pattern(r"(\w{100}){100}", RuleAction::Flag, &[]).is_err());
}

proptest::proptest! {
    /// No text is longer after a mask, and all characters outside of matches stay.
    #[test]
    fn any_text_is_masked_within_its_length(text in "\\PC{0,40}") {
        let table = rules(vec![words("a\nb\n\u{301}\n", RuleAction::Mask)]);
        let masked = applied(&table, "lobby", &text).unwrap();
        proptest::prop_assert!(masked.len() <= text.len());
        if masked == text {
            return Ok(());
        }
        let kept: String = masked.chars().filter(|c| *c != '*').collect();
        let mut rest = text.chars();
        proptest::prop_assert!(kept.chars().all(|c| rest.any(|original| original == c)));
    }
}

/// Prints the time of a message with 100,000 words: `cargo test --release -p roomful-chat --lib -- --ignored
/// --nocapture time_of_a_message`.
#[test]
#[ignore = "a measurement"]
#[allow(
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "measures real time; a letter fits into a byte"
)]
fn time_of_a_message_with_100_000_words() {
    let mut seed = 1_u64;
    let mut next = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % bound
    };
    let mut word = || -> String {
        let length = 4 + next(8);
        (0..length).map(|_| char::from(b'a' + next(26) as u8)).collect()
    };
    let list: Vec<_> = (0..100_000).map(|_| word()).collect();
    let table = rules(vec![words(&list.join("\n"), RuleAction::Refuse)]);
    let text =
        "The quick brown fox jumps over the lazy dog, and then it writes a message of a hundred letters";
    let accents = "Le renard brun rapide saute par-dessus le chien paresseux, été après été, déjà à la forêt";
    let metrics = Metrics::new();
    for text in [text, accents] {
        let rounds = 100_000_u32;
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            let mut text = text.to_owned();
            table.apply(&metrics, ("lobby", "ann"), &mut text).unwrap();
        }
        println!("{} bytes: {:?} a message", text.len(), start.elapsed() / rounds);
    }
}
