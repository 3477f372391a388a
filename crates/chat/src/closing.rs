//! Closing the connections of a user.

use roomful_socket::Socket;

use crate::{
    app::App,
    error::ChatError,
    events::connection::{SESSION_ENDED, SessionEnded},
    log::control::Control,
    session::Session,
    types::UserId,
};

/// Closes those of the user's connections on this node that satisfy `which`. Returns how many.
pub(crate) fn close_sockets(
    app: &App,
    user: &str,
    end: SessionEnded,
    which: impl Fn(&Session) -> bool,
) -> usize {
    let mut sockets = sockets_of(app, user);
    sockets.retain(|socket| socket.state::<Session>().is_some_and(|session| which(&session)));
    for socket in &sockets {
        drop(socket.emit(SESSION_ENDED, &end));
        socket.disconnect(true);
    }
    sockets.len()
}

/// A user's sockets. The call is rare, so it scans all sockets instead of maintaining an index.
pub(crate) fn sockets_of(app: &App, user: &str) -> Vec<Socket> {
    let is_theirs = |socket: &Socket| {
        socket
            .state::<Session>()
            .is_some_and(|session| *session.user == *user)
    };
    let mut sockets = app.namespace.sockets();
    sockets.retain(is_theirs);
    sockets
}

/// Closes the user's connections on this node and discards their recoverable sessions. Returns the number of
/// connections.
pub(crate) async fn send_away_here(app: &App, user: &UserId, end: SessionEnded) -> Result<usize, ChatError> {
    let closed = close_sockets(app, user, end, |_| true);
    app.store.end_lost_sessions(user).await?;
    Ok(closed)
}

/// Closes the user's connections on all nodes (`entry` is the control entry for the others) and discards
/// their recoverable sessions. Returns the number of connections.
pub(crate) async fn disconnect_everywhere(
    app: &App,
    user: &UserId,
    entry: &Control,
) -> Result<usize, ChatError> {
    let on_other_nodes = app.presence.remote_devices(user).await.len();
    let end = match entry {
        Control::Revoked { .. } => SessionEnded::REVOKED,
        _ => SessionEnded::KICKED,
    };
    let closed = send_away_here(app, user, end).await?;
    if let Some(cluster) = &app.cluster {
        cluster.command(entry).await?;
    }
    Ok(closed + on_other_nodes)
}
