//! Topics to which this node subscribes: those of rooms and namespaces with a local socket. A subscription
//! outlives the last socket for a while, since reconnecting clients would otherwise flood the bus with
//! changes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use roomful_bus::Subscription;
use tokio::time::Instant;

use super::{Adapter, topic};
use crate::socketio::Namespace;

/// How long a subscription outlives the last socket.
const LINGER: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct TopicSubscriptions(Mutex<Topics>);

#[derive(Default)]
struct Topics {
    received: HashMap<String, TopicSubscription>,
    /// Whether a task is checking for idle subscriptions.
    sweeping: bool,
}

struct TopicSubscription {
    _subscription: Subscription,
    idle_since: Option<Instant>,
}

impl TopicSubscriptions {
    /// Subscribes or starts the idle time, as needed. Checks under the lock, so that the last caller sees
    /// the current state.
    pub(super) fn update(&self, adapter: &Arc<Adapter>, namespace: &Namespace, room: Option<&str>) {
        let name = topic(namespace, room);
        let mut topics = self.0.lock();
        let used = match room {
            Some(room) => namespace.rooms().is_used(room),
            None => !namespace.is_empty(),
        };
        match (topics.received.get_mut(&name), used) {
            (Some(received), true) => received.idle_since = None,
            (Some(received), false) => {
                received.idle_since = Some(Instant::now());
                let start = !std::mem::replace(&mut topics.sweeping, true);
                drop(topics);
                if start {
                    self.start_sweeping(adapter);
                }
            }
            (None, true) => {
                let received = TopicSubscription {
                    _subscription: adapter.bus.subscribe(&name, adapter.listener()),
                    idle_since: None,
                };
                topics.received.insert(name, received);
            }
            (None, false) => {}
        }
    }

    fn start_sweeping(&self, adapter: &Arc<Adapter>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Outside a runtime, idle subscriptions stay until the next check.
            self.0.lock().sweeping = false;
            return;
        };
        let adapter = Arc::downgrade(adapter);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(LINGER).await;
                match adapter.upgrade() {
                    Some(adapter) if adapter.subscriptions.remove_idle() => {}
                    _ => return,
                }
            }
        });
    }

    /// Removes subscriptions that were idle long enough. `false` if none is idle any more.
    fn remove_idle(&self) -> bool {
        let now = Instant::now();
        let mut topics = self.0.lock();
        let over =
            |received: &TopicSubscription| received.idle_since.is_some_and(|since| since + LINGER <= now);
        topics.received.retain(|_, received| !over(received));
        topics.sweeping = topics
            .received
            .values()
            .any(|received| received.idle_since.is_some());
        topics.sweeping
    }
}
