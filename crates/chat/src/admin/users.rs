//! Where users stand; sending them away; voiding their tokens.

use std::sync::{Arc, atomic::Ordering};

use roomful_socket::Socket;

use super::user_id;
use crate::{
    app::App,
    detached::run_to_completion,
    error::ChatError,
    events::presence::{State, Status},
    log::control::Control,
    presence::device::Device,
    server::ChatServer,
    session::Session,
    types::UserId,
};

/// What is known of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserState {
    /// Where they stand.
    pub presence: Presence,
    /// The name that they last had.
    pub name: Option<String>,
    /// Their connections.
    pub devices: Vec<Device>,
}

/// Where a user stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub user_id: String,
    /// What their devices amount to.
    pub status: Status,
    /// What they say about it, while they are online.
    pub text: Option<String>,
    /// Now, or when their last session ended, or when they became invisible; `None` for a user who was never here.
    pub last_seen: Option<i64>,
}

/// What a revocation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Tokens issued before this time are refused, and those that do not say when they were issued.
    pub before: i64,
    /// How many sockets were closed.
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
    /// What is known of a user, who shows here as invisible if they chose to be.
    ///
    /// # Errors
    /// `not_found` for a user who was never here.
    pub async fn user(&self, user: &str) -> Result<UserState, ChatError> {
        let app = &self.app;
        let user = user_id(user)?;
        let ids = vec![user.to_string()];
        let known = app.store.users(&ids).await?.pop();
        let mut devices: Vec<_> = sockets_of(app, &user).iter().filter_map(Device::of).collect();
        devices.extend(app.presence.devices_elsewhere(&user).await);
        let state = app
            .presence
            .states(ids, Some(&user))
            .await?
            .pop()
            .map(Presence::from);
        match state {
            Some(presence) if presence.last_seen.is_some() || !devices.is_empty() => Ok(UserState {
                presence,
                name: known.and_then(|user| user.name),
                devices,
            }),
            _ => Err(ChatError::NotFound("nobody of this id was ever here")),
        }
    }

    /// Where these users stand as others see them, who take the invisible for offline; in the order asked for; as many at a time as one `presence:subscribe` may name.
    ///
    /// # Errors
    /// `invalid_request` for more users, or an id that no user can have.
    pub async fn presence(&self, users: Vec<String>) -> Result<Vec<Presence>, ChatError> {
        let most = self.app.config.limits.users_per_subscribe;
        if users.len() > most {
            let message = format!("{} users are asked for; {most} at most", users.len());
            return Err(ChatError::InvalidRequest(message));
        }
        users.iter().try_for_each(|user| user_id(user).map(drop))?;
        let states = self.app.presence.states(users, None).await?;
        Ok(states.into_iter().map(Presence::from).collect())
    }

    /// Closes a user's connections for good: the stock client does not come back by itself. With a token that is still
    /// good they may connect anew. Answers how many there were.
    ///
    /// # Errors
    /// `invalid_request` for an id that no user can have.
    pub async fn disconnect_user(&self, user: &str) -> Result<usize, ChatError> {
        let (app, user) = (Arc::clone(&self.app), user_id(user)?);
        let told = Control::Disconnected {
            user: user.to_string(),
        };
        run_to_completion(async move { send_away(&app, &user, &told).await }).await
    }

    /// Voids every token of a user that was issued up to now, for as long as revocations are kept, and closes their
    /// connections.
    ///
    /// Tokens count whole seconds (`iat`): those of the present second may be from before this call, so they are void
    /// too. A token for the user is good again if it was issued in the next second.
    pub async fn revoke_user(&self, user: &str) -> Result<Revoked, ChatError> {
        let (app, user) = (Arc::clone(&self.app), user_id(user)?);
        run_to_completion(async move {
            let before = (app.clock.now_ms().div_euclid(1_000) + 1).saturating_mul(1_000);
            app.store.revoke(&user, before).await?;
            let serial = app.serials.fetch_add(1, Ordering::SeqCst);
            app.last_revocation.fetch_max(serial, Ordering::SeqCst);
            let told = Control::Revoked {
                user: user.to_string(),
                before,
            };
            let closed = send_away(&app, &user, &told).await?;
            Ok(Revoked { before, closed })
        })
        .await
    }
}

/// Closes the user's connections, here and, by what they are `told`, on the other nodes; and forgets those that were lost:
/// nobody takes them up again. Answers how many connections there were.
async fn send_away(app: &App, user: &UserId, told: &Control) -> Result<usize, ChatError> {
    let elsewhere = app.presence.devices_elsewhere(user).await.len();
    let closed = close_sockets(app, user, |_| true);
    app.store.end_lost_sessions(user).await?;
    if let Some(cluster) = &app.cluster {
        cluster.command(told).await?;
    }
    Ok(closed + elsewhere)
}

/// Closes for good those of the user's connections here for which `which` holds. Answers how many there were.
pub(crate) fn close_sockets(app: &App, user: &str, which: impl Fn(&Session) -> bool) -> usize {
    let mut sockets = sockets_of(app, user);
    sockets.retain(|socket| socket.state::<Session>().is_some_and(|session| which(&session)));
    for socket in &sockets {
        socket.disconnect(true);
    }
    sockets.len()
}

/// A user's sockets. Asked for seldom, so it looks at all there are rather than keep a list for each user.
fn sockets_of(app: &App, user: &str) -> Vec<Socket> {
    let is_theirs = |socket: &Socket| {
        socket
            .state::<Session>()
            .is_some_and(|session| *session.user == *user)
    };
    let mut sockets = app.namespace.sockets();
    sockets.retain(is_theirs);
    sockets
}
