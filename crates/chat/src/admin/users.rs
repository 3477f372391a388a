//! Backend calls for users: presence, disconnecting, revoking tokens.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use roomful_socket::Socket;
use roomful_store::{LogPosition, ProfileChange};

use super::user_id;
use crate::{
    app::App,
    closing::{close_sockets, disconnect_everywhere, sockets_of},
    detached::run_to_completion,
    error::ChatError,
    events::{
        connection::SessionEnded,
        presence::{State, Status},
    },
    handlers::profile,
    log::control::Control,
    middleware::auth::{display_name, next_second},
    presence::device::Device,
    server::ChatServer,
    session::Session,
    types::{Metadata, Profile, names::check_avatar},
};

/// The stored and live data of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserState {
    /// Their presence.
    pub presence: Presence,
    /// Their profile.
    pub profile: Profile,
    /// Their connections.
    pub devices: Vec<Device>,
}

/// A user's presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The user's id.
    pub user_id: String,
    /// The status derived from their connections and their choice.
    pub status: Status,
    /// Their status text, while they are online.
    pub text: Option<String>,
    /// The current time for online users, else when they went offline or invisible. `None` if they never
    /// connected.
    pub last_seen: Option<i64>,
}

/// The result of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// The server refuses tokens issued before this time (milliseconds since 1970), and tokens without `iat`.
    pub before: i64,
    /// The number of closed sockets.
    pub closed: usize,
}

impl From<State> for Presence {
    fn from(state: State) -> Self {
        Self {
            user_id: state.user_id,
            status: state.status,
            text: state.text,
            last_seen: state.last_seen,
        }
    }
}

impl ChatServer {
    /// The data of a user. Unlike for other users, `invisible` shows as such here.
    ///
    /// # Errors
    /// `not_found` for a user who never connected.
    pub async fn user(&self, user: &str) -> Result<UserState, ChatError> {
        let app = &self.app;
        let user = user_id(user)?;
        let ids = vec![user.to_string()];
        let profile = app.profiles.stored(&user).await?;
        let mut devices: Vec<_> = sockets_of(app, &user).iter().filter_map(Device::of).collect();
        devices.extend(app.presence.remote_devices(&user).await);
        let state = app
            .presence
            .states(ids, Some(&user))
            .await?
            .pop()
            .map(Presence::from);
        let Some(presence) = state else {
            return Err(ChatError::Internal);
        };
        let was_here = presence.last_seen.is_some() || !devices.is_empty();
        // The backend may have made them a member, or given them a profile.
        if !was_here && profile == Profile::default() && app.store.rooms_of(&user, 1).await?.is_empty() {
            return Err(ChatError::NotFound("nobody of this id is known"));
        }
        Ok(UserState {
            presence,
            profile,
            devices,
        })
    }

    /// A user's profile.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id.
    pub async fn profile(&self, user: &str) -> Result<Profile, ChatError> {
        self.app.profiles.stored(&user_id(user)?).await
    }

    /// The profiles of several users. Users without one may be missing.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store failed.
    pub async fn profiles(
        &self,
        users: impl IntoIterator<Item = &str>,
    ) -> Result<HashMap<Arc<str>, Arc<Profile>>, ChatError> {
        Ok(self.app.profiles.of(users).await?.into_iter().collect())
    }

    /// Changes a user's profile. It wins over the tokens that were issued before. Returns the profile after
    /// the change.
    ///
    /// # Errors
    /// `invalid_request` or `payload_too_large` for an invalid id or field; `unavailable` if it is unknown
    /// whether all nodes learn of it.
    pub async fn set_profile(&self, user: &str, change: ProfileChange) -> Result<Profile, ChatError> {
        let (app, user) = (Arc::clone(&self.app), user_id(user)?);
        let change = checked(change, app.config.limits.metadata_bytes)?;
        run_to_completion(async move { profile::set(&app, &user, &change).await }).await
    }

    /// The presence of users as others see it, in the order of the request. Invisible users show as offline.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id, or for more users than one `presence:subscribe` may name.
    pub async fn presence(&self, users: Vec<String>) -> Result<Vec<Presence>, ChatError> {
        let most = self.app.config.limits.users_per_subscribe;
        if users.len() > most {
            let message = format!("the request names {} users; name at most {most}", users.len());
            return Err(ChatError::InvalidRequest(message));
        }
        users.iter().try_for_each(|user| user_id(user).map(drop))?;
        let states = self.app.presence.states(users, None).await?;
        Ok(states.into_iter().map(Presence::from).collect())
    }

    /// Closes a user's connections, so that the stock client does not reconnect by itself. A valid token
    /// still works for a new connection. Returns the number of connections.
    ///
    /// # Errors
    /// `invalid_request` for an invalid id.
    pub async fn disconnect_user(&self, user: &str) -> Result<usize, ChatError> {
        let (app, user) = (Arc::clone(&self.app), user_id(user)?);
        let entry = Control::Disconnected {
            user: user.to_string(),
        };
        run_to_completion(async move { disconnect_everywhere(&app, &user, &entry).await }).await
    }

    /// Revokes a user's tokens issued up to now, for as long as the store keeps revocations, and closes their
    /// connections.
    ///
    /// `iat` counts whole seconds, so the time is rounded up. The issuer's clock may be ahead: a connection
    /// whose token is dated in the future moves the time further, and for as long as
    /// [`ChatConfig::clock_skew_ms`](crate::ChatConfig::clock_skew_ms), other tokens of this user with a
    /// future date are refused.
    pub async fn revoke_user(&self, user: &str) -> Result<Revoked, ChatError> {
        let (app, user) = (Arc::clone(&self.app), user_id(user)?);
        run_to_completion(async move {
            let dates = sockets_of(&app, &user).into_iter();
            let dates = dates.filter_map(|socket| socket.state::<Session>()?.issued_at());
            let before = next_second(dates.max().unwrap_or(0).max(app.clock.now_ms()));
            app.store.revoke(&user, before).await?;
            let serial = app.serials.fetch_add(1, Ordering::SeqCst);
            app.last_revocation.fetch_max(serial, Ordering::SeqCst);
            app.presence.dismiss(&user, app.clock.now_ms());
            let entry = Control::Revoked {
                user: user.to_string(),
                before,
            };
            let closed = disconnect_everywhere(&app, &user, &entry).await?;
            Ok(Revoked { before, closed })
        })
        .await
    }
}

/// Applies a revocation by another node, at this position of the log: closes connections with void tokens. A
/// token that was in use before and is dated even later is void, too: its issuer's clock is ahead.
pub(crate) fn apply_remote_revocation(app: &Arc<App>, user: &str, before: i64, position: LogPosition) {
    let serial = app.serials.fetch_add(1, Ordering::SeqCst);
    app.last_revocation.fetch_max(serial, Ordering::SeqCst);
    let is_void = |session: &Session| {
        let is_ahead = |at: i64| at > before && session.since < position;
        session.issued_at().is_none_or(|at| at < before || is_ahead(at))
    };
    let sockets = sockets_of(app, user);
    let sessions = || sockets.iter().filter_map(Socket::state::<Session>);
    let all_void = sessions().all(|session| is_void(&session));
    let dates = sessions().filter(|session| is_void(session));
    let latest = dates.filter_map(|session| session.issued_at()).max();
    if all_void {
        // Not later than the revocation: the store takes nothing newer about an erased user.
        app.presence
            .dismiss(&user.into(), app.clock.now_ms().min(before - 1));
    }
    close_sockets(app, user, SessionEnded::REVOKED, is_void);
    if let Some(latest) = latest.filter(|latest| *latest >= before) {
        let (app, user) = (Arc::clone(app), user.to_owned());
        tokio::spawn(async move {
            if let Err(error) = app.store.revoke(&user, next_second(latest)).await {
                tracing::error!(?user, %error, "failed to revoke a token that is dated in the future");
            }
        });
    }
}

/// The change with a clean name, if all its fields are valid.
fn checked(mut change: ProfileChange, most_bytes: usize) -> Result<ProfileChange, ChatError> {
    if let Some(Some(name)) = &change.name {
        let clean = display_name(name).ok_or_else(|| {
            ChatError::InvalidRequest("name must contain a visible character; null removes it".to_owned())
        })?;
        change.name = Some(Some(clean.to_string()));
    }
    if let Some(Some(avatar)) = &change.avatar {
        check_avatar(avatar).map_err(|must| ChatError::InvalidRequest(format!("avatar {must}")))?;
    }
    if let Some(Some(metadata)) = &change.metadata {
        if metadata.len() > most_bytes {
            let message = format!("metadata is larger than {most_bytes} bytes of JSON");
            return Err(ChatError::PayloadTooLarge(message));
        }
        let object = serde_json::from_str(metadata).ok().and_then(Metadata::new);
        object.ok_or_else(|| ChatError::InvalidRequest(format!("metadata {}", Metadata::RULE)))?;
    }
    Ok(change)
}
