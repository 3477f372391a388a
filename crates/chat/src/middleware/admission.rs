//! The connect middleware: verifies a client's token and creates its [`Session`], or refuses it with a code.

use std::sync::{Arc, atomic::Ordering};

use roomful_socket::{ClientKind, Reason, Refusal, Socket};
use roomful_store::LogPosition;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    app::App, connection_log, error::ChatError, handlers::profile, notifications::tracker::Device,
    session::Session, types::names::check_device,
};

/// The fields of the handshake's `auth` that the server reads.
#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
    device: Option<Value>,
    /// Whether this client can recover its session. Without it, the kind of client library decides.
    recovery: Option<Value>,
}

/// Closes the transport without a `connect_error`: stock clients then reconnect by themselves, likely to
/// another node.
pub(crate) const NOT_NOW: Reason = Reason::ForcedClose;

/// Admits or refuses a client.
pub(crate) async fn admit(app: &Arc<App>, socket: &Socket) -> Result<(), Refusal> {
    match authenticate(app, socket).await {
        Ok(session) => {
            socket.set_state(session);
            Ok(())
        }
        Err(error) => {
            app.metrics.error(error.code());
            connection_log::refused(app, socket, &error);
            let body = error.body();
            let data = serde_json::to_value(&body).unwrap_or_default();
            Err(Refusal::new(body.message).data(data))
        }
    }
}

async fn authenticate(app: &Arc<App>, socket: &Socket) -> Result<Session, ChatError> {
    if !app.gate.has_lease() {
        socket.close(NOT_NOW);
        return Err(ChatError::Unavailable(
            "this node has no part in its cluster right now",
        ));
    }
    // Take the token out of memory: the socket lives longer.
    let auth = socket.take_auth();
    app.limiters.connect(socket.handshake().address)?;
    let auth: Option<Auth> = auth.and_then(|auth| serde_json::from_str(auth.get()).ok());
    let recovers = auth.as_ref().and_then(|auth| read_flag(auth.recovery.as_ref()?));
    let recovers = recovers.unwrap_or(socket.handshake().client_kind != ClientKind::Python);
    let (token, device) = auth.map_or((None, None), |auth| (auth.token, auth.device));
    let token = token.ok_or(ChatError::Unauthorized(
        "there is no token; connect with auth: {token}, the token being a JWT as a string",
    ))?;
    let verified = app.verify(&token).await;
    if let Err(ChatError::Unavailable(_)) = verified {
        socket.close(NOT_NOW);
    }
    let mut claims = verified?;
    let device = read_device(app, device)?;
    let most = if app.config.rates.enabled {
        app.config.rates.connections_per_user
    } else {
        u32::MAX
    };
    let slot = app.connections.take(&claims, most)?;
    // Take the serial before the check: a later revocation has a larger one.
    let serial = app.serials.fetch_add(1, Ordering::SeqCst);
    // Load the user's status before anyone sees them online: they may be invisible.
    let asked = tokio::try_join!(
        app.check_revoked(&claims.user, claims.issued_at),
        app.check_banned(&claims.user),
        app.presence.recall(&claims.user),
        current_position(app)
    );
    if let Err(ChatError::Unavailable(_)) = asked {
        app.gate.close_briefly();
        socket.close(NOT_NOW);
    }
    let ((), (), (recalled, stored), since) = asked?;
    let decided = app.ask_to_connect(&claims, &token).await;
    if let Err(ChatError::Undecided | ChatError::Unavailable(_)) = decided {
        socket.close(NOT_NOW);
    }
    decided?;
    // Only now: a refused connection changes nothing.
    profile::adopt(app, &mut claims, &stored).await;
    let sends = usize::try_from(app.config.sends_in_flight).unwrap_or(1).max(1);
    let connected_ms = app.clock.monotonic_ms();
    let session = Session::new(
        (serial, since, connected_ms),
        claims,
        (device, !recovers),
        app.limiters.connection(),
        sends,
        slot,
    );
    session.recall(recalled);
    Ok(session)
}

/// The current log position. This node may be behind, so ask the store.
async fn current_position(app: &App) -> Result<LogPosition, ChatError> {
    match &app.cluster {
        Some(_) => Ok(app.store.read_log_head().await?.position),
        None => Ok(LogPosition::ZERO),
    }
}

/// A boolean of the handshake's `auth`. Some clients, such as Java's, can send only strings there.
fn read_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The device name, which tells a user's devices apart. Clients without one share the empty name.
fn read_device(app: &App, device: Option<Value>) -> Result<Device, ChatError> {
    match device {
        None | Some(Value::Null) => Ok(app.notifications.unnamed_device()),
        Some(Value::String(name)) => check_device(&name)
            .map(|()| name.into())
            .map_err(|must| ChatError::InvalidRequest(format!("auth: device {must}"))),
        Some(_) => Err(ChatError::InvalidRequest(
            "auth: device must be a string".to_owned(),
        )),
    }
}
