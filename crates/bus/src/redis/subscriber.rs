//! The subscriber: receives messages from one master and reconnects when the connection is lost.
//!
//! Subscribing and unsubscribing only mark a channel as changed. The subscriber compares the listeners of
//! changed channels with its subscriptions, sends the difference as one pipeline, and waits for the
//! answers before it looks again. So a subscribe that races with the last unsubscribe of the same topic
//! cannot get lost: the next round sees the final state.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{
    PushInfo, PushKind, Value,
    aio::{AsyncPushSender, MultiplexedConnection, SendError},
};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    back_off::BackOff,
    connector::{bus_error, text},
    shard::Shard,
    shared::{CLIENT_ID, Shared},
};
use crate::BusError;

/// Channels per pipeline. After a reconnect there may be thousands, and Redis serves other clients
/// between pipelines.
const BATCH: usize = 512;

/// Runs until it is aborted.
pub(crate) async fn run(shared: Arc<Shared>, shard: Arc<Shard>) {
    let mut back_off = BackOff::new(shared.options.retry_max);
    let mut state = State::Starting;
    loop {
        let receiver = Arc::new(Receiver::new(Arc::clone(&shared), Arc::clone(&shard)));
        let mut subscriber = Subscriber {
            shared: &shared,
            shard: &shard,
            receiver: &receiver,
            subscribed: HashSet::new(),
        };
        let Err(error) = subscriber
            .serve(|| {
                back_off.reset();
                if state != State::Starting {
                    shared.metrics.reconnects.increment(1);
                }
                if let State::Disconnected(since) = state {
                    let seconds = since.elapsed().as_secs();
                    tracing::info!(addr = ?shard.addr, seconds, "reconnected to Redis");
                }
                state = State::Connected;
            })
            .await;
        receiver.alive.store(false, Ordering::Relaxed);
        shared.connection_lost(&shard);
        shared.rediscover.notify_one();
        if !matches!(state, State::Disconnected(_)) {
            state = State::Disconnected(Instant::now());
            tracing::warn!(addr = ?shard.addr, %error, "failed to receive from Redis, retrying");
        }
        back_off.wait().await;
    }
}

/// State of the connection, as far as the log has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Connected,
    /// Since this time.
    Disconnected(Instant),
}

struct Subscriber<'a> {
    shared: &'a Arc<Shared>,
    shard: &'a Arc<Shard>,
    receiver: &'a Arc<Receiver>,
    /// Channels subscribed on this connection.
    subscribed: HashSet<Arc<str>>,
}

impl Subscriber<'_> {
    async fn connect(&self) -> Result<MultiplexedConnection, BusError> {
        let push: Arc<dyn AsyncPushSender> = Arc::new(Arc::clone(self.receiver));
        self.shared.connector.connect(&self.shard.addr, Some(push)).await
    }

    /// Connects, subscribes to all channels, calls `connected`, and serves until the connection is lost.
    ///
    /// A Redis that refuses a subscription counts as a failed attempt, so that the back-off grows.
    async fn serve(&mut self, connected: impl FnOnce()) -> Result<Infallible, BusError> {
        let mut connection = self.connect().await?;
        self.shard.recheck(self.shared.channels_of(self.shard));
        self.sync_all(&mut connection).await?;
        connected();
        self.follow_changes(connection).await
    }

    /// Returns when the connection is lost.
    async fn follow_changes(
        &mut self,
        mut connection: MultiplexedConnection,
    ) -> Result<Infallible, BusError> {
        let mut ping = interval(self.shared.options.ping_interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.shard.channels_changed.notified() => self.sync_all(&mut connection).await?,
                () = self.receiver.lost.notified() => {
                    let cause = "the connection ended, or Redis ended a subscription";
                    return Err(BusError::Unavailable(cause.into()));
                }
                _ = ping.tick() => {
                    let command = redis::cmd("PING");
                    let answer = command.query_async::<Value>(&mut connection);
                    self.shared.connector.in_time(answer).await.map_err(|error| bus_error(&error))?;
                }
            }
        }
    }

    async fn sync_all(&mut self, connection: &mut MultiplexedConnection) -> Result<(), BusError> {
        let changed: Vec<_> = self.shard.take_changed().into_iter().collect();
        for batch in changed.chunks(BATCH) {
            self.sync(batch, connection).await?;
        }
        Ok(())
    }

    /// Brings the subscriptions to these channels in line with their listeners.
    async fn sync(
        &mut self,
        batch: &[Arc<str>],
        connection: &mut MultiplexedConnection,
    ) -> Result<(), BusError> {
        let (subscribe, unsubscribe) = if self.shared.is_cluster {
            ("SSUBSCRIBE", "SUNSUBSCRIBE")
        } else {
            ("SUBSCRIBE", "UNSUBSCRIBE")
        };
        let map = self.shared.shard_map.borrow().clone();
        let mut commands = redis::pipe();
        let mut unchanged = Vec::new();
        for channel in batch {
            let slot = self.shared.subscriptions.lock().slot(channel);
            let wanted = slot.is_some_and(|slot| map.serves(slot, self.shard));
            // One channel per command: in a cluster a command must not span slots, and each command has
            // one answer.
            match (wanted, self.subscribed.contains(channel)) {
                (true, false) => {
                    commands.cmd(subscribe).arg(&**channel);
                    self.subscribed.insert(Arc::clone(channel));
                }
                (false, true) => {
                    commands.cmd(unsubscribe).arg(&**channel);
                    self.subscribed.remove(channel);
                    self.receiver.unsubscribing.lock().insert(Arc::clone(channel));
                }
                // The last listener left and another came between two rounds. Redis does not confirm again.
                (true, true) => unchanged.push(channel),
                (false, false) => {}
            }
        }
        for channel in unchanged {
            self.shared.confirmed(channel, self.shard);
        }
        if !commands.is_empty() {
            let answers = commands.query_async::<Value>(connection);
            let outcome = self.shared.connector.in_time(answers).await;
            outcome.map_err(|error| BusError::Unavailable(text(&error)))?;
            self.receiver.unsubscribing.lock().clear();
        }
        Ok(())
    }
}

/// Takes pushes of one connection, on the task that reads it.
struct Receiver {
    shared: Arc<Shared>,
    shard: Arc<Shard>,
    /// False once the subscriber has given the connection up: late pushes are ignored.
    alive: AtomicBool,
    lost: Notify,
    /// Channels of UNSUBSCRIBE commands in flight.
    unsubscribing: Mutex<HashSet<Arc<str>>>,
}

impl Receiver {
    fn new(shared: Arc<Shared>, shard: Arc<Shard>) -> Self {
        Self {
            shared,
            shard,
            alive: AtomicBool::new(true),
            lost: Notify::new(),
            unsubscribing: Mutex::default(),
        }
    }

    fn message(&self, channel: &str, message: Vec<u8>) {
        let own = message.get(..CLIENT_ID).is_none_or(|id| id == self.shared.id);
        if own {
            return;
        }
        let Some(listeners) = self.shared.subscriptions.lock().listeners(channel) else {
            return;
        };
        self.shared.metrics.received.increment(1);
        let message = Bytes::from(message).slice(CLIENT_ID..);
        let topic = self.shared.topic(channel);
        // Calls listeners outside the lock: a listener may publish and subscribe.
        for listening in listeners.iter() {
            listening.listener.message(topic, message.clone());
        }
    }
}

impl AsyncPushSender for Receiver {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        if !self.alive.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut data = info.data.into_iter();
        let mut next = || match data.next() {
            Some(Value::BulkString(bytes)) => Some(bytes),
            _ => None,
        };
        let channel = next().and_then(|channel| String::from_utf8(channel).ok());
        match (info.kind, channel) {
            (PushKind::Message | PushKind::SMessage, Some(channel)) => {
                if let Some(message) = next() {
                    self.message(&channel, message);
                }
            }
            // Confirms in the order of pushes: no message before its confirmation, and none between a
            // loss and its gap.
            (PushKind::Subscribe | PushKind::SSubscribe, Some(channel)) => {
                self.shared.confirmed(&channel, &self.shard);
            }
            // Redis ends the subscription itself when the slot has moved to another master.
            (PushKind::SUnsubscribe, Some(channel))
                if !self.unsubscribing.lock().contains(channel.as_str()) =>
            {
                self.lost.notify_one();
            }
            (PushKind::Disconnection, _) => self.lost.notify_one(),
            _ => {}
        }
        Ok(())
    }
}
