//! Log lines about connections: one when a client connects, one when it disconnects, and some about refused
//! clients.

use roomful_socket::{ClientKind, Reason, Socket};

use crate::{app::App, error::ChatError, recovery::refusal::Refusal, session::Session};

/// Logs that a client is connected. `recovered` says whether it continues an earlier session. If it asked to
/// and could not, `refused_recovery` says why.
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
        refused_recovery = me.refused_recovery().map(Refusal::label),
        "client connected"
    );
}

/// Logs that a client is gone. `offset` is the last one that it can have received: if it comes back with it,
/// nothing was lost on the way. Clients that cannot recover have none.
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
        offset = (!me.plain).then(|| app.log.offset(app.log.applied())).flatten(),
        refused_recovery = me.refused_recovery().map(Refusal::label),
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
