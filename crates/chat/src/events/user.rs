//! The `user:*` events: profiles.

use schemars::JsonSchema;
use serde::Serialize;

use super::{fields::Fields, shapes};
use crate::{
    error::ChatError,
    types::{Limits, Metadata, Profile},
};

pub(crate) const GET: &str = "user:get";
pub(crate) const UPDATED: &str = "user:updated";

/// `user:get {users: [id]}`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub(crate) struct GetUsers {
    #[schemars(with = "shapes::PresenceUsers")]
    pub(crate) users: Vec<String>,
}

impl GetUsers {
    pub(super) fn read(fields: &mut Fields, limits: &Limits) -> Result<Self, ChatError> {
        match fields.users("users", limits.users_per_subscribe)? {
            Some(users) => Ok(Self { users }),
            None => Err(fields.wrong("users", "is required: a list of user ids")),
        }
    }
}

/// The ack of `user:get`, in the order of the request.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserProfiles<'a> {
    pub(crate) users: Vec<UserProfile<'a>>,
}

/// A user's profile. Fields that the user does not have are `null`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserProfile<'a> {
    pub(crate) user_id: &'a str,
    pub(crate) name: Option<&'a str>,
    /// The URL of the picture.
    pub(crate) avatar: Option<&'a str>,
    pub(crate) metadata: Option<&'a Metadata>,
}

impl<'a> UserProfile<'a> {
    pub(crate) fn of(user_id: &'a str, profile: &'a Profile) -> Self {
        Self {
            user_id,
            name: profile.name.as_deref(),
            avatar: profile.avatar.as_deref(),
            metadata: profile.metadata.as_ref(),
        }
    }
}

/// `user:updated`: a user has a new profile.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserUpdated<'a> {
    #[serde(flatten)]
    pub(crate) user: UserProfile<'a>,
    /// When it was changed, in milliseconds since 1970.
    pub(crate) at: i64,
}
