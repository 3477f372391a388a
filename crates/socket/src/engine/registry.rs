//! All open sessions of a server: look-up by id for polling requests, counts for the limits, and waiting
//! for the last session at shutdown.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::session::Session;
use crate::{connection_limit::client_network, id::SessionId, settings::Settings};

#[derive(Default)]
pub(crate) struct Registry {
    sessions: RwLock<HashMap<SessionId, Arc<Session>>>,
    counts: Mutex<Counts>,
    /// Notified each time a session's task ends.
    ended: Notify,
    /// Notified when the server starts to close.
    closing: Notify,
}

#[derive(Default)]
struct Counts {
    /// The server is closing and admits no session.
    closing: bool,
    /// Admitted sessions whose task has not ended.
    count: usize,
    /// The same per address. Empty without a limit per address.
    by_address: HashMap<IpAddr, usize>,
}

/// Why a new session is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CapacityError {
    Server,
    Address,
}

/// A counted slot for a session. Dropping it frees the slot.
pub(super) struct SessionPermit {
    registry: Arc<Registry>,
    address: Option<IpAddr>,
}

impl Registry {
    pub(super) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        settings: &Settings,
    ) -> Result<SessionPermit, CapacityError> {
        let mut counts = self.counts.lock();
        let address = client_network(address);
        if counts.closing || settings.max_sessions.is_some_and(|max| counts.count >= max) {
            return Err(CapacityError::Server);
        }
        if let Some(max) = settings.max_sessions_per_ip {
            let count = counts.by_address.entry(address).or_default();
            if *count >= max {
                return Err(CapacityError::Address);
            }
            *count += 1;
        }
        counts.count += 1;
        Ok(SessionPermit {
            registry: self.clone(),
            address: settings.max_sessions_per_ip.map(|_| address),
        })
    }

    /// Adds a session. `false` means that the server is closing and the session must end.
    pub(super) fn insert(&self, session: Arc<Session>) -> bool {
        self.sessions.write().insert(session.id(), session);
        !self.counts.lock().closing
    }

    /// Stops admitting sessions. Returns the open ones.
    pub(crate) fn close(&self) -> Vec<Arc<Session>> {
        self.counts.lock().closing = true;
        self.closing.notify_waiters();
        self.sessions.read().values().cloned().collect()
    }

    /// Waits until the server is closing.
    pub(crate) async fn wait_until_closing(&self) {
        let closing = self.closing.notified();
        tokio::pin!(closing);
        // Registered before the check, so that the start is not missed between the two.
        closing.as_mut().enable();
        if !self.is_closing() {
            closing.await;
        }
    }

    /// Whether the server is closing.
    pub(super) fn is_closing(&self) -> bool {
        self.counts.lock().closing
    }

    pub(super) fn remove(&self, id: SessionId) {
        self.sessions.write().remove(&id);
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions.read().get(&SessionId::parse(id)?).cloned()
    }

    /// The open sessions that satisfy the condition.
    pub(super) fn sessions_where(&self, condition: impl Fn(&Arc<Session>) -> bool) -> Vec<Arc<Session>> {
        let sessions = self.sessions.read();
        sessions
            .values()
            .filter(|session| condition(session))
            .cloned()
            .collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.counts.lock().count
    }

    /// Waits until every session's task has ended.
    pub(crate) async fn wait_until_empty(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Registered before the check, so that no end is missed between the two.
            ended.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for SessionPermit {
    fn drop(&mut self) {
        let mut counts = self.registry.counts.lock();
        counts.count -= 1;
        if let Some(address) = self.address
            && let Some(count) = counts.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
        drop(counts);
        self.registry.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_server_admits_no_session() {
        let registry = Arc::new(Registry::default());
        registry.close();
        assert!(
            registry
                .admit(IpAddr::from([127, 0, 0, 1]), &Settings::default())
                .is_err()
        );
    }

    #[test]
    fn permits_are_limited_per_address_and_in_total_and_are_freed() {
        let registry = Arc::new(Registry::default());
        let settings = Settings {
            max_sessions: Some(3),
            max_sessions_per_ip: Some(2),
            ..Settings::default()
        };
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([127, 0, 0, n]));
        let first = registry.admit(a, &settings).ok().unwrap();
        let _second = registry.admit(a, &settings).ok().unwrap();
        assert_eq!(registry.admit(a, &settings).err(), Some(CapacityError::Address));
        let _third = registry.admit(b, &settings).ok().unwrap();
        assert_eq!(registry.admit(c, &settings).err(), Some(CapacityError::Server));
        drop(first);
        assert!(registry.admit(c, &settings).is_ok());
        assert_eq!(registry.count(), 2);
    }
}
