//! All namespaces of a server: fixed ones, and dynamic ones that exist while they have clients.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use parking_lot::RwLock;
use tokio::time::Instant;

use super::{Namespace, handlers::Handlers, memory_recovery::RecoveryLimits, remote_nodes::RemoteNodes};
use crate::throttled_log::ThrottledLog;

/// Shortest time between two log lines about clients with the msgpack parser.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// All namespaces, fixed and dynamic.
pub(super) struct Namespaces {
    fixed: RwLock<HashMap<Arc<str>, Namespace>>,
    templates: RwLock<Vec<Template>>,
    /// Namespaces created from a template, with the number of clients that are connected or connecting.
    dynamic: RwLock<HashMap<Arc<str>, (Namespace, usize)>>,
    /// The built-in recovery of all namespaces.
    recovery: Option<RecoveryLimits>,
    /// The other nodes, in a cluster with a bus.
    remote_nodes: OnceLock<Arc<dyn RemoteNodes>>,
    /// Throttles the log of clients with the msgpack parser.
    msgpack_log: ThrottledLog,
}

struct Template {
    matches: Box<dyn Fn(&str) -> bool + Send + Sync>,
    handlers: Arc<Handlers>,
}

impl Namespaces {
    /// No namespaces yet. `recovery` enables the built-in recovery in all of them.
    pub(super) fn new(recovery: Option<RecoveryLimits>) -> Self {
        Namespaces {
            fixed: RwLock::default(),
            templates: RwLock::default(),
            dynamic: RwLock::default(),
            recovery,
            remote_nodes: OnceLock::new(),
            msgpack_log: ThrottledLog::new(LOG_EVERY),
        }
    }

    /// The fixed namespace of this name, created if missing.
    pub(super) fn of(&self, name: &str) -> Namespace {
        let mut fixed = self.fixed.write();
        if let Some(namespace) = fixed.get(name) {
            return namespace.clone();
        }
        let name: Arc<str> = name.into();
        let namespace = self.create(name.clone(), Arc::default());
        fixed.insert(name, namespace.clone());
        namespace
    }

    fn create(&self, name: Arc<str>, handlers: Arc<Handlers>) -> Namespace {
        let namespace = Namespace::new(name, handlers, self.remote_nodes.get().cloned());
        if let Some(limits) = &self.recovery {
            namespace.enable_memory_recovery(limits.clone());
        }
        namespace
    }

    /// Adds a template for dynamic namespaces.
    pub(super) fn add_template(
        &self,
        matches: impl Fn(&str) -> bool + Send + Sync + 'static,
        handlers: Arc<Handlers>,
    ) {
        self.templates.write().push(Template {
            matches: Box::new(matches),
            handlers,
        });
    }

    /// The dynamic namespaces with clients.
    pub(super) fn dynamic(&self) -> Vec<Namespace> {
        let dynamic = self.dynamic.read();
        dynamic.values().map(|(namespace, _)| namespace.clone()).collect()
    }

    /// Connects all namespaces that are created from now on to the other nodes. Only the first call has an
    /// effect.
    pub(super) fn connect(&self, nodes: Arc<dyn RemoteNodes>) {
        // The first connection stays.
        let _ = self.remote_nodes.set(nodes);
    }

    /// The namespace that a client asks for. A dynamic one counts the client until [`Namespaces::release`].
    pub(super) fn enter(&self, name: &str) -> Option<Namespace> {
        if let Some(namespace) = self.fixed.read().get(name) {
            return Some(namespace.clone());
        }
        let mut dynamic = self.dynamic.write();
        if let Some((namespace, clients)) = dynamic.get_mut(name) {
            *clients += 1;
            return Some(namespace.clone());
        }
        let templates = self.templates.read();
        let template = templates.iter().find(|template| (template.matches)(name))?;
        let name: Arc<str> = name.into();
        let namespace = self.create(name.clone(), template.handlers.clone());
        dynamic.insert(name, (namespace.clone(), 1));
        Some(namespace)
    }

    /// An existing namespace.
    #[cfg(feature = "cluster")]
    pub(super) fn find(&self, name: &str) -> Option<Namespace> {
        if let Some(namespace) = self.fixed.read().get(name) {
            return Some(namespace.clone());
        }
        self.dynamic
            .read()
            .get(name)
            .map(|(namespace, _)| namespace.clone())
    }

    /// All existing namespaces.
    pub(super) fn all(&self) -> Vec<Namespace> {
        let mut all: Vec<_> = self.fixed.read().values().cloned().collect();
        all.extend(self.dynamic());
        all
    }

    /// Logs a client that was refused because of its parser.
    pub(super) fn log_msgpack(&self, address: IpAddr) {
        if let Some(clients) = self.msgpack_log.record(Instant::now()) {
            tracing::warn!(
                clients,
                %address,
                "refused clients with the msgpack parser; remove their `parser` option"
            );
        }
    }

    /// Removes a client that has left or was refused. A dynamic namespace ends with its last client.
    pub(super) fn release(&self, namespace: &Namespace) {
        let mut dynamic = self.dynamic.write();
        if let Some((_, clients)) = dynamic.get_mut(namespace.name()) {
            *clients -= 1;
            if *clients == 0 {
                dynamic.remove(namespace.name());
            }
        }
    }
}
