//! The application's handlers of a namespace: middleware, events, connect, upgrade and disconnect. They
//! belong to the namespace, so an idle socket needs no memory for them.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use parking_lot::RwLock;
use roomful_wire::packet::Payload;
use serde_json::Value;
use smallvec::SmallVec;

use super::{Socket, event::Event, server_event::ServerEvent};
use crate::{prepared::Prepared, reason::Reason};

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Middleware = Arc<dyn Fn(Socket) -> BoxFuture<Result<(), Refusal>> + Send + Sync>;
type EventMiddleware = Arc<dyn Fn(Socket, Event) -> BoxFuture<Result<Event, Refusal>> + Send + Sync>;
type OnConnect = Arc<dyn Fn(Socket) -> BoxFuture<()> + Send + Sync>;
type OnEvent = Arc<dyn Fn(Socket, Event) -> BoxFuture<()> + Send + Sync>;
type OnDisconnect = Arc<dyn Fn(Socket, Reason) -> BoxFuture<()> + Send + Sync>;
type OnDisconnecting = Arc<dyn Fn(&Socket, Reason) + Send + Sync>;
type OnUpgrade = Arc<dyn Fn(&Socket) + Send + Sync>;
type OnOutgoing = Arc<dyn Fn(&Socket, &str, &Payload) + Send + Sync>;
type OnServerEvent = Arc<dyn Fn(ServerEvent) + Send + Sync>;

/// Why a middleware refuses a client. The client gets it as `connect_error`: an `Error` with this `message`
/// and `data`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// Text for people.
    pub message: String,
    /// Data for programs.
    pub data: Option<Value>,
}

impl Refusal {
    /// A refusal without data.
    pub fn new(message: impl Into<String>) -> Self {
        Refusal {
            message: message.into(),
            data: None,
        }
    }

    /// Adds data.
    pub fn data(self, data: Value) -> Self {
        Refusal {
            data: Some(data),
            ..self
        }
    }
}

#[derive(Default)]
pub(super) struct Handlers {
    middleware: RwLock<Vec<Middleware>>,
    on_connect: RwLock<SmallVec<[OnConnect; 1]>>,
    events: RwLock<EventHandlers>,
    on_disconnecting: RwLock<Vec<OnDisconnecting>>,
    on_disconnect: RwLock<SmallVec<[OnDisconnect; 1]>>,
    on_upgrade: RwLock<Vec<OnUpgrade>>,
    /// Unset while nobody observes outgoing events: each send asks.
    on_outgoing: OnceLock<Outgoing>,
    on_server_event: RwLock<HashMap<Box<str>, Vec<OnServerEvent>>>,
}

/// Handlers of events, under one lock. Most applications have one handler per event.
#[derive(Default)]
struct EventHandlers {
    middleware: Vec<EventMiddleware>,
    any: SmallVec<[OnEvent; 1]>,
    named: HashMap<Box<str>, SmallVec<[OnEvent; 1]>>,
}

/// Observers of outgoing events.
#[derive(Default)]
pub(super) struct Outgoing(RwLock<Vec<OnOutgoing>>);

impl Outgoing {
    /// Calls the observers with each event in the message.
    #[cold]
    pub(super) fn observe(&self, socket: &Socket, message: &Prepared) {
        let observers = self.0.read().clone();
        for (name, payload) in message.events() {
            for observer in &observers {
                observer(socket, &name, &payload);
            }
        }
    }
}

impl Handlers {
    pub(super) fn add_middleware<F, Fut>(&self, middleware: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.middleware
            .write()
            .push(Arc::new(move |socket| Box::pin(middleware(socket))));
    }

    pub(super) fn add_event_middleware<F, Fut>(&self, middleware: F)
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Event, Refusal>> + Send + 'static,
    {
        self.events
            .write()
            .middleware
            .push(Arc::new(move |socket, event| Box::pin(middleware(socket, event))));
    }

    pub(super) fn add_on_connect<F, Fut>(&self, handler: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_connect
            .write()
            .push(Arc::new(move |socket| Box::pin(handler(socket))));
    }

    pub(super) fn add_on_event<F, Fut>(&self, event: &str, handler: F)
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let handler: OnEvent = Arc::new(move |socket, event| Box::pin(handler(socket, event)));
        self.events
            .write()
            .named
            .entry(event.into())
            .or_default()
            .push(handler);
    }

    pub(super) fn add_on_any<F, Fut>(&self, handler: F)
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let handler: OnEvent = Arc::new(move |socket, event| Box::pin(handler(socket, event)));
        self.events.write().any.push(handler);
    }

    pub(super) fn add_on_disconnecting(&self, handler: impl Fn(&Socket, Reason) + Send + Sync + 'static) {
        self.on_disconnecting.write().push(Arc::new(handler));
    }

    pub(super) fn add_on_disconnect<F, Fut>(&self, handler: F)
    where
        F: Fn(Socket, Reason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_disconnect
            .write()
            .push(Arc::new(move |socket, reason| Box::pin(handler(socket, reason))));
    }

    pub(super) fn add_on_upgrade(&self, handler: impl Fn(&Socket) + Send + Sync + 'static) {
        self.on_upgrade.write().push(Arc::new(handler));
    }

    pub(super) fn add_on_outgoing(&self, observer: impl Fn(&Socket, &str, &Payload) + Send + Sync + 'static) {
        let outgoing = self.on_outgoing.get_or_init(Outgoing::default);
        outgoing.0.write().push(Arc::new(observer));
    }

    pub(super) fn add_on_server_event(
        &self,
        event: &str,
        handler: impl Fn(ServerEvent) + Send + Sync + 'static,
    ) {
        let mut handlers = self.on_server_event.write();
        handlers.entry(event.into()).or_default().push(Arc::new(handler));
    }

    /// Runs all middleware in order until one refuses.
    pub(super) async fn admit(&self, socket: &Socket) -> Result<(), Refusal> {
        let middleware = self.middleware.read().clone();
        for check in middleware {
            check(socket.clone()).await?;
        }
        Ok(())
    }

    pub(super) async fn connected(&self, socket: Socket) {
        let handlers = self.on_connect.read().clone();
        for handler in handlers {
            handler(socket.clone()).await;
        }
    }

    /// Starts the handlers of an event. `None` if there are none.
    pub(super) fn start_event(&self, socket: Socket, event: Event) -> Option<BoxFuture<()>> {
        let events = self.events.read();
        let named = events.named.get(&event.name);
        let named = named.map(SmallVec::as_slice).unwrap_or_default();
        if let (true, [only], []) | (true, [], [only]) =
            (events.middleware.is_empty(), events.any.as_slice(), named)
        {
            let handler = Arc::clone(only);
            drop(events);
            return Some(handler(socket, event));
        }
        let handlers: Vec<OnEvent> = events.any.iter().chain(named).cloned().collect();
        let middleware = events.middleware.clone();
        drop(events);
        if handlers.is_empty() && middleware.is_empty() {
            return None;
        }
        Some(Box::pin(run_all(middleware, handlers, socket, event)))
    }

    pub(super) fn disconnecting(&self, socket: &Socket, reason: Reason) {
        let handlers = self.on_disconnecting.read().clone();
        for handler in handlers {
            handler(socket, reason);
        }
    }

    /// Starts the disconnect handlers. `None` if there are none.
    pub(super) fn start_disconnect(&self, socket: Socket, reason: Reason) -> Option<BoxFuture<()>> {
        let handlers = self.on_disconnect.read().clone();
        match handlers.as_slice() {
            [] => None,
            [only] => Some(only(socket, reason)),
            _ => Some(Box::pin(async move {
                for handler in handlers {
                    handler(socket.clone(), reason).await;
                }
            })),
        }
    }

    pub(super) fn upgraded(&self, socket: &Socket) {
        let handlers = self.on_upgrade.read().clone();
        for handler in handlers {
            handler(socket);
        }
    }

    /// The observers of outgoing events, if there are any.
    pub(super) fn outgoing(&self) -> Option<&Outgoing> {
        self.on_outgoing.get()
    }

    /// Calls the handlers of another node's event.
    #[cfg(feature = "cluster")]
    pub(super) fn server_event(&self, event: &ServerEvent) {
        let handlers = self.on_server_event.read().get(&event.name).cloned();
        for handler in handlers.unwrap_or_default() {
            handler(event.clone());
        }
    }
}

/// Runs the middleware until one refuses, then all handlers, one after the other.
async fn run_all(middleware: Vec<EventMiddleware>, handlers: Vec<OnEvent>, socket: Socket, mut event: Event) {
    let size = event.size();
    for check in middleware {
        event = match check(socket.clone(), event).await {
            Ok(event) => event,
            Err(refusal) => {
                tracing::debug!(message = refusal.message, "a middleware refused an event");
                return socket.count_refused(size);
            }
        };
    }
    let Some((last, others)) = handlers.split_last() else {
        return;
    };
    for handler in others {
        handler(socket.clone(), event.share()).await;
    }
    last(socket, event).await;
}
