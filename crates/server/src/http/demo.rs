//! The routes of dev mode: a token for any name, without a password, and faults for tests. Without dev mode
//! they do not exist.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State, rejection::JsonRejection},
    routing::{get, post},
};
use http::StatusCode;
use roomful_chat::ChatServer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Problem;
use crate::{
    clock,
    token::{Claims, Signer},
};

/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 64;
/// The largest request body, in bytes.
const MAX_BODY_BYTES: usize = 4096;

struct Demo {
    signer: Signer,
    ttl: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    name: String,
}

/// The response to a sign-in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedIn {
    token: String,
    user_id: String,
    name: String,
    /// Milliseconds since 1970.
    expires_at: u64,
}

/// Faults to cause. The package `@roomful/testing` asks for them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Faults {
    /// Starts or ends an outage.
    outage: Option<bool>,
    /// Whether all tokens issued so far expire now.
    #[serde(default)]
    expire_tokens: bool,
}

/// The routes of dev mode: signing in, and faults of `chat`. `signer` signs the tokens, which expire after
/// `ttl`.
pub(crate) fn router(chat: ChatServer, signer: Signer, ttl: Duration) -> Router {
    Router::new()
        .route("/demo/faults", post(faults))
        .with_state(chat)
        .merge(signing_in(signer, ttl))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

fn signing_in(signer: Signer, ttl: Duration) -> Router {
    Router::new()
        .route("/demo/config", get(config))
        .route("/demo/sign-in", post(sign_in))
        .with_state(Arc::new(Demo { signer, ttl }))
}

async fn faults(
    State(chat): State<ChatServer>,
    body: Result<Json<Faults>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(wanted) = body?;
    if let Some(outage) = wanted.outage {
        chat.set_outage(outage);
    }
    if wanted.expire_tokens {
        chat.expire_tokens().await;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn config() -> Json<Value> {
    Json(json!({"dev": true, "maxNameChars": MAX_NAME_CHARS}))
}

async fn sign_in(
    State(demo): State<Arc<Demo>>,
    body: Result<Json<SignIn>, JsonRejection>,
) -> Result<Json<SignedIn>, Problem> {
    let Json(SignIn { name }) = body.map_err(|rejection| match Problem::from(rejection) {
        Problem::TooSlow => Problem::TooSlow,
        _ => Problem::Invalid("Send JSON such as {\"name\": \"Alice\"} as application/json.".to_owned()),
    })?;
    let name = name.trim();
    let user_id = user_id(name)?;
    let claims = Claims::new(user_id.clone(), clock::unix_seconds(), demo.ttl).named(Some(name.to_owned()));
    let token = demo.signer.sign(&claims).map_err(|error| {
        tracing::error!(%error, "failed to sign a token for dev mode");
        Problem::Internal
    })?;
    Ok(Json(SignedIn {
        token,
        user_id,
        name: name.to_owned(),
        expires_at: claims.expires_at().saturating_mul(1000),
    }))
}

/// Derives a user id: the name's letters and digits in lower case, with one dash for everything between them.
fn user_id(name: &str) -> Result<String, Problem> {
    let wrong = || {
        let what = format!(
            "A name has 1 to {MAX_NAME_CHARS} characters, no control characters, and at least one letter or \
            digit."
        );
        Problem::Invalid(what)
    };
    if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(wrong());
    }
    let parts: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect();
    // The lower case of a name can be longer than the name, and a token's "sub" has a maximum length.
    Some(parts.join("-"))
        .filter(|id| crate::token::is_user_id(id))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn post(body: &str, kind: &str) -> (StatusCode, Value) {
        let signer = Signer::new("0123456789abcdef0123456789abcdef", None);
        let request = Request::post("/demo/sign-in")
            .header("content-type", kind)
            .body(Body::from(body.to_owned()));
        let response = signing_in(signer, Duration::from_mins(1))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .oneshot(request.unwrap())
            .await
            .unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn a_user_id_consists_of_the_letters_and_digits_of_the_name() {
        for (name, id) in [
            ("Alice", "alice"),
            ("Bob  the 2nd!", "bob-the-2nd"),
            ("Zoë", "zoë"),
            ("李雷", "李雷"),
        ] {
            assert_eq!(user_id(name).unwrap(), id);
        }
        for name in ["", "!!", "a\u{7}b", &"x".repeat(65)] {
            assert!(user_id(name).is_err(), "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_name_gets_a_token() {
        let (status, answer) = post("{\"name\": \" Alice B \"}", "application/json").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            (answer["userId"].as_str(), answer["name"].as_str()),
            (Some("alice-b"), Some("Alice B"))
        );
        assert_eq!(answer["token"].as_str().unwrap().split('.').count(), 3);
        assert!(answer["expiresAt"].as_u64().unwrap() > 1_600_000_000_000);
    }

    #[tokio::test]
    async fn an_invalid_sign_in_is_an_invalid_request() {
        let long = format!("{{\"name\": \"{}\"}}", "x".repeat(5000));
        for (body, kind) in [
            ("{\"name\": \"\"}", "application/json"),
            ("{\"name\": 1}", "application/json"),
            ("{\"name\": \"Alice\", \"role\": \"admin\"}", "application/json"),
            ("[", "application/json"),
            ("{\"name\": \"Alice\"}", "text/plain"),
            (long.as_str(), "application/json"),
        ] {
            let (status, answer) = post(body, kind).await;
            assert_eq!(
                (status, answer["error"]["code"].as_str()),
                (StatusCode::BAD_REQUEST, Some("invalid_request"))
            );
        }
    }
}
