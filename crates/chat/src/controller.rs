//! From an event to its handler: the checks that all events have in common, then the one `match`.

use std::sync::Arc;

use roomful_socket::{Event, Reason, Socket};
use serde_json::Value;

use crate::{
    app::{App, Context},
    connection_log,
    error::ChatError,
    events::{Command, EventKind},
    handlers::{
        change, connection, inbox, membership, message, notification, presence, receipt, sync, typing,
    },
    reply::{Reply, emit_error},
    session::Session,
};

/// Handles one event of a client, from its raw form to its answer.
pub(crate) async fn handle(app: Arc<App>, socket: Socket, mut event: Event) {
    // Nobody gets past the door without a session.
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    let kind = EventKind::of(&event.name);
    app.metrics.event(kind);
    let ack = event.take_ack();
    let reply = Reply::to_client(socket.clone(), event.name.clone(), ack, app.metrics.clone());
    let context = Context { app, socket, me };
    let command = match context.may_pass().and_then(|()| decode(&context, kind, &event)) {
        Ok(command) => command,
        Err(error) => {
            reply.fail(&error);
            context.socket.count_refused(event.size());
            return context.close_if_abusive(&error);
        }
    };
    if !matches!(command, Command::Send(_)) {
        // Sends may overtake nothing and be overtaken by nothing.
        context
            .me
            .sends_settled(context.app.config.sends_in_flight.max(1))
            .await;
    }
    run(&context, command, reply).await;
}

async fn run(context: &Context, command: Command, reply: Reply) {
    match command {
        Command::Send(send) => message::send(context, send, reply).await,
        Command::Change(ask) => change::change(context, ask, reply).await,
        Command::Join(join) => membership::join(context, join, reply).await,
        Command::Leave(leave) => reply.with(&membership::leave(context, &leave).await),
        Command::TypingStart(at) => reply.with(&typing::start(context, &at)),
        Command::TypingStop(at) => reply.with(&typing::stop(context, &at).await),
        Command::Read(read) => reply.with(&receipt::read(context, &read).await),
        Command::Delivered(delivered) => reply.with(&receipt::delivered(context, &delivered).await),
        Command::History(ask) => message::history(context, &ask, reply).await,
        Command::Sync(ask) => sync::sync(context, &ask, reply).await,
        Command::Inbox(ask) => inbox::inbox(context, &ask, reply).await,
        Command::OnlineUsers(at) => presence::online_users(context, &at, reply).await,
        Command::PresenceSubscribe(users) => reply.with(&presence::subscribe(context, users).await),
        Command::PresenceUnsubscribe(users) => reply.with(&presence::unsubscribe(context, users).await),
        Command::SetStatus(ask) => reply.with(&presence::set_status(context, ask).await),
        Command::NotificationList(ask) => notification::list(context, ask, reply).await,
        Command::NotificationRead(ask) => reply.with(&notification::read(context, ask).await),
        Command::RefreshToken(refresh) => reply.with(&connection::refresh(context, &refresh).await),
        Command::ClientError(error) => reply.succeed(&connection::client_error(context, &error)),
    }
}

fn decode(context: &Context, kind: Option<EventKind>, event: &Event) -> Result<Command, ChatError> {
    let Some(kind) = kind else {
        let name: String = event.name.chars().take(64).collect();
        return Err(ChatError::InvalidRequest(format!(
            "there is no event {name:?}; check its spelling"
        )));
    };
    if !event.payload.attachments().is_empty() {
        return Err(ChatError::InvalidRequest(format!(
            "{} takes no binary data",
            kind.name()
        )));
    }
    let unreadable = |error| {
        // Well-formed, or it would not have come this far: a lone surrogate, a number out of range, too deep.
        ChatError::InvalidRequest(format!("{}: this server can't read the {error}", kind.name()))
    };
    let payload = if event.is_empty() {
        None
    } else {
        Some(event.arg::<Value>(0).map_err(unreadable)?)
    };
    Command::decode(kind, payload, &context.app.config.limits)
}

impl Context {
    /// What every event must pass: the rate limits, and a token that is still good.
    fn may_pass(&self) -> Result<(), ChatError> {
        let address = self.socket.handshake().address;
        self.app
            .limiters
            .event(self.me.limiter.as_ref(), &self.me.user, address)?;
        self.me.accepted();
        // The alarm closes the socket; this holds the line until it has.
        if self.app.clock.now_ms() >= self.app.closes_at(self.me.expires_at()) {
            return Err(ChatError::TokenExpired);
        }
        Ok(())
    }

    /// Who goes on and on after being told to slow down is sent away.
    fn close_if_abusive(&self, error: &ChatError) {
        let ChatError::RateLimited { .. } = error else {
            return;
        };
        if self.me.refused() >= self.app.config.rates.refusals_before_close {
            connection_log::kicked(&self.app, &self.me, &self.socket);
            emit_error(&self.socket, error.body(), None);
            self.socket.close(Reason::ForcedClose);
        }
    }
}
