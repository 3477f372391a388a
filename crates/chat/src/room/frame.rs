//! An event that is encoded once for many sockets.

use std::sync::OnceLock;

use roomful_socket::{Class, Namespace, Prepared};
use serde::Serialize;

use crate::types::UserId;

/// An encoded event, with the class that decides its fate when a socket's outbox is full.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) event: Prepared,
    pub(crate) class: Class,
    /// The event without its offset, once a socket needs it so.
    without_offset: OnceLock<Prepared>,
    /// What the entry's author gets instead, if that differs.
    for_author: Option<Box<(UserId, Frame)>>,
}

impl Frame {
    pub(crate) const fn new(event: Prepared, class: Class) -> Self {
        let without_offset = OnceLock::new();
        Self {
            event,
            class,
            without_offset,
            for_author: None,
        }
    }

    /// The frame for all others than `author`, who gets another one.
    pub(crate) fn with_author(mut self, author: UserId, frame: Self) -> Self {
        self.for_author = Some(Box::new((author, frame)));
        self
    }

    /// The frame that this user gets.
    pub(crate) fn for_user(&self, user: &str) -> &Self {
        match self.for_author.as_deref() {
            Some((author, frame)) if **author == *user => frame,
            _ => self,
        }
    }

    /// Encodes an event without an offset; `None`, with an error in the log, if that fails.
    pub(crate) fn encode<T: Serialize + ?Sized>(
        namespace: &Namespace,
        event: &str,
        data: &T,
        class: Class,
    ) -> Option<Self> {
        namespace
            .prepare(event, data)
            .map(|event| Self::new(event, class))
            .inspect_err(|error| tracing::error!(event, %error, "failed to encode an event"))
            .ok()
    }

    pub(super) fn without_offset(&self) -> &Prepared {
        self.without_offset.get_or_init(|| self.event.without_offset())
    }
}
