//! The drain of a server: ends all connections in waves.

use std::collections::HashMap;

use tokio::time::Instant;

use super::{Socket, server::WebSocketServer};
use crate::{
    drain::{Drain, Drained, Waves},
    id::SessionId,
    reason::Reason,
};

impl WebSocketServer {
    /// Refuses new connections with 503 and ends the open ones in waves, so that the clients do not all
    /// reconnect at once. A drain is a temporary end ([`crate::Reason::is_temporary`]), so stock clients
    /// reconnect: TCP ends without a close frame, and polls are cut. Upgraded connections that this node
    /// tunnels for other nodes end in the same waves. Single requests are still forwarded until
    /// [`WebSocketServer::close`].
    ///
    /// Returns when all connections have ended, or [`Drain::timeout`] after the last wave.
    /// [`WebSocketServer::close`] may follow; it waits for handlers that still run.
    pub async fn drain(&self, drain: Drain) -> Drained {
        let engine = self.engine.engine();
        let metrics = &engine.metrics;
        metrics.draining.set(1.0);
        let sessions = engine.registry.close();
        // Sessions that have ended already and wait for a last poll wait no longer than the others.
        for session in sessions.iter().filter(|session| !session.is_open()) {
            session.end(Reason::ServerShuttingDown);
        }
        let mut hinted = drain.hint.as_ref().map(|_| self.by_session());
        let mut waves = Waves::new(sessions.len(), &drain);
        let mut sessions = sessions.into_iter();
        let mut ended = 0;
        let mut next = Instant::now();
        while let Some(wave) = waves.next() {
            let leaving: Vec<_> = sessions
                .by_ref()
                .take(wave.share)
                .filter(|session| session.is_open())
                .collect();
            if let (Some(hint), Some(hinted)) = (&drain.hint, &mut hinted) {
                let sockets = leaving.iter().filter_map(|session| hinted.remove(&session.id()));
                let sockets: Vec<Socket> = sockets.flatten().collect();
                if !sockets.is_empty() {
                    hint(&sockets);
                }
            }
            for session in &leaving {
                session.end(Reason::ServerShuttingDown);
            }
            ended += leaving.len();
            metrics.drained.increment(leaving.len() as u64);
            if let Some(peers) = &engine.peers {
                peers.drain(wave.progress);
            }
            let idle = engine.peers.as_ref().is_none_or(|peers| peers.is_idle());
            if waves.is_over() || (idle && engine.registry.count() == 0) {
                break;
            }
            next += drain.every;
            tokio::time::sleep_until(next).await;
        }
        // The returned count shows the connections that are left.
        let _ = tokio::time::timeout(drain.timeout, engine.registry.wait_until_empty()).await;
        Drained {
            ended,
            left: engine.registry.count(),
        }
    }

    fn by_session(&self) -> HashMap<SessionId, Vec<Socket>> {
        let mut sockets: HashMap<_, Vec<_>> = HashMap::new();
        for namespace in self.namespaces.all() {
            namespace.for_each(|socket| {
                let session = socket.session().id();
                sockets.entry(session).or_default().push(socket.clone());
            });
        }
        sockets
    }
}
