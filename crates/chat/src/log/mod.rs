//! The log on this node: the appender writes entries, the follower applies those of all nodes in log order.
//!
//! A write goes `Appender` -> store -> `EntryInbox` -> `Follower`. Entries of other nodes come into the same
//! inbox, from the bus or from the store.

pub(crate) mod appender;
mod commit;
pub(crate) mod control;
mod delivery_budget;
pub(crate) mod follower;
pub(crate) mod inbox;
pub(crate) mod page_view;
pub(crate) mod pending;
pub(crate) mod position;
pub(crate) mod reorder_buffer;
pub(crate) mod view;

use std::sync::Arc;

use roomful_supervisor::{Supervised, supervise};

use self::{appender::Appender, follower::Follower};

/// Starts the task of the appender and the follower. It ends when the result is dropped.
///
/// They share a task, so that a commit costs no hop from one to the other. If one of them panics, both start
/// again: the follower reads the missing entries from the store, and the writes of the current batch stay
/// unanswered.
pub(crate) fn start(appender: Arc<Appender>, follower: Arc<Follower>) -> Supervised {
    supervise("log", move || {
        let (appender, follower) = (Arc::clone(&appender), Arc::clone(&follower));
        async move {
            // The appender first, so that the store commits while the follower applies.
            tokio::join!(biased; appender.run(), follower.run());
        }
    })
}
