//! The application's handlers of a namespace: middleware, events, connect and disconnect. They belong to
//! the namespace, so an idle socket needs no memory for them.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use parking_lot::RwLock;
use serde_json::Value;

use super::{Socket, event::Event};
use crate::reason::Reason;

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Middleware = Arc<dyn Fn(Socket) -> BoxFuture<Result<(), Refusal>> + Send + Sync>;
type OnConnect = Arc<dyn Fn(Socket) -> BoxFuture<()> + Send + Sync>;
pub(super) type OnEvent = Arc<dyn Fn(Socket, Event) -> BoxFuture<()> + Send + Sync>;
pub(super) type OnDisconnect = Arc<dyn Fn(Socket, Reason) -> BoxFuture<()> + Send + Sync>;

/// Why a middleware refuses a client. The client gets it as `connect_error`: an `Error` with this `message`
/// and `data`.
#[derive(Debug, Clone, PartialEq)]
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
    on_connect: RwLock<Option<OnConnect>>,
    on_event: RwLock<HashMap<Box<str>, OnEvent>>,
    on_any: RwLock<Option<OnEvent>>,
    on_disconnect: RwLock<Option<OnDisconnect>>,
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

    pub(super) fn set_on_connect<F, Fut>(&self, handler: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        *self.on_connect.write() = Some(Arc::new(move |socket| Box::pin(handler(socket))));
    }

    pub(super) fn set_on_event<F, Fut>(&self, event: &str, handler: F)
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_event.write().insert(
            event.into(),
            Arc::new(move |socket, event| Box::pin(handler(socket, event))),
        );
    }

    pub(super) fn set_on_any<F, Fut>(&self, handler: F)
    where
        F: Fn(Socket, Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        *self.on_any.write() = Some(Arc::new(move |socket, event| Box::pin(handler(socket, event))));
    }

    pub(super) fn set_on_disconnect<F, Fut>(&self, handler: F)
    where
        F: Fn(Socket, Reason) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        *self.on_disconnect.write() = Some(Arc::new(move |socket, reason| Box::pin(handler(socket, reason))));
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
        let handler = self.on_connect.read().clone();
        if let Some(handler) = handler {
            handler(socket).await;
        }
    }

    /// The handler of an event: its own, or the one for any event.
    pub(super) fn for_event(&self, name: &str) -> Option<OnEvent> {
        self.on_event
            .read()
            .get(name)
            .cloned()
            .or_else(|| self.on_any.read().clone())
    }

    pub(super) fn for_disconnect(&self) -> Option<OnDisconnect> {
        self.on_disconnect.read().clone()
    }
}
