//! A user's profile: name, picture and the app's own fields.

use std::sync::Arc;

use roomful_store::UserRow;

use super::{Claims, Metadata};

/// A user's profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The display name.
    pub name: Option<Arc<str>>,
    /// The URL of the picture.
    pub avatar: Option<Arc<str>>,
    /// The app's own fields.
    pub metadata: Option<Metadata>,
    /// When the app's backend set it, in milliseconds since 1970; 0 if it never did.
    pub set_at: i64,
}

impl From<UserRow> for Profile {
    fn from(row: UserRow) -> Self {
        Self {
            name: row.name.map(Arc::from),
            avatar: row.avatar.map(Arc::from),
            metadata: row
                .metadata
                .and_then(|json| serde_json::from_str(&json).ok())
                .and_then(Metadata::new),
            set_at: row.profile_set_at,
        }
    }
}

impl Profile {
    /// The profile with the name and picture of a token. A profile that the backend set after the token was
    /// issued stays as it is, and so do fields that the token does not have.
    pub(crate) fn with_claims(&self, claims: &Claims) -> Self {
        let mut profile = self.clone();
        if self.set_at <= claims.issued_at.unwrap_or_default() {
            profile.name = claims.name.as_ref().or(self.name.as_ref()).cloned();
            profile.avatar = claims.avatar.as_ref().or(self.avatar.as_ref()).cloned();
        }
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_loses_against_what_the_backend_set_after_it() {
        let (ann, anna): (Arc<str>, Arc<str>) = ("Ann".into(), "Anna".into());
        let set = Profile {
            name: Some(Arc::clone(&ann)),
            set_at: 1_000,
            ..Profile::default()
        };
        let token = |name: Option<&Arc<str>>, issued_at| Claims {
            user: "ann".into(),
            name: name.cloned(),
            avatar: None,
            expires_at: i64::MAX,
            issued_at,
            rooms: None,
            moderator: false,
            sees: None,
        };
        let with = |issued_at| set.with_claims(&token(Some(&anna), issued_at)).name;
        assert_eq!(with(Some(999)), Some(Arc::clone(&ann)));
        assert_eq!(with(None), Some(Arc::clone(&ann)));
        assert_eq!(with(Some(1_000)), Some(Arc::clone(&anna)));
        assert_eq!(set.with_claims(&token(None, Some(2_000))), set);
    }
}
