//! Handlers for profiles: reading them, and changes by tokens and by the backend.

use std::sync::Arc;

use roomful_socket::Socket;
use roomful_store::ProfileChange;

use crate::{
    app::{App, Context},
    detached::run_to_completion,
    error::ChatError,
    events::user::{GetUsers, UPDATED, UserProfile, UserProfiles, UserUpdated},
    log::control::Control,
    middleware::price,
    reply::Reply,
    session::Session,
    types::{Claims, Metadata, Profile, UserId},
};

/// The size of a profile without its texts, in bytes.
const PROFILE_BYTES: usize = 64;

/// `user:get`.
pub(crate) async fn get(context: &Context, ask: &GetUsers, reply: Reply) {
    let found = context
        .app
        .profiles
        .of(ask.users.iter().map(String::as_str))
        .await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return reply.fail(&error),
    };
    let none = Profile::default();
    let profile = |user: &String| found.get(user.as_str()).map_or(&none, Arc::as_ref);
    let profiles = || ask.users.iter().map(|user| (user, profile(user)));
    let bytes = profiles().map(|(_, profile)| bytes(profile)).sum();
    context.me.add_debt(price::of_answer(bytes));
    reply.succeed(&UserProfiles {
        users: profiles()
            .map(|(user, profile)| UserProfile::of(user, profile))
            .collect(),
    });
}

fn bytes(profile: &Profile) -> usize {
    let texts = [profile.name.as_deref(), profile.avatar.as_deref()];
    let texts: usize = texts.into_iter().flatten().map(str::len).sum();
    PROFILE_BYTES + texts + profile.metadata.as_ref().map_or(0, Metadata::len)
}

/// Merges the claims of a new or refreshed token with the user's stored profile, and stores the result if it
/// differs. Returns when everybody sees the profile. A failure leaves the old one.
pub(crate) async fn adopt(app: &Arc<App>, claims: &mut Claims, stored: &Profile) {
    let profile = stored.with_claims(claims);
    claims.name.clone_from(&profile.name);
    claims.avatar.clone_from(&profile.avatar);
    if profile == *stored {
        return;
    }
    let (app, user, issued_at) = (Arc::clone(app), Arc::clone(&claims.user), claims.issued_at);
    let stored = run_to_completion(async move {
        take(&app, &user, &profile, issued_at.unwrap_or_default())
            .await
            .inspect_err(|error| tracing::warn!(%error, "failed to store the profile of a token"))
    });
    drop(stored.await);
}

/// Stores and shows the profile of a token that was issued at this time.
async fn take(app: &App, user: &UserId, profile: &Profile, issued_at: i64) -> Result<(), ChatError> {
    let (name, avatar) = (profile.name.as_deref(), profile.avatar.as_deref());
    let before = app.profiles.changes();
    let row = app.store.take_profile(user, name, avatar, issued_at).await?;
    announce(app, user, &row.into(), before).await
}

/// Changes a profile for the backend.
///
/// # Errors
/// `unavailable`, `internal`: the store failed, or it is unknown whether the other nodes learn of it.
pub(crate) async fn set(app: &App, user: &UserId, change: &ProfileChange) -> Result<Profile, ChatError> {
    let before = app.profiles.changes();
    let row = app.store.put_profile(user, change, app.clock.now_ms()).await?;
    let profile = Profile::from(row);
    announce(app, user, &profile, before).await?;
    Ok(profile)
}

/// Shows on this node that an erased user has no profile since the time `at`.
///
/// # Errors
/// `unavailable`, `internal`: the store failed.
pub(crate) async fn erased(app: &App, user: &UserId, at: i64) -> Result<(), ChatError> {
    app.profiles.forget(user);
    show(app, user, &Profile::default(), at).await
}

/// Shows a profile on all nodes. It was stored since the number of changes was `before`.
async fn announce(app: &App, user: &UserId, profile: &Profile, before: u64) -> Result<(), ChatError> {
    app.profiles.changed(user, profile, before);
    let at = app.clock.now_ms();
    show(app, user, profile, at).await?;
    if let Some(cluster) = &app.cluster {
        let user = user.to_string();
        cluster.command(&Control::ProfileChanged { user, at }).await?;
    }
    Ok(())
}

/// Shows a profile that another node has stored.
pub(crate) async fn apply_remote_profile(app: &App, user: UserId, at: i64) {
    let shown = match app.profiles.one(&user).await {
        Ok(profile) => show(app, &user, &profile, at).await,
        Err(error) => Err(error),
    };
    if let Err(error) = shown {
        tracing::warn!(%error, "failed to announce the profile of a user");
    }
}

/// Shows a new profile on this node: in the user's sessions, and to all users who share a room with them.
async fn show(app: &App, user: &UserId, profile: &Profile, at: i64) -> Result<(), ChatError> {
    let mut sockets = app.connections.sockets(user);
    for session in sockets.iter().filter_map(Socket::state::<Session>) {
        session.set_profile(profile);
    }
    app.presence.rename(user, profile.name.clone());
    let rooms = app.store.rooms_of(user, app.config.rooms_per_user).await?;
    let rooms: Vec<_> = rooms.into_iter().map(|room| room.id).collect();
    sockets.extend(app.presence.sockets_in(user, &rooms));
    let event = UserUpdated {
        user: UserProfile::of(user, profile),
        at,
    };
    app.emit_to_sockets(&sockets, UPDATED, &event);
    Ok(())
}
