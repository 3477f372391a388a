//! Closing all connections of a user on this node.

use roomful_socket::Socket;

use crate::{
    app::App,
    events::connection::{SESSION_ENDED, SessionEnded},
    session::Session,
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
