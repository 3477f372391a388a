//! Findings about settings that make a server unsafe to expose.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use super::{Finding, Verdict, finding};
use crate::{
    config::Config,
    exposure::{self, Warning},
};

/// One warning for each unsafe setting, or one line that there is none.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let warnings = exposure::unsafe_settings(config);
    if warnings.is_empty() {
        return vec![finding("exposure", Verdict::Ok, "no unsafe setting found")];
    }
    let warnings = warnings.into_iter();
    warnings
        .map(|Warning { text, .. }| finding("exposure", Verdict::Warn, text))
        .collect()
}

/// The finding about a file with secrets that every user of the machine can read.
pub(super) fn secret_file(file: &Path) -> Option<Finding> {
    let mode = file.metadata().ok()?.permissions().mode() & 0o777;
    let shown = file.display();
    (mode & 0o004 != 0).then(|| {
        let text = format!(
            "every user of this machine can read the secrets in {shown} (mode {mode:03o}); run `chmod o-rwx \
             {shown}`"
        );
        finding("files", Verdict::Warn, text)
    })
}

/// The finding about one secret or key.
pub(super) fn strength(subject: &'static str, secret: &str) -> Finding {
    match exposure::weakness(secret) {
        Some(text) => finding(subject, Verdict::Warn, text),
        None => finding(subject, Verdict::Ok, format!("{} bytes", secret.len())),
    }
}
