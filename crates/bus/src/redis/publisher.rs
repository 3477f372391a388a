//! Sends what waits in a lane's outbox, in pipelines, in its order.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{
    PushInfo, PushKind, RedisResult, RedisWrite, ToRedisArgs, ToSingleRedisArg, Value,
    aio::{AsyncPushSender, MultiplexedConnection, SendError},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    back_off::BackOff,
    dial::{is_elsewhere, text},
    outbox::Message,
    shared::{ID, Lane, Shared},
};

/// How many messages, and bytes of them, go into one pipeline.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1024 * 1024;
/// While several come at a time, pipelines set out so far apart: each costs Redis and every end that hears it a wake. One that
/// comes alone sets out at once.
const PACE: Duration = Duration::from_millis(1);

/// Sends until the outbox is closed and empty, or it is aborted.
pub(crate) async fn publish(shared: Arc<Shared>, lane: Arc<Lane>) {
    let mut back_off = BackOff::new(shared.options.retry_max);
    let mut connected_before = false;
    loop {
        let torn = Arc::new(Torn::default());
        let push: Arc<dyn AsyncPushSender> = Arc::new(Arc::clone(&torn));
        match shared.dialer.connect(&lane.place, Some(push)).await {
            Ok(connection) => {
                if connected_before {
                    shared.metrics.reconnects.increment(1);
                }
                connected_before = true;
                back_off.reset();
                lane.outbox.up();
                if let Ended::Empty = drain(&shared, &lane, connection, &torn).await {
                    break;
                }
            }
            Err(error) => tracing::debug!(place = ?lane.place, %error, "Redis can't be published to"),
        }
        if lane.outbox.is_closed() {
            break;
        }
        shared.metrics.dropped_down.increment(lane.outbox.down());
        shared.refresh.notify_one();
        back_off.wait().await;
    }
    shared.metrics.dropped_down.increment(lane.outbox.down());
    lane.drained.send_replace(true);
}

enum Ended {
    /// The outbox was closed, and all of it sent.
    Empty,
    Lost,
}

async fn drain(shared: &Shared, lane: &Lane, mut connection: MultiplexedConnection, torn: &Torn) -> Ended {
    loop {
        let batch = tokio::select! {
            batch = lane.outbox.take(BATCH, BATCH_BYTES) => batch,
            // Nothing waits, so nothing would show that Redis has gone.
            () = torn.torn.notified() => return Ended::Lost,
        };
        let Some(batch) = batch else {
            return Ended::Empty;
        };
        let next_at = Instant::now() + PACE;
        if let Err(Lost) = send(shared, &batch, &mut connection).await {
            return Ended::Lost;
        }
        if (2..BATCH).contains(&batch.len()) {
            sleep_until(next_at).await;
        }
    }
}

struct Lost;

async fn send(
    shared: &Shared,
    batch: &[Message],
    connection: &mut MultiplexedConnection,
) -> Result<(), Lost> {
    let command = if shared.is_cluster { "SPUBLISH" } else { "PUBLISH" };
    let mut commands = redis::pipe();
    commands.ignore_errors();
    for (channel, message) in batch {
        let id = shared.id;
        commands.cmd(command).arg(channel).arg(Signed { id, message });
    }
    let answers = commands.query_async::<Vec<RedisResult<Value>>>(connection);
    let answers = match shared.dialer.in_time(answers).await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::debug!(error = text(&error), "messages were lost");
            shared.metrics.dropped_failed.increment(batch.len() as u64);
            return Err(Lost);
        }
    };
    let errors: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    shared
        .metrics
        .published
        .increment((answers.len() - errors.len()) as u64);
    shared.metrics.dropped_refused.increment(errors.len() as u64);
    match errors.first() {
        Some(error) if is_elsewhere(error) => Err(Lost),
        Some(error) => {
            tracing::warn!(
                error = text(error),
                refused = errors.len(),
                "Redis refused messages"
            );
            Ok(())
        }
        None => Ok(()),
    }
}

/// A message after the id of its end.
struct Signed<'a> {
    id: [u8; ID],
    message: &'a Bytes,
}

impl ToRedisArgs for Signed<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        use std::io::Write as _;
        let mut arg = out.writer_for_next_arg();
        // It is a buffer in memory, which takes all.
        let _ = arg.write_all(&self.id);
        let _ = arg.write_all(self.message);
    }
}

impl ToSingleRedisArg for Signed<'_> {}

/// Tells of the end of a connection.
#[derive(Default)]
struct Torn {
    torn: Notify,
}

impl AsyncPushSender for Torn {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        if info.kind == PushKind::Disconnection {
            self.torn.notify_one();
        }
        Ok(())
    }
}
