//! From an event to its handler: the checks that all events have in common, then the one `match`.

use std::sync::Arc;

use roomful_socket::{Event, Reason, Socket};
use serde_json::Value;

use crate::{
    error::ChatError,
    events::{Command, EventKind},
    handlers::{
        change, connection, inbox, membership, message, notification, presence, receipt, sync, typing,
    },
    reply::{Reply, emit_error},
    room_manager::RoomRef,
    servers::chat::Chat,
    session::Session,
    types::RoomName,
};

/// Where a handler stands: in whose chat, on which socket.
pub(crate) struct Context {
    pub(crate) chat: Arc<Chat>,
    pub(crate) socket: Socket,
    pub(crate) me: Arc<Session>,
}

/// Handles one event of a client, from its raw form to its answer.
pub(crate) async fn handle(chat: Arc<Chat>, socket: Socket, mut event: Event) {
    // Nobody gets past the door without a session.
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    let kind = EventKind::of(&event.name);
    chat.metrics.event(kind);
    let ack = event.take_ack();
    let reply = Reply::to_client(socket.clone(), event.name.clone(), ack, chat.metrics.clone());
    let context = Context { chat, socket, me };
    let command = match context.may_pass().and_then(|()| decode(&context, kind, &event)) {
        Ok(command) => command,
        Err(error) => {
            reply.fail(&error);
            return context.close_if_abusive(&error);
        }
    };
    if !matches!(command, Command::Send(_)) {
        // Sends may overtake nothing and be overtaken by nothing.
        context
            .me
            .sends_settled(context.chat.config.sends_in_flight.max(1))
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
    Command::decode(kind, payload, &context.chat.config.limits)
}

impl Context {
    /// What every event must pass: the rate limits, and a token that is still good.
    fn may_pass(&self) -> Result<(), ChatError> {
        let address = self.socket.handshake().address;
        self.chat
            .limiters
            .event(self.me.limiter.as_ref(), &self.me.user, address)?;
        self.me.accepted();
        // The alarm closes the socket; this holds the line until it has.
        if self.chat.clock.now_ms() >= self.chat.closes_at(self.me.expires_at()) {
            return Err(ChatError::TokenExpired);
        }
        Ok(())
    }

    /// Who goes on and on after being told to slow down is sent away.
    fn close_if_abusive(&self, error: &ChatError) {
        let ChatError::RateLimited { .. } = error else {
            return;
        };
        if self.me.refused() >= self.chat.config.rates.refusals_before_close {
            emit_error(&self.socket, error.body(), None);
            self.socket.close(Reason::ForcedClose);
        }
    }

    /// A room that the user is a member of and may use. Forbidden and unknown rooms answer alike.
    pub(crate) async fn my_room(&self, name: &RoomName) -> Result<RoomRef, ChatError> {
        if let Some(room) = self.me.joined(name) {
            return Ok(room);
        }
        if !self.me.allows(name) {
            return Err(ChatError::Forbidden);
        }
        let room = self
            .chat
            .rooms
            .open(name, false)
            .await?
            .ok_or(ChatError::Forbidden)?;
        let member = self.chat.store.member(room.id, &self.me.user).await?;
        member.map(|_| room).ok_or(ChatError::Forbidden)
    }
}
