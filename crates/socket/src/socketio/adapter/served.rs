//! The topics that this node hears: those of rooms and namespaces that it has a socket in, and for a while after the last one
//! has left, since clients that reconnect and rooms that empty and fill would have the bus do nothing else.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use roomful_bus::Subscription;
use tokio::time::Instant;

use super::{Adapter, topic};
use crate::socketio::namespace::Namespace;

/// How long a topic is heard after the last socket has left.
const LINGER: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Served(Mutex<Topics>);

#[derive(Default)]
struct Topics {
    heard: HashMap<String, Heard>,
    /// A task is looking for what has idled long enough.
    sweeping: bool,
}

struct Heard {
    _subscription: Subscription,
    idle_since: Option<Instant>,
}

impl Served {
    /// Hears what the room needs now. Looked at under the lock, so that whoever looks last sees what is true.
    pub(super) fn update(&self, adapter: &Arc<Adapter>, namespace: &Namespace, room: Option<&str>) {
        let name = topic(namespace, room);
        let mut topics = self.0.lock();
        let used = match room {
            Some(room) => namespace.rooms().is_used(room),
            None => !namespace.is_empty(),
        };
        match (topics.heard.get_mut(&name), used) {
            (Some(heard), true) => heard.idle_since = None,
            (Some(heard), false) => {
                heard.idle_since = Some(Instant::now());
                let start = !std::mem::replace(&mut topics.sweeping, true);
                drop(topics);
                if start {
                    self.start_sweeping(adapter);
                }
            }
            (None, true) => {
                let heard = Heard {
                    _subscription: adapter.bus.subscribe(&name, adapter.listener()),
                    idle_since: None,
                };
                topics.heard.insert(name, heard);
            }
            (None, false) => {}
        }
    }

    fn start_sweeping(&self, adapter: &Arc<Adapter>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // Nobody to wait: those that idle are let go with the next that does.
            self.0.lock().sweeping = false;
            return;
        };
        let adapter = Arc::downgrade(adapter);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(LINGER).await;
                match adapter.upgrade() {
                    Some(adapter) if adapter.served.sweep() => {}
                    _ => return,
                }
            }
        });
    }

    /// Lets go of what has idled long enough; `false`: nothing idles any more.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut topics = self.0.lock();
        let over = |heard: &Heard| heard.idle_since.is_some_and(|since| since + LINGER <= now);
        topics.heard.retain(|_, heard| !over(heard));
        topics.sweeping = topics.heard.values().any(|heard| heard.idle_since.is_some());
        topics.sweeping
    }
}
