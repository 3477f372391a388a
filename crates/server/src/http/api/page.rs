//! Pagination: an opaque cursor that encodes the key of a page's last item.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Problem;

/// The number of items in a page: by default, and at most.
const DEFAULT: u32 = 50;
const MOST: u32 = 200;

/// The wanted page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The most items to return. Defaults to 50, capped at 200.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 4_294_967_295_u64)]
    limit: Option<u32>,
    /// The `next` of the previous page.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// The number of items in a page of which a query asks for `limit`.
pub(super) fn page_limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(DEFAULT) {
        0 => Err(Problem::Invalid("limit must be at least 1".into())),
        limit => Ok(limit.min(MOST)),
    }
}

impl PageQuery {
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        page_limit(self.limit)
    }

    /// The key after which the page starts.
    pub(super) fn after(&self) -> Result<Option<String>, Problem> {
        cursor_key(self.cursor.as_deref())
    }

    /// The refusal of a cursor that is not from an earlier page of the list.
    pub(super) fn foreign_cursor() -> Problem {
        Problem::Invalid("cursor must be the next of an earlier page".into())
    }
}

/// The key in a cursor.
pub(super) fn cursor_key(cursor: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let key = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|key| !key.is_empty());
    key.map(Some).ok_or_else(PageQuery::foreign_cursor)
}

/// Truncates `items`, which has one item too many if there is a next page, and returns the cursor of that
/// page.
pub(super) fn cut<T>(items: &mut Vec<T>, limit: u32, key: impl Fn(&T) -> &str) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if items.len() <= limit {
        return None;
    }
    items.truncate(limit);
    items.last().map(|last| cursor_of(key(last)))
}

/// The cursor of the page after this key.
pub(super) fn cursor_of(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_carries_the_cursor_of_the_next_one() {
        let mut names = ["a", "b", "ö"].map(String::from).to_vec();
        assert_eq!(cut(&mut names, 3, |name| name), None);
        let next = cut(&mut names, 2, |name| name);
        assert_eq!(names, ["a", "b"]);
        let query = PageQuery {
            limit: Some(1_000),
            cursor: next,
        };
        assert_eq!(
            (query.limit(), query.after()),
            (Ok(200), Ok(Some("b".to_owned())))
        );
        for cursor in ["", "%", "/w"] {
            let query = PageQuery {
                limit: Some(0),
                cursor: Some(cursor.into()),
            };
            assert!(query.limit().is_err() && query.after().is_err(), "{cursor}");
        }
    }
}
