//! The publisher: sends the queued messages of a shard in pipelines, in order.

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
    connector::{is_wrong_server, text},
    publish_queue::Message,
    shard::Shard,
    shared::{CLIENT_ID, Shared},
};

/// Messages and bytes per pipeline, at most.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1024 * 1024;
/// Pause between pipelines under load, since each one wakes Redis and every receiver. A single message is
/// sent at once.
const PIPELINE_PAUSE: Duration = Duration::from_millis(1);

/// Runs until the queue is closed and empty, or until it is aborted.
pub(crate) async fn run(shared: Arc<Shared>, shard: Arc<Shard>) {
    let mut back_off = BackOff::new(shared.options.retry_max);
    let mut connected_before = false;
    loop {
        let lost = Arc::new(ConnectionLost::default());
        let push: Arc<dyn AsyncPushSender> = Arc::new(Arc::clone(&lost));
        match shared.connector.connect(&shard.addr, Some(push)).await {
            Ok(connection) => {
                if connected_before {
                    shared.metrics.reconnects.increment(1);
                }
                connected_before = true;
                back_off.reset();
                shard.queue.up();
                if let Outcome::Drained = send_all(&shared, &shard, connection, &lost).await {
                    break;
                }
            }
            Err(error) => {
                tracing::debug!(
                    addr = ?shard.addr, %error,
                    "failed to connect to Redis for publishing, retrying"
                );
            }
        }
        if shard.queue.is_closed() {
            break;
        }
        shared.metrics.dropped_down.increment(shard.queue.down());
        shared.rediscover.notify_one();
        back_off.wait().await;
    }
    shared.metrics.dropped_down.increment(shard.queue.down());
    shard.drained.send_replace(true);
}

enum Outcome {
    /// The queue is closed, and all its messages are sent.
    Drained,
    /// The connection is lost.
    Disconnected,
}

async fn send_all(
    shared: &Shared,
    shard: &Shard,
    mut connection: MultiplexedConnection,
    lost: &ConnectionLost,
) -> Outcome {
    loop {
        let batch = tokio::select! {
            batch = shard.queue.take(BATCH, BATCH_BYTES) => batch,
            // With an empty queue no failed command would show that Redis is gone.
            () = lost.notify.notified() => return Outcome::Disconnected,
        };
        let Some(batch) = batch else {
            return Outcome::Drained;
        };
        let next_at = Instant::now() + PIPELINE_PAUSE;
        if let Err(Disconnected) = send(shared, &batch, &mut connection).await {
            return Outcome::Disconnected;
        }
        if (2..BATCH).contains(&batch.len()) {
            sleep_until(next_at).await;
        }
    }
}

struct Disconnected;

async fn send(
    shared: &Shared,
    batch: &[Message],
    connection: &mut MultiplexedConnection,
) -> Result<(), Disconnected> {
    let command = if shared.is_cluster { "SPUBLISH" } else { "PUBLISH" };
    let mut commands = redis::pipe();
    commands.ignore_errors();
    for (channel, message) in batch {
        let id = shared.id;
        commands.cmd(command).arg(channel).arg(Payload { id, message });
    }
    let answers = commands.query_async::<Vec<RedisResult<Value>>>(connection);
    let answers = match shared.connector.in_time(answers).await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::debug!(error = text(&error), "failed to publish messages");
            shared.metrics.dropped_failed.increment(batch.len() as u64);
            return Err(Disconnected);
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
        Some(error) if is_wrong_server(error) => Err(Disconnected),
        Some(error) => {
            tracing::warn!(
                error = text(error),
                refused = errors.len(),
                "failed to publish messages: Redis refused them"
            );
            Ok(())
        }
        None => Ok(()),
    }
}

/// The client id, followed by the message.
struct Payload<'a> {
    id: [u8; CLIENT_ID],
    message: &'a Bytes,
}

impl ToRedisArgs for Payload<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        use std::io::Write as _;
        let mut arg = out.writer_for_next_arg();
        // A buffer in memory takes all bytes.
        let _ = arg.write_all(&self.id);
        let _ = arg.write_all(self.message);
    }
}

impl ToSingleRedisArg for Payload<'_> {}

/// Notifies the publisher when its connection ends.
#[derive(Default)]
struct ConnectionLost {
    notify: Notify,
}

impl AsyncPushSender for ConnectionLost {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        if info.kind == PushKind::Disconnection {
            self.notify.notify_one();
        }
        Ok(())
    }
}
