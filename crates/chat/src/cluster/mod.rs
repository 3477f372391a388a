//! Several nodes on one store. Each follows the one order of all entries, whoever wrote them.
//!
//! | file | what |
//! |---|---|
//! | `upcoming` | what was told of the places ahead, as a value |
//! | `word` | what nodes tell each other over the bus |
//! | `hearing` | what comes over the bus, and what becomes of it |
//! | `follower` | going on in the order: woken by the bus, certain by the store |
//! | `elsewhere` | who shows on other nodes, as a value |
//! | `newest` | what was told last of marks, as a value |
//! | `lease`, `moment` | as long as it lasts, this node counts |
//! | `control`, `commands` | what all nodes must do, whatever the bus loses; having them do it |
//! | `obedience` | doing it |
//!
//! The store is the truth of what was said; the bus only makes it quick. What a commit took of the order is told on the topic
//! `log`, and its entries on the topics of their rooms, which only nodes hear that have the room in memory. What does not come
//! in a moment is read back from the store; and that something has come at all, the store is asked once in a while.

mod bus_listener;
mod bus_message;
mod catch_up;
mod control_handler;
mod control_writer;
mod lease;
mod moment;
mod watermark_filter;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::metrics::{Counter, counter};
use bytes::Bytes;
use parking_lot::Mutex;
use roomful_bus::{Bus, BusError, Entry, Subscription, Swept};
use roomful_store::{FencingTokens, LogPosition, NewEntry, RoomId};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Notify, time::Instant};

use self::{
    bus_listener::BusListener,
    bus_message::{Growth, Line, Places, RoomBusMessage, encode},
    lease::Standing,
    watermark_filter::WatermarkFilter,
};
pub(crate) use self::{
    bus_message::UserBusMessage,
    catch_up::{come_up, reach, start},
    control_handler::obey,
};
use crate::{
    app::App,
    error::ChatError,
    log::reorder_buffer::{Next, ReorderBuffer},
    room_manager::RoomManager,
    stats::{NodeStats, Stats},
    types::UserId,
};

/// The topic of all commits.
const LOG: &str = "log";
/// How long what was told in part may take to come whole before it is read from the store. Far longer than a bus takes, and
/// not felt by who reads.
pub(crate) const PATIENCE: Duration = Duration::from_millis(20);
/// Entries of dead nodes that are taken out at a time.
const SWEPT: usize = 1_000;
/// How long a duty is this node's, unless it goes on with it.
const DUTY: Duration = Duration::from_secs(10);

/// How this node takes part in a cluster.
#[derive(Clone)]
pub struct ClusterConfig {
    /// This node's end of the bus.
    pub bus: Arc<dyn Bus>,
    /// This node's name, for logs and figures.
    pub node: String,
    /// What other nodes find in the roster of this one, beside its name and its figures.
    pub info: serde_json::Map<String, Value>,
    /// How long this node counts without a sign of life. It gives one three times as often, and sends its clients away in
    /// time if it can't.
    pub lease: Duration,
    /// How often the store is asked whether others have written: what the bus lost comes so late at most.
    pub poll: Duration,
}

/// This node's part in the cluster.
pub(crate) struct Cluster {
    config: ClusterConfig,
    standing: Standing,
    reorder_buffer: Mutex<ReorderBuffer>,
    /// Of marks.
    pub(crate) newest: WatermarkFilter,
    /// Something was told of the order: for whoever waits for the next place, and for the follower.
    news: Notify,
    told: Notify,
    /// The roster does not know this node any more.
    forgotten: Notify,
    /// A sign of life is under way, or got no answer.
    unanswered: AtomicBool,
    /// Until then, what is not in the roster may only not have been put again.
    doubted_until: Mutex<Option<Instant>>,
    /// Messages may have been lost: the store is to be asked.
    gap: Notify,
    /// The cluster's own room, once it is known.
    control_room: Mutex<Option<RoomId>>,
    app: OnceLock<Weak<App>>,
    ear: Arc<BusListener>,
    heard_by_all: Mutex<Vec<Subscription>>,
    backfills: Counter,
    lost_leases: Counter,
    /// The users who are here, each with how many times, and the hearing of them.
    users: Mutex<HashMap<UserId, (u32, Subscription)>>,
}

/// An entry that was committed here, for the others.
pub(crate) struct CommittedEntry<'a> {
    pub(crate) room: RoomId,
    pub(crate) name: &'a str,
    pub(crate) seq: u64,
    pub(crate) at: i64,
    pub(crate) entry: NewEntry,
}

impl Cluster {
    pub(crate) fn new(config: ClusterConfig) -> Arc<Self> {
        Arc::new_cyclic(|cluster| Self {
            standing: Standing::new(&config.node),
            config,
            reorder_buffer: Mutex::default(),
            newest: WatermarkFilter::default(),
            news: Notify::new(),
            told: Notify::new(),
            forgotten: Notify::new(),
            unanswered: AtomicBool::new(false),
            doubted_until: Mutex::default(),
            gap: Notify::new(),
            control_room: Mutex::default(),
            app: OnceLock::new(),
            ear: Arc::new(BusListener(Weak::clone(cluster))),
            heard_by_all: Mutex::default(),
            backfills: counter!("roomful_cluster_backfills_total"),
            lost_leases: counter!("roomful_cluster_leases_lost_total"),
            users: Mutex::default(),
        })
    }

    /// Hears what is told to all from now on.
    pub(crate) fn listen(&self, app: &Arc<App>) {
        // Once per cluster.
        let _ = self.app.set(Arc::downgrade(app));
        let log = self.subscribe(LOG);
        self.heard_by_all.lock().push(log);
    }

    fn app(&self) -> Option<Arc<App>> {
        self.app.get()?.upgrade()
    }

    fn subscribe(&self, topic: &str) -> Subscription {
        let ear: Arc<BusListener> = Arc::clone(&self.ear);
        self.config.bus.subscribe(topic, ear)
    }

    /// What is told in this room is heard as long as the answer lives.
    pub(crate) fn hear_room(&self, room: RoomId) -> Subscription {
        self.subscribe(&room_topic(room))
    }

    /// A socket of the user is here.
    pub(crate) fn user_came(&self, user: &UserId) {
        let mut users = self.users.lock();
        let hear = || (0, self.subscribe(&user_topic(user)));
        users.entry(Arc::clone(user)).or_insert_with(hear).0 += 1;
    }

    /// Whether a socket of the user is here.
    pub(crate) fn is_here(&self, user: &str) -> bool {
        self.users.lock().contains_key(user)
    }

    /// A socket of the user is gone.
    pub(crate) fn user_went(&self, user: &UserId) {
        let mut users = self.users.lock();
        if let Some((count, _)) = users.get_mut(user) {
            *count -= 1;
            let gone = if *count == 0 { users.remove(user) } else { None };
            drop(users);
            drop(gone);
        }
    }

    // ---- telling

    /// Entries were committed at `first` and after it.
    pub(crate) fn tell_committed(&self, epoch: &str, first: LogPosition, told: &[CommittedEntry<'_>]) {
        let mut rooms: Vec<(RoomId, &str)> = Vec::new();
        let mut lines: Vec<Vec<Line<'_>>> = Vec::new();
        let mut room_of = Vec::with_capacity(told.len());
        for (pos, told) in first.and_following().zip(told) {
            let known = rooms.iter().rposition(|(id, _)| *id == told.room);
            let at = known.unwrap_or_else(|| {
                rooms.push((told.room, told.name));
                lines.push(Vec::new());
                rooms.len() - 1
            });
            room_of.push(at);
            if let Some(lines) = lines.get_mut(at) {
                lines.push(Line::of(pos, told.seq, &told.entry, told.at));
            }
        }
        // Entries first: whoever hears of a place then has what stands there, as a rule.
        for ((room, _), entries) in rooms.iter().zip(lines) {
            let epoch = epoch.into();
            self.tell_room(*room, &RoomBusMessage::Entries { epoch, entries });
        }
        let rooms = rooms.iter().map(|(id, name)| (*id, (*name).into()));
        let places = Places {
            epoch: epoch.into(),
            first,
            rooms: rooms.collect(),
            room_of,
        };
        self.config.bus.publish(LOG, encode(&places));
    }

    /// This node's own entries are among the places ahead, too. Whoever goes on by what others have told comes to them, perhaps
    /// before this node does that has just committed them; and would wait in vain for somebody to tell of them, and keep this
    /// node waiting behind.
    pub(crate) fn note_own(&self, first: LogPosition, told: &[CommittedEntry<'_>]) {
        let mut reorder_buffer = self.reorder_buffer.lock();
        for (pos, told) in first.and_following().zip(told) {
            let line = Line::of(pos, told.seq, &told.entry, told.at);
            reorder_buffer.add_entry(line.placed(told.room));
        }
        drop(reorder_buffer);
        self.news.notify_one();
    }

    /// An event that is no entry goes to the room's sockets on other nodes.
    pub(crate) fn tell_event<T: Serialize>(
        &self,
        room: RoomId,
        event: &str,
        data: &T,
        grown: Option<(&UserId, u64)>,
    ) {
        let data = match serde_json::value::to_raw_value(data) {
            Ok(data) => data,
            Err(error) => return tracing::error!(event, %error, "an event can't be encoded"),
        };
        let word = RoomBusMessage::Event {
            event: event.into(),
            data: std::borrow::Cow::Owned(data),
            grown: grown.map(|(user, to)| Growth {
                of: user.as_ref().into(),
                to,
            }),
        };
        self.tell_room(room, &word);
    }

    pub(crate) fn tell_typing(&self, room: RoomId, user: &UserId, on: bool) {
        let user = user.as_ref().into();
        self.tell_room(room, &RoomBusMessage::Typing { user, on });
    }

    fn tell_room(&self, room: RoomId, word: &RoomBusMessage<'_>) {
        self.config.bus.publish(&room_topic(room), encode(word));
    }

    /// The other nodes on which the user is are told.
    pub(crate) fn tell_user(&self, user: &str, word: &UserBusMessage<'_>) {
        self.config.bus.publish(&user_topic(user), encode(word));
    }

    pub(crate) fn tell_presence(&self, user: &str) {
        self.tell_user(user, &UserBusMessage::Presence);
    }

    pub(crate) fn tell_crowd(&self, room: RoomId) {
        self.tell_room(room, &RoomBusMessage::NodePresence);
    }

    // ---- the roster

    /// The term of this node's lease, as long as it lasts: what the store is to ask before it commits.
    pub(crate) fn terms(self: &Arc<Self>) -> FencingTokens {
        let cluster = Arc::downgrade(self);
        Arc::new(move || cluster.upgrade()?.standing.term())
    }

    /// Waits until this node's lease lasts.
    pub(crate) async fn in_good_standing(&self) {
        self.standing.in_good_standing().await;
    }

    /// Whether this node's lease lasts.
    pub(crate) fn is_in_good_standing(&self) -> bool {
        self.standing.lasts()
    }

    /// Puts this node's entry; answers with those of others.
    pub(crate) async fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<Vec<Entry>, ChatError> {
        Ok(self
            .config
            .bus
            .put(&self.standing.member(), key, encode(value))
            .await?)
    }

    /// Takes this node's entry out; answers with those of others.
    pub(crate) async fn remove(&self, key: &str) -> Result<Vec<Entry>, ChatError> {
        Ok(self.config.bus.remove(&self.standing.member(), key).await?)
    }

    /// What other living nodes have under these keys.
    pub(crate) async fn others(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, ChatError> {
        let mut found = self.config.bus.entries(keys).await?;
        let me = self.standing.member();
        for entries in &mut found {
            entries.retain(|entry| *entry.member != *me);
        }
        Ok(found)
    }

    /// This node's name.
    pub(crate) fn node(&self) -> &str {
        &self.config.node
    }

    /// The other living nodes, as the roster knows them.
    pub(crate) async fn other_members(&self) -> Result<Vec<String>, ChatError> {
        let members = self.config.bus.members().await?;
        let me = self.standing.member();
        let others = members.into_iter().map(|entry| entry.member);
        Ok(others.filter(|member| **member != *me).collect())
    }

    /// What the other living nodes say of themselves.
    pub(crate) async fn other_nodes(&self) -> Result<Vec<NodeStats>, ChatError> {
        let mut members = self.config.bus.members().await?;
        let me = self.standing.member();
        members.retain(|entry| *entry.member != *me);
        let read = |entry: &Entry| serde_json::from_slice(&entry.value).ok();
        Ok(members.iter().filter_map(read).collect())
    }

    /// This node as the roster shall know it.
    fn info(&self, stats: Stats) -> Bytes {
        let mut info = self.config.info.clone();
        let own = NodeStats {
            node: self.config.node.clone(),
            stats,
        };
        if let Ok(Value::Object(own)) = serde_json::to_value(own) {
            info.extend(own);
        }
        encode(&info)
    }

    /// Whether what was not found in the roster just now is not there. After it has forgotten, nodes need a while to put again
    /// what is theirs. Asked before, this would tell nothing: it may forget in between.
    pub(crate) async fn was_complete(&self) -> Result<bool, ChatError> {
        let me = self.standing.member();
        if !self
            .config
            .bus
            .members()
            .await?
            .iter()
            .any(|entry| *entry.member == *me)
        {
            self.forgotten.notify_one();
            return Ok(false);
        }
        // It may have forgotten this node, and know it again by a sign of life whose answer would tell.
        if self.unanswered.load(Ordering::Acquire) {
            return Ok(false);
        }
        let doubted_until = *self.doubted_until.lock();
        Ok(doubted_until.is_none_or(|until| until <= Instant::now()))
    }

    /// Takes entries of dead nodes out; each is given to one node.
    pub(crate) async fn sweep(&self) -> Result<Vec<Swept>, ChatError> {
        Ok(self.config.bus.sweep(SWEPT).await?)
    }

    /// Whether a duty that one node does for all is this one's, for now.
    pub(crate) async fn is_on_duty(&self, duty: &str) -> bool {
        let held = self.config.bus.hold(&self.standing.member(), duty, DUTY).await;
        held.unwrap_or(false)
    }

    // ---- the order

    /// What was told of the place `pos`, which is taken out.
    pub(crate) fn take(&self, pos: LogPosition, rooms: &RoomManager) -> Next {
        self.reorder_buffer.lock().take(pos, |room| rooms.has(room))
    }

    /// Waits for more to be told, `until` at most. False if it was in vain.
    pub(crate) async fn be_patient(&self, until: Instant) -> bool {
        tokio::time::timeout_at(until, self.news.notified()).await.is_ok()
    }

    /// There are entries up to the place `pos`.
    pub(crate) fn heard_of(&self, pos: LogPosition) {
        self.reorder_buffer.lock().heard_of(pos);
        self.told.notify_one();
    }

    /// The store is asked at once how far the order has come.
    pub(crate) fn ask_store(&self) {
        self.gap.notify_one();
    }

    /// What was not told in time is read from the store.
    pub(crate) fn count_backfill(&self) {
        self.backfills.increment(1);
    }

    /// Whether this start of this node wrote it.
    pub(crate) fn is_mine(&self, member: &str) -> bool {
        *self.standing.member() == *member
    }
}

fn room_topic(room: RoomId) -> String {
    format!("room:{room}")
}

fn user_topic(user: &str) -> String {
    format!("user:{user}")
}

impl From<BusError> for ChatError {
    fn from(error: BusError) -> Self {
        tracing::debug!(%error, "the roster can't be used");
        Self::Unavailable("the server can't reach its cluster")
    }
}
