//! The path from an event to its handler: checks that all events share, then the one `match`.

use std::sync::Arc;

use roomful_socket::{ArgError, Event, Reason, Socket};
use roomful_store::Caller;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    app::{App, Context},
    connection_log,
    error::ChatError,
    events::{Command, EventKind},
    handlers::{
        blocks, change, connection, inbox, members, membership, message, moderation, notification, presence,
        profile, receipt, reports, sync, typing,
    },
    middleware::{price, rate_limit::Payer},
    reply::{Reply, emit_error},
    session::Session,
};

/// After this many refusals in a row, a connection pauses.
const REFUSALS_BEFORE_PAUSE: u32 = 10;

/// Handles one event of a client, from its raw form to its ack.
pub(crate) async fn handle(app: Arc<App>, socket: Socket, mut event: Event) {
    // `admission` sets the session before the socket enters the namespace.
    let Some(me) = socket.state::<Session>() else {
        return;
    };
    let kind = EventKind::of(&event.name);
    app.metrics.event(kind);
    let reply = Reply::to_client(socket.clone(), &mut event, app.metrics.clone());
    let context = Context { app, socket, me };
    let command = match admit(&context, kind, &event) {
        Ok(command) => command,
        Err(error) => {
            let error = context.with_retry_slot(error);
            reply.fail(&error);
            return context.slow_down(&error).await;
        }
    };
    if !matches!(command, Command::Send(_)) {
        // Sends keep their order among themselves. Any other event waits for the sends before it.
        context
            .me
            .sends_settled(context.app.config.sends_in_flight.max(1))
            .await;
    }
    let mut caller = Caller::user(&context.me.user);
    if only_answers(&command) {
        if !context.socket.is_open() {
            return;
        }
        let socket = context.socket.clone();
        caller = caller.until(move || !socket.is_open());
    }
    caller.run(run(&context, command, reply)).await;
}

/// Whether the command has no effect but its answer, so that nobody needs it once the client has gone.
fn only_answers(command: &Command) -> bool {
    matches!(
        command,
        Command::History(_)
            | Command::Sync(_)
            | Command::Inbox(_)
            | Command::OnlineUsers(_)
            | Command::NotificationList(_)
            | Command::Members(_)
            | Command::Blocks
            | Command::GetUsers(_)
    )
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
        Command::Unsubscribe(at) => reply.with(&membership::unsubscribe(context, &at).await),
        Command::Members(ask) => members::members(context, &ask, reply).await,
        Command::Moderate(ask) => reply.with(&moderation::moderate(context, &ask).await),
        Command::Block(ask) => reply.with(&blocks::block(context, &ask).await),
        Command::Unblock(ask) => reply.with(&blocks::unblock(context, ask).await),
        Command::Blocks => reply.with(&blocks::blocks(context).await),
        Command::Report(ask) => reply.with(&reports::report(context, ask).await),
        Command::GetUsers(ask) => profile::get(context, &ask, reply).await,
        Command::Ping => reply.succeed(&connection::ping(context)),
        Command::ClientError(error) => reply.succeed(&connection::client_error(context, &error)),
    }
}

/// Charges and decodes an event. Its size counts before it is decoded, and its work after.
fn admit(context: &Context, kind: Option<EventKind>, event: &Event) -> Result<Command, ChatError> {
    let price = if kind == Some(EventKind::Ping) && context.me.may_ping_free(context.app.clock.monotonic_ms())
    {
        0
    } else {
        price::of_event(event.payload.text().len())
    };
    context.may_pass(price)?;
    let command = decode(context, kind, event)?;
    context
        .app
        .limiters
        .surcharge(&context.payer(), price, price::of_command(&command))?;
    context.me.accepted();
    Ok(command)
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
    let unreadable = |error: ArgError| ChatError::InvalidRequest(unreadable(kind, &error));
    let payload = if event.is_empty() {
        None
    } else {
        Some(event.arg::<Value>(0).map_err(unreadable)?)
    };
    Command::decode(kind, payload, &event.payload, &context.app.config.limits)
}

/// The message for a payload that the socket layer accepted as JSON and that still cannot be decoded: it has
/// half a surrogate pair, a number out of range, or is nested too deeply.
fn unreadable(kind: EventKind, error: &ArgError) -> String {
    let name = kind.name();
    let cause = error.to_string();
    // serde_json has no other way to tell.
    if cause.contains("surrogate") || cause.contains("hex escape") {
        format!("{name}: a text has half of a surrogate pair (\\ud800 to \\udfff); send whole characters")
    } else {
        format!("{name}: failed to read the payload: {cause}")
    }
}

impl Context {
    fn payer(&self) -> Payer<'_> {
        Payer {
            connection: self.me.limiter.as_ref(),
            owed: &self.me.owed,
            user: &self.me.user,
            address: self.socket.handshake().address,
        }
    }

    /// Checks the rate limits, for an event of this price, and the token's expiry.
    fn may_pass(&self, price: u32) -> Result<(), ChatError> {
        self.app.faults.check_outage()?;
        if price > 0 {
            self.app.limiters.event(&self.payer(), price)?;
        }
        // A timer closes the socket at this time. This check covers the moment until it has.
        if self.app.clock.now_ms() >= self.app.closes_at(self.me.expires_at()) {
            return Err(ChatError::TokenExpired);
        }
        Ok(())
    }

    /// Spreads the retries of events that are refused together.
    fn with_retry_slot(&self, error: ChatError) -> ChatError {
        match error {
            ChatError::RateLimited { what, retry_after_ms } => {
                let slot_ms = 1_000_u32.div_ceil(self.app.config.rates.connection.per_second.max(1));
                let now = self.app.clock.monotonic_ms();
                ChatError::RateLimited {
                    what,
                    retry_after_ms: self.me.retry_after(now, retry_after_ms, slot_ms),
                }
            }
            other => other,
        }
    }

    /// Delays the next event of a connection that keeps sending despite `rate_limited` errors, since refusals
    /// cost time, too. Closes it in the end.
    async fn slow_down(&self, error: &ChatError) {
        let ChatError::RateLimited { .. } = error else {
            return;
        };
        let rates = &self.app.config.rates;
        let refused = self.me.refused();
        if refused >= rates.refusals_before_close {
            connection_log::kicked(&self.app, &self.me, &self.socket);
            emit_error(&self.socket, error.body(), None);
            self.socket.close(Reason::ForcedClose);
        } else if refused >= REFUSALS_BEFORE_PAUSE && !rates.refusal_pause.is_zero() && self.socket.is_open()
        {
            self.app.metrics.refusal_pauses.increment(1);
            sleep(rates.refusal_pause).await;
        }
    }
}
