//! Queries to the other nodes and their answers, over the bus.
//!
//! A query names the nodes that are to answer. They answer on the topic of the node that asks. The bus may
//! lose either message, so the caller learns which nodes have not answered in time.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use roomful_bus::Subscription;
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::timeout};

use super::{Cluster, bus_message::encode};
use crate::{
    connection_list::{Connection, ConnectionQuery},
    error::ChatError,
    hooks::HookState,
};

/// How long a query waits for the answers of other nodes.
const PATIENCE: Duration = Duration::from_secs(1);
/// The topic of the queries, to which all nodes listen.
pub(super) const QUERIES: &str = "queries";

/// What a node can ask another one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum NodeQuery {
    Connections(ConnectionQuery),
    Hooks,
}

/// The answer to a [`NodeQuery`], of the same variant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum NodeAnswer {
    Connections(Vec<Connection>),
    Hooks(Vec<HookState>),
}

/// A query on the bus.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct QueryMessage {
    id: u64,
    /// The process that asks, as its topic of answers names it.
    from: String,
    /// The members that are to answer.
    to: Vec<String>,
    query: NodeQuery,
}

/// An answer on the bus.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AnswerMessage {
    /// The query.
    id: u64,
    /// The member that answers.
    member: String,
    answer: NodeAnswer,
}

/// The name in a member's registry entry.
#[derive(Deserialize)]
struct Named {
    node: String,
}

/// The queries of this node that wait for answers.
pub(super) struct OpenQueries {
    /// Names this process in the topic of its answers.
    process: String,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, mpsc::Sender<AnswerMessage>>>,
    /// To the queries of others, and to the answers of others.
    topics: Mutex<Vec<Subscription>>,
}

impl Default for OpenQueries {
    fn default() -> Self {
        Self {
            process: format!("{:032x}", rand::random::<u128>()),
            next: AtomicU64::default(),
            waiting: Mutex::default(),
            topics: Mutex::default(),
        }
    }
}

impl OpenQueries {
    /// Passes an answer to the query that waits for it, if it still does.
    pub(super) fn answered(&self, answer: AnswerMessage) {
        let waiting = self.waiting.lock();
        if let Some(query) = waiting.get(&answer.id) {
            // There is room for one answer of each node; a repeated one may be dropped.
            let _ = query.try_send(answer);
        }
    }
}

/// A query that waits for answers. Dropping it ends the wait.
struct Waiting<'a> {
    queries: &'a OpenQueries,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queries.waiting.lock().remove(&self.id);
    }
}

impl Cluster {
    /// Listens to the queries and answers of other nodes.
    pub(super) fn listen_to_queries(&self) {
        let topics = [QUERIES.to_owned(), answers_topic(&self.queries.process)];
        let topics = topics.map(|topic| self.subscribe(&topic));
        self.queries.topics.lock().extend(topics);
    }

    /// Asks the other living nodes, or those of this name. Returns their names with their answers; `None` for
    /// a node that has not answered in time.
    ///
    /// # Errors
    /// `unavailable` if the registry can't be asked.
    pub(crate) async fn ask_others(
        &self,
        query: NodeQuery,
        node: Option<&str>,
    ) -> Result<Vec<(String, Option<NodeAnswer>)>, ChatError> {
        let others = self.other_infos().await?;
        let named = others.into_iter().filter_map(|entry| {
            let Named { node } = serde_json::from_slice(&entry.value).ok()?;
            Some((entry.member, node))
        });
        let asked: Vec<_> = named
            .filter(|(_, name)| node.is_none_or(|wanted| wanted == name))
            .collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let to = asked.iter().map(|(member, _)| member.clone()).collect();
        let mut answers = self.answers(query, to).await;
        let answered = asked.into_iter().map(|(member, node)| {
            let answer = answers.remove(&member);
            (node, answer)
        });
        Ok(without_earlier_starts(answered.collect(), self.node()))
    }

    /// The answers of members that come in time.
    async fn answers(&self, query: NodeQuery, to: Vec<String>) -> HashMap<String, NodeAnswer> {
        let (most, mut found) = (to.len(), HashMap::new());
        let (sender, mut answers) = mpsc::channel(most);
        let id = self.queries.next.fetch_add(1, Ordering::Relaxed);
        self.queries.waiting.lock().insert(id, sender);
        let _waiting = Waiting {
            queries: &self.queries,
            id,
        };
        let from = self.queries.process.clone();
        let message = QueryMessage { id, from, to, query };
        self.config.bus.publish(QUERIES, encode(&message));
        let all = async {
            while found.len() < most
                && let Some(AnswerMessage { member, answer, .. }) = answers.recv().await
            {
                found.insert(member, answer);
            }
        };
        // Without the answers that are late.
        let _ = timeout(PATIENCE, all).await;
        found
    }

    /// Answers a query of another node, unless it asks others.
    pub(super) fn answer(&self, message: QueryMessage) {
        let member = self.lease.incarnation().to_string();
        let QueryMessage { id, from, to, query } = message;
        let Some(node) = self.events.upgrade().filter(|_| to.contains(&member)) else {
            return;
        };
        let bus = Arc::clone(&self.config.bus);
        // A list of many connections takes longer than the bus may wait.
        tokio::spawn(async move {
            let answer = node.answer(&query);
            let message = AnswerMessage { id, member, answer };
            bus.publish(&answers_topic(&from), encode(&message));
        });
    }
}

/// Removes nodes that did not answer and whose name is that of a node that did, or of this one. They are
/// earlier incarnations of that node, and the registry keeps them until their leases end.
fn without_earlier_starts<A>(nodes: Vec<(String, Option<A>)>, own_name: &str) -> Vec<(String, Option<A>)> {
    let answered = nodes.iter().filter(|(_, answer)| answer.is_some());
    let answering: HashSet<_> = answered.map(|(node, _)| node.clone()).collect();
    let is_earlier = |(node, answer): &(String, Option<A>)| {
        answer.is_none() && (answering.contains(node) || node == own_name)
    };
    nodes.into_iter().filter(|node| !is_earlier(node)).collect()
}

fn answers_topic(process: &str) -> String {
    format!("answers:{process}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_start_of_a_node_that_answers_is_not_missing() {
        let nodes = [
            ("b", None),
            ("b", Some(1)),
            ("c", None),
            ("a", None),
            ("d", Some(2)),
        ];
        let nodes = nodes.map(|(node, answer)| (node.to_owned(), answer)).to_vec();
        let left = without_earlier_starts(nodes, "a");
        let left: Vec<_> = left.iter().map(|(node, answer)| (&**node, *answer)).collect();
        assert_eq!(left, [("b", Some(1)), ("c", None), ("d", Some(2))]);
    }
}
