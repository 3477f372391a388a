//! Extractors for JSON bodies, paths and queries. They reject invalid input with a [`Problem`] that names the
//! mistake.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use roomful_chat::types::whole_number;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Number, Value, value::RawValue};

use super::Problem;
use crate::json_reason::json_reason;

/// Extracts a JSON object from the body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        object(request, state).await.map(Self)
    }
}

/// Reads an object from its text, so that raw fields keep the order of their keys and the digits of their
/// numbers. serde alone would also accept a list of a struct's fields.
async fn object<S: Send + Sync, T: DeserializeOwned>(request: Request, state: &S) -> Result<T, Problem> {
    let Json(text) = Json::<Box<RawValue>>::from_request(request, state).await?;
    if !text.get().starts_with('{') {
        return Err(Problem::Invalid("the body must be a JSON object".to_owned()));
    }
    serde_json::from_str(text.get())
        .map_err(|error| Problem::Invalid(format!("the body: {}", json_reason(&error))))
}

/// Extracts a JSON object in which every field is optional. An empty body is `T::default()`.
pub(super) struct OptionalBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        object(Request::from_parts(parts, bytes.into()), state)
            .await
            .map(Self)
    }
}

/// A body that must be empty or `{}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The name of a room or the id of a user in a path.
///
/// Clients rewrite paths with the segments `.` and `..`, so such names need another form: `~` and the name
/// in URL-safe base64 without padding. Names that start with `~` need it too.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Some(encoded) = text.strip_prefix('~') else {
            return Ok(Self(text));
        };
        let name = URL_SAFE_NO_PAD
            .decode(encoded)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        name.map(Self)
            .ok_or_else(|| D::Error::custom("after ~ comes the name in URL-safe base64 without padding"))
    }
}

/// Reads a present field as `Some`, including an explicit null.
#[expect(clippy::option_option, reason = "an absent field differs from null")]
pub(super) fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// A whole number, which may be written with a fraction of zero, as in events.
struct Whole<T>(T);

impl<'de, T: TryFrom<u64>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Value::Number(Number::deserialize(deserializer)?);
        whole_number(&number)
            .and_then(|whole| T::try_from(whole).ok())
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{number} is not a whole number in range")))
    }
}

/// Reads an optional whole number.
pub(super) fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(field: D) -> Result<Option<T>, D::Error> {
    let number = Option::<Whole<T>>::deserialize(field)?;
    Ok(number.map(|Whole(number)| number))
}

/// Reads a present whole number as `Some`, including an explicit null.
#[expect(clippy::option_option, reason = "an absent field differs from null")]
pub(super) fn named_whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    whole(field).map(Some)
}

/// Extracts the variables of the path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Path::from_request_parts(parts, state).await;
        match found {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(Problem::Invalid(rejection.body_text())),
        }
    }
}

/// The mistake in a query, in the words of the errors of bodies.
fn query_reason(text: &str) -> String {
    let mut text = text.replacen("Failed to deserialize query string", "the query", 1);
    for (words, plain) in [
        ("invalid digit found in string", "not a whole number"),
        ("cannot parse integer from empty string", "not a whole number"),
        (
            "number too large to fit in target type",
            "the number is too large",
        ),
        (
            "provided string was not `true` or `false`",
            "neither true nor false",
        ),
    ] {
        text = text.replace(words, plain);
    }
    text
}

/// Extracts the query.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = axum::extract::Query::from_request_parts(parts, state).await;
        match found {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::Invalid(query_reason(&rejection.body_text()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_query_is_named_in_plain_words() {
        let reason = query_reason("Failed to deserialize query string: seq: invalid digit found in string");
        assert_eq!(reason, "the query: seq: not a whole number");
    }
}
