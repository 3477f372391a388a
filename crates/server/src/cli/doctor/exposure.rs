//! Findings about settings that make a server unsafe to expose.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use super::{Finding, Verdict, finding};
use crate::config::{Config, MIN_SECRET_BYTES};

/// Fewest different characters of a secret that is hard to guess: 32 random bytes in hex have about 14, a
/// typed phrase often has fewer.
const MIN_DIFFERENT_CHARACTERS: usize = 10;

/// One warning for each unsafe setting, or one line that there is none.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let public = config.listens_publicly();
    let listen = &config.listen;
    let warnings = [
        config.dev.enabled.then(|| {
            let reach = if public {
                "other machines can reach it"
            } else {
                "on this machine only"
            };
            format!(
                "dev mode is on ({reach}): anyone may sign in as anyone; turn dev.enabled off for real \
                users"
            )
        }),
        (public && config.http.trusted_proxies.is_empty() && !config.http.tls.is_on()).then(|| {
            format!(
                "{listen} is public and plain HTTP, so tokens travel unencrypted; set http.tls.cert and \
                 http.tls.key, or listen on a private address, put a proxy with TLS in front and list it in \
                 http.trusted_proxies"
            )
        }),
        open_metrics(config).map(|address| {
            format!(
                "anyone who can reach {address} can read /metrics; set http.metrics_key, or serve it on a \
                 private address with http.ops_listen"
            )
        }),
        config
            .http
            .origins
            .iter()
            .any(|origin| origin == "*")
            .then(|| "pages of any origin may connect; list yours in http.origins".to_owned()),
        (!config.limits.rates)
            .then(|| "the rate limits are off; turn them on outside of benchmarks".to_owned()),
    ];
    let warnings: Vec<_> = warnings
        .into_iter()
        .flatten()
        .map(|text| finding("exposure", Verdict::Warn, text))
        .collect();
    if warnings.is_empty() {
        return vec![finding("exposure", Verdict::Ok, "no unsafe setting found")];
    }
    warnings
}

/// The address at which other machines can read the metrics without a key.
fn open_metrics(config: &Config) -> Option<&str> {
    let http = &config.http;
    let public = http.ops_listen.is_empty() && config.listens_publicly();
    (public && http.metrics_key.expose().is_none()).then_some(&config.listen)
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
    let advice = "`openssl rand -base64 48` makes a good one";
    let mut characters: Vec<u8> = secret.bytes().collect();
    characters.sort_unstable();
    characters.dedup();
    let (length, different) = (secret.len(), characters.len());
    if different < MIN_DIFFERENT_CHARACTERS {
        let text = format!("it has only {different} different characters and is easy to guess; {advice}");
        return finding(subject, Verdict::Warn, text);
    }
    if length < MIN_SECRET_BYTES {
        return finding(
            subject,
            Verdict::Warn,
            format!("{length} bytes are short; {advice}"),
        );
    }
    finding(subject, Verdict::Ok, format!("{length} bytes"))
}
