//! Log lines about connections: one when a client connects, one when it disconnects, and some about refused
//! clients.

use roomful_socket::{ClientKind, Reason, Socket};

use crate::{app::App, error::ChatError, session::Session};

/// Logs that a client is connected. `recovered` says whether it continues an earlier session.
pub(crate) fn connected(app: &App, me: &Session, socket: &Socket, recovered: bool) {
    if !is_sampled(app, me) {
        return;
    }
    let handshake = socket.handshake();
    tracing::info!(
        user = &*me.user,
        session = socket.id().as_str(),
        node = app.node(),
        address = %handshake.address,
        client = client(handshake.client_kind),
        transport = socket.transport(),
        recovered,
        "client connected"
    );
}

/// Logs that a client is gone, with the position up to which its node has applied the log.
pub(crate) fn disconnected(app: &App, me: &Session, socket: &Socket, reason: Reason) {
    if !is_sampled(app, me) {
        return;
    }
    let duration_ms = app.clock.monotonic_ms().saturating_sub(me.connected_ms);
    tracing::info!(
        user = &*me.user,
        session = socket.id().as_str(),
        node = app.node(),
        address = %socket.handshake().address,
        transport = socket.transport(),
        duration_ms,
        cause = reason.label(),
        position = %app.log.applied(),
        "client disconnected"
    );
}

/// Logs that a client was refused. Strangers cause these lines, so their rate is limited.
pub(crate) fn refused(app: &App, socket: &Socket, error: &ChatError) {
    if app.limiters.may_log() {
        let handshake = socket.handshake();
        tracing::info!(
            address = %handshake.address,
            client = client(handshake.client_kind),
            code = error.code().as_str(),
            reason = %error,
            "refused a client"
        );
    }
}

/// Logs that a client is disconnected because it ignored its rate limits.
pub(crate) fn kicked(app: &App, me: &Session, socket: &Socket) {
    if app.limiters.may_log() {
        tracing::info!(
            user = &*me.user,
            session = socket.id().as_str(),
            address = %socket.handshake().address,
            "disconnecting a client that ignores its rate limits"
        );
    }
}

/// Both lines of a connection appear, or none.
fn is_sampled(app: &App, me: &Session) -> bool {
    match app.config.log_connections {
        0 => false,
        every => me.serial.is_multiple_of(every),
    }
}

fn client(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Stock => "stock",
        ClientKind::Python => "python",
    }
}
