//! The connections of each user, counted and found by user id.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use roomful_socket::Socket;
use tokio::sync::Notify;

use crate::{
    error::ChatError,
    types::{Claims, UserId},
};

/// The connections of each user. Bounded by the number of connections.
#[derive(Default)]
pub(crate) struct UserConnections {
    users: Mutex<HashMap<UserId, Connections>>,
    /// A connection is gone.
    gone: Notify,
}

#[derive(Default)]
struct Connections {
    /// Admitted connections, connected or about to be.
    count: u32,
    sockets: Vec<Socket>,
}

impl UserConnections {
    /// Counts one more connection of the user.
    ///
    /// # Errors
    /// `rate_limited` if they have `most` already.
    pub(crate) fn take(self: &Arc<Self>, claims: &Claims, most: u32) -> Result<ConnectionSlot, ChatError> {
        let mut users = self.users.lock();
        // All connections of the user share the id that is in the table.
        let user = users
            .get_key_value(&claims.user)
            .map_or_else(|| claims.user.clone(), |(user, _)| user.clone());
        let connections = users.entry(user.clone()).or_default();
        if connections.count >= most {
            return Err(ChatError::RateLimited {
                what: "connections of this user",
                retry_after_ms: 1_000,
            });
        }
        connections.count += 1;
        Ok(ConnectionSlot {
            user,
            table: Arc::clone(self),
        })
    }

    /// A socket of the user is connected.
    pub(crate) fn connected(&self, user: &UserId, socket: &Socket) {
        if let Some(connections) = self.users.lock().get_mut(user) {
            // Most users have one: no capacity beyond that.
            connections.sockets.reserve_exact(1);
            connections.sockets.push(socket.clone());
        }
    }

    /// A socket of the user is gone.
    pub(crate) fn disconnected(&self, user: &UserId, socket: &Socket) {
        let mut users = self.users.lock();
        let gone = users.get_mut(user).and_then(|connections| {
            let at = connections.sockets.iter().position(|known| known == socket)?;
            Some(connections.sockets.swap_remove(at))
        });
        // The last handle of a socket returns its slot, which takes the lock.
        drop(users);
        drop(gone);
        self.gone.notify_waiters();
    }

    /// Waits until `which` holds for no connected socket of the user.
    pub(crate) async fn none_left(&self, user: &str, which: impl Fn(&Socket) -> bool) {
        loop {
            let gone = self.gone.notified();
            if !self.sockets(user).iter().any(&which) {
                return;
            }
            gone.await;
        }
    }

    /// The user's connected sockets.
    pub(crate) fn sockets(&self, user: &str) -> Vec<Socket> {
        let users = self.users.lock();
        users
            .get(user)
            .map_or_else(Vec::new, |connections| connections.sockets.clone())
    }
}

/// One counted connection of a user. Dropping it ends the count.
pub(crate) struct ConnectionSlot {
    user: UserId,
    table: Arc<UserConnections>,
}

impl ConnectionSlot {
    pub(crate) fn user(&self) -> UserId {
        Arc::clone(&self.user)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut users = self.table.users.lock();
        if let Some(connections) = users.get_mut(&self.user) {
            connections.count = connections.count.saturating_sub(1);
            if connections.count == 0 {
                users.remove(&self.user);
            }
        }
    }
}
