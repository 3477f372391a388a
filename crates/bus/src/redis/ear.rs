//! Hears one master: a connection that subscribes and unsubscribes as topics come and go, asks for signs of life, and
//! is made again when it is lost.
//!
//! Who subscribes only notes that the channel is unsettled. This one task settles: it compares who listens with what it has
//! told Redis, sends the difference as one pipeline, and waits for the answers before it looks again. So a subscription
//! that races with the end of another of the same topic can't end up unheard: whatever came last is seen in the next round.

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
    time::{MissedTickBehavior, interval},
};

use super::{
    back_off::BackOff,
    dial::{text, trouble},
    shared::{ID, Lane, Shared},
};
use crate::BusError;

/// How many channels go into one pipeline. Thousands come back after a loss; Redis serves others between pipelines.
const BATCH: usize = 512;

/// Hears until it is aborted.
pub(crate) async fn hear(shared: Arc<Shared>, lane: Arc<Lane>) {
    let mut back_off = BackOff::new(shared.options.retry_max);
    let mut state = State::New;
    loop {
        let incoming = Arc::new(Incoming::new(Arc::clone(&shared), Arc::clone(&lane)));
        let mut ear = Ear {
            shared: &shared,
            lane: &lane,
            incoming: &incoming,
            on: HashSet::new(),
        };
        let Err(error) = ear
            .listen(|| {
                back_off.reset();
                if state != State::New {
                    shared.metrics.reconnects.increment(1);
                    tracing::info!(place = ?lane.place, "Redis is heard again");
                }
                state = State::Heard;
            })
            .await;
        incoming.alive.store(false, Ordering::Relaxed);
        shared.lost(&lane);
        shared.refresh.notify_one();
        if state != State::Told {
            state = State::Told;
            tracing::warn!(place = ?lane.place, %error, "Redis is not heard; trying again");
        }
        back_off.wait().await;
    }
}

/// What the log was told last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing yet.
    New,
    Heard,
    /// That Redis is not heard.
    Told,
}

struct Ear<'a> {
    shared: &'a Arc<Shared>,
    lane: &'a Arc<Lane>,
    incoming: &'a Arc<Incoming>,
    /// What Redis was told to send on this connection.
    on: HashSet<Arc<str>>,
}

impl Ear<'_> {
    async fn connect(&self) -> Result<MultiplexedConnection, BusError> {
        let push: Arc<dyn AsyncPushSender> = Arc::new(Arc::clone(self.incoming));
        self.shared.dialer.connect(&self.lane.place, Some(push)).await
    }

    /// Connects, and calls `heard` once all that is listened to is subscribed: a connection on which Redis refuses that is of
    /// no use, and to be waited for as one that can't be made. Returns when the connection is lost.
    async fn listen(&mut self, heard: impl FnOnce()) -> Result<Infallible, BusError> {
        let mut connection = self.connect().await?;
        self.lane.unsettle(self.shared.topics_of(self.lane));
        self.settle_all(&mut connection).await?;
        heard();
        self.stay(connection).await
    }

    /// Returns when the connection is lost.
    async fn stay(&mut self, mut connection: MultiplexedConnection) -> Result<Infallible, BusError> {
        let mut ping = interval(self.shared.options.ping_interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.lane.unsettled_more.notified() => self.settle_all(&mut connection).await?,
                () = self.incoming.torn.notified() => {
                    return Err(BusError::Unavailable("the connection ended, or Redis ended a subscription".into()));
                }
                _ = ping.tick() => {
                    let question = redis::cmd("PING");
                    let answer = question.query_async::<Value>(&mut connection);
                    self.shared.dialer.in_time(answer).await.map_err(|error| trouble(&error))?;
                }
            }
        }
    }

    async fn settle_all(&mut self, connection: &mut MultiplexedConnection) -> Result<(), BusError> {
        let unsettled: Vec<_> = self.lane.take_unsettled().into_iter().collect();
        for batch in unsettled.chunks(BATCH) {
            self.settle(batch, connection).await?;
        }
        Ok(())
    }

    async fn settle(
        &mut self,
        batch: &[Arc<str>],
        connection: &mut MultiplexedConnection,
    ) -> Result<(), BusError> {
        let (subscribe, unsubscribe) = if self.shared.is_cluster {
            ("SSUBSCRIBE", "SUNSUBSCRIBE")
        } else {
            ("SUBSCRIBE", "UNSUBSCRIBE")
        };
        let route = self.shared.route.borrow().clone();
        let mut commands = redis::pipe();
        let mut settled = Vec::new();
        for channel in batch {
            let slot = self.shared.topics.lock().slot(channel);
            let wanted = slot.is_some_and(|slot| route.is(slot, self.lane));
            // One channel a command: in a cluster a command must not span slots, and each gets one answer.
            match (wanted, self.on.contains(channel)) {
                (true, false) => {
                    commands.cmd(subscribe).arg(&**channel);
                    self.on.insert(Arc::clone(channel));
                }
                (false, true) => {
                    commands.cmd(unsubscribe).arg(&**channel);
                    self.on.remove(channel);
                    self.incoming.leaving.lock().insert(Arc::clone(channel));
                }
                // The last one left and another came before Redis was told of either.
                (true, true) => settled.push(channel),
                (false, false) => {}
            }
        }
        for channel in settled {
            self.shared.confirmed(channel, self.lane);
        }
        if !commands.is_empty() {
            let answers = commands.query_async::<Value>(connection);
            let outcome = self.shared.dialer.in_time(answers).await;
            outcome.map_err(|error| BusError::Unavailable(text(&error)))?;
            self.incoming.leaving.lock().clear();
        }
        Ok(())
    }
}

/// What comes on one connection, on the task that reads it.
struct Incoming {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    /// Nothing that comes late on a connection that was given up counts.
    alive: AtomicBool,
    torn: Notify,
    /// Channels whose end was asked for.
    leaving: Mutex<HashSet<Arc<str>>>,
}

impl Incoming {
    fn new(shared: Arc<Shared>, lane: Arc<Lane>) -> Self {
        Self {
            shared,
            lane,
            alive: AtomicBool::new(true),
            torn: Notify::new(),
            leaving: Mutex::default(),
        }
    }

    fn message(&self, channel: &str, message: Vec<u8>) {
        let own = message.get(..ID).is_none_or(|id| id == self.shared.id);
        if own {
            return;
        }
        let Some(listeners) = self.shared.topics.lock().listeners(channel) else {
            return;
        };
        self.shared.metrics.received.increment(1);
        let message = Bytes::from(message).slice(ID..);
        let topic = self.shared.topic(channel);
        // Called outside the lock: a listener may publish and subscribe.
        for listening in listeners.iter() {
            listening.listener.message(topic, message.clone());
        }
    }
}

impl AsyncPushSender for Incoming {
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
            // Here and not with the answer, so that no message comes before its topic is heard, and none before the gap.
            (PushKind::Subscribe | PushKind::SSubscribe, Some(channel)) => {
                self.shared.confirmed(&channel, &self.lane);
            }
            // Redis itself ends what it no longer carries: the slot has moved.
            (PushKind::SUnsubscribe, Some(channel)) if !self.leaving.lock().contains(channel.as_str()) => {
                self.torn.notify_one();
            }
            (PushKind::Disconnection, _) => self.torn.notify_one(),
            _ => {}
        }
        Ok(())
    }
}
