//! The check at the door: a connecting client shows a token, and is let in with a [`Session`] or refused with a code.

use std::sync::atomic::Ordering;

use roomful_socket::{ClientKind, Reason, Refusal, Socket};
use roomful_store::LogPosition;
use serde::Deserialize;
use serde_json::Value;

use crate::{app::App, connection_log, error::ChatError, notifications::tracker::Device, session::Session};

/// The part of the handshake's `auth` that matters here.
#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
    device: Option<Value>,
    /// Whether this client can take up its session again. Without it, the kind of its client library decides.
    recovery: Option<Value>,
}

/// A lost connection, and not a refusal: after that, stock clients come back by themselves, most likely elsewhere.
const NOT_NOW: Reason = Reason::ForcedClose;
/// The longest `auth.device`, in characters.
const DEVICE_CHARS: usize = 64;

/// Lets a client in, or says why not.
pub(crate) async fn admit(app: &App, socket: &Socket) -> Result<(), Refusal> {
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

async fn authenticate(app: &App, socket: &Socket) -> Result<Session, ChatError> {
    if !app.gate.has_lease() {
        socket.close(NOT_NOW);
        return Err(ChatError::Unavailable(
            "this node has no part in its cluster right now",
        ));
    }
    // Taken out, so that the token does not stay in memory for as long as the socket.
    let auth = socket.take_auth();
    app.limiters.connect(socket.handshake().address)?;
    let auth: Option<Auth> = auth.and_then(|auth| serde_json::from_str(auth.get()).ok());
    let recovers = match auth.as_ref().and_then(|auth| auth.recovery.as_ref()) {
        Some(Value::Bool(recovers)) => *recovers,
        _ => socket.handshake().client_kind != ClientKind::Python,
    };
    let (token, device) = auth.map_or((None, None), |auth| (auth.token, auth.device));
    let token = token.ok_or(ChatError::Unauthorized(
        "there is no token; connect with auth: {token}, the token being a JWT as a string",
    ))?;
    let claims = app.verify(&token)?;
    let device = read_device(app, device)?;
    let most = if app.config.rates.enabled {
        app.config.rates.connections_per_user
    } else {
        u32::MAX
    };
    let slot = app.connections.take(&claims, most)?;
    // Before the look at the revocations: one that comes later has a larger number.
    let serial = app.serials.fetch_add(1, Ordering::SeqCst);
    // What the user shows as is known before anybody is told that they are there: they may be invisible.
    let asked = tokio::try_join!(
        app.check_revoked(&claims.user, claims.issued_at),
        app.presence.recall(&claims.user),
        now_in_the_order(app)
    );
    if let Err(ChatError::Unavailable(_)) = asked {
        app.gate.close_briefly();
        socket.close(NOT_NOW);
    }
    let ((), recalled, since) = asked?;
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

/// Where the order of all entries stands. This node may not have come so far yet, so the store is asked.
async fn now_in_the_order(app: &App) -> Result<LogPosition, ChatError> {
    match &app.cluster {
        Some(_) => Ok(app.store.read_log_head().await?.position),
        None => Ok(LogPosition::ZERO),
    }
}

/// The name by which the client tells its device from the user's others. Without one it shares the nameless one.
fn read_device(app: &App, device: Option<Value>) -> Result<Device, ChatError> {
    match device {
        None | Some(Value::Null) => Ok(app.notifications.nameless()),
        Some(Value::String(name)) if (1..=DEVICE_CHARS).contains(&name.chars().count()) => Ok(name.into()),
        Some(_) => Err(ChatError::InvalidRequest(format!(
            "auth: device must be a string of 1 to {DEVICE_CHARS} characters"
        ))),
    }
}
