//! Configuration: any text as a file, and its lines as environment variables. Errors have a text of one
//! screen.
#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use roomful::fuzzing::check_config;

/// The longest error: it may quote a value.
const LONGEST_ERROR: usize = 16 * 1024;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("roomful-fuzz-{}.toml", std::process::id())));

fn check(outcome: Result<(), String>) {
    if let Err(error) = outcome {
        assert!(
            !error.is_empty() && error.len() <= LONGEST_ERROR,
            "{} bytes",
            error.len()
        );
    }
}

fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    Some((format!("ROOMFUL_{name}"), value.to_owned()))
}

fuzz_target!(|text: &str| {
    // A setting may name a file to read. A device never ends, or waits for input.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    fs::write(&*FILE, text).expect("a file");
    check(check_config(Some(FILE.clone()), Vec::new()));
    check(check_config(None, text.lines().filter_map(variable).collect()));
});
