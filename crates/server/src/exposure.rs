//! Unsafe settings: what `roomful doctor` and the console warn about.

use crate::config::{Algorithm, Config, MIN_SECRET_BYTES};

/// Fewest different characters of a secret that is hard to guess: 32 random bytes in hex have about 14, a
/// typed phrase often has fewer.
const MIN_DIFFERENT_CHARACTERS: usize = 10;

/// How to make a secret that is hard to guess.
const ADVICE: &str = "`openssl rand -base64 48` makes a good one";

/// What `roomful doctor` calls the keys of the HTTP API.
pub(crate) const API_KEY: &str = "API key";

/// An unsafe setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The key of the setting, such as `http.origins` or `api.keys[0].secret`.
    pub(crate) key: String,
    /// The risk, and how to remove it.
    pub(crate) text: String,
}

/// A secret that is set.
pub(crate) struct SetSecret<'a> {
    pub(crate) key: String,
    /// What `roomful doctor` calls it.
    pub(crate) subject: &'static str,
    pub(crate) value: &'a str,
}

/// Everything that is unsafe about the settings: the unsafe settings, and the weak secrets.
pub(crate) fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = unsafe_settings(config);
    warnings.extend(secrets(config).into_iter().filter_map(|secret| {
        let text = weakness(secret.value)?;
        Some(Warning {
            key: secret.key,
            text,
        })
    }));
    warnings
}

/// The settings that make a server unsafe to expose.
pub(crate) fn unsafe_settings(config: &Config) -> Vec<Warning> {
    let warnings = [
        ("dev.enabled", dev_mode(config)),
        ("http.tls.cert", no_tls(config)),
        ("http.metrics_key", open_metrics(config)),
        ("http.origins", any_origin(config)),
        ("limits.rates", no_limits(config)),
    ];
    let warnings = warnings.into_iter().filter_map(|(key, text)| {
        Some(Warning {
            key: key.to_owned(),
            text: text?,
        })
    });
    warnings.collect()
}

fn dev_mode(config: &Config) -> Option<String> {
    let reach = if config.listens_publicly() {
        "other machines can reach it"
    } else {
        "on this machine only"
    };
    config.dev.enabled.then(|| {
        format!("dev mode is on ({reach}): anyone may sign in as anyone; turn dev.enabled off for real users")
    })
}

fn no_tls(config: &Config) -> Option<String> {
    let http = &config.http;
    let plain = config.listens_publicly() && http.trusted_proxies.is_empty() && !http.tls.is_on();
    plain.then(|| {
        format!(
            "{} is public and plain HTTP, so tokens travel unencrypted; set http.tls.cert and http.tls.key, \
             or listen on a private address, put a proxy with TLS in front and list it in \
             http.trusted_proxies",
            config.listen
        )
    })
}

/// The warning that other machines can read the metrics without a key.
fn open_metrics(config: &Config) -> Option<String> {
    let http = &config.http;
    let public = http.ops_listen.is_empty() && config.listens_publicly();
    (public && http.metrics_key.expose().is_none()).then(|| {
        format!(
            "anyone who can reach {} can read /metrics; set http.metrics_key, or serve it on a private \
             address with http.ops_listen",
            config.listen
        )
    })
}

fn any_origin(config: &Config) -> Option<String> {
    let any = config.http.origins.iter().any(|origin| origin == "*");
    any.then(|| "pages of any origin may connect; list yours in http.origins".to_owned())
}

fn no_limits(config: &Config) -> Option<String> {
    (!config.limits.rates).then(|| "the rate limits are off; turn them on outside of benchmarks".to_owned())
}

/// The secrets that the settings contain. A generated one is not among them.
pub(crate) fn secrets(config: &Config) -> Vec<SetSecret<'_>> {
    let (auth, api, cluster) = (&config.auth, &config.api, &config.cluster);
    let single = [
        ("auth.secret", "secret", &auth.secret),
        ("auth.second_secret", "second secret", &auth.second_secret),
        ("cluster.secret", "cluster", &cluster.secret),
        ("cluster.second_secret", "cluster", &cluster.second_secret),
        ("http.metrics_key", "metrics key", &config.http.metrics_key),
        ("api.key", API_KEY, &api.key),
        ("api.second_key", API_KEY, &api.second_key),
    ];
    let single = single
        .into_iter()
        .map(|(key, subject, secret)| (key.to_owned(), subject, secret));
    let tokens = auth.keys.iter().enumerate();
    let tokens = tokens.filter(|(_, key)| key.algorithm == Algorithm::HS256);
    let tokens = tokens.map(|(at, key)| (format!("auth.keys[{at}].secret"), "auth.keys", &key.secret));
    let keys = api.keys.iter().enumerate();
    let keys = keys.map(|(at, key)| (format!("api.keys[{at}].secret"), API_KEY, &key.secret));
    let all = single.chain(tokens).chain(keys);
    all.filter_map(|(key, subject, secret)| {
        let value = secret.expose()?;
        Some(SetSecret { key, subject, value })
    })
    .collect()
}

/// Why a secret is easy to guess; `None` if it is not.
pub(crate) fn weakness(secret: &str) -> Option<String> {
    let mut characters: Vec<u8> = secret.bytes().collect();
    characters.sort_unstable();
    characters.dedup();
    let (length, different) = (secret.len(), characters.len());
    if different < MIN_DIFFERENT_CHARACTERS {
        return Some(format!(
            "it has only {different} different characters and is easy to guess; {ADVICE}"
        ));
    }
    (length < MIN_SECRET_BYTES).then(|| format!("{length} bytes are short; {ADVICE}"))
}
