//! The contract suite of the bus: `bus_contract!(harness)` makes one test of each case.
//!
//! A case uses a bus only through [`Bus`], with several clients. Faults of one implementation, such as a
//! dying server, have their own tests.

#![expect(missing_docs, reason = "the name of a case is its description")]

pub mod membership;
pub mod topics;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};

use crate::{Bus, BusError, BusListener};

/// Result of a case.
pub type Outcome = Result<(), BusError>;

/// Time limit for an expected event. Only a failing case waits that long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Provides a fresh bus for one case.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new client, connected and ready.
    async fn connect(&self) -> Result<Arc<dyn Bus>, BusError>;
}

/// Runs a case.
///
/// # Panics
/// If the case hangs.
pub fn run(case: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime
        .map_err(|error| BusError::Config(error.to_string()))?
        .block_on(async {
            let Ok(outcome) = timeout(PATIENCE * 3, case).await else {
                panic!("the case did not end within {:?}", PATIENCE * 3);
            };
            outcome
        })
}

/// Makes a `#[test]` of each case. The macro evaluates the expression once per test, within a runtime; it
/// must be a future of a [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! bus_contract {
    ($harness:expr) => {
        $crate::bus_contract! { @cases $harness;
            topics::a_message_reaches_all_other_clients_but_not_its_sender,
            topics::only_subscribers_receive_a_topic,
            topics::several_listeners_of_one_client_receive_a_topic,
            topics::a_dropped_subscription_receives_nothing,
            topics::messages_of_one_client_arrive_in_order,
            topics::a_listener_may_publish_and_subscribe,
            topics::thousands_of_topics_come_and_go,
            topics::resubscribing_at_once_loses_no_message,
            topics::any_bytes_are_valid_in_topics_and_messages,
            topics::a_closed_client_neither_sends_nor_receives,
            membership::a_lease_starts_is_renewed_and_expires,
            membership::an_expired_id_never_starts_again,
            membership::leaving_ends_the_lease,
            membership::entries_of_a_member_that_left_linger,
            membership::members_shows_the_latest_info,
            membership::writes_return_the_entries_of_others,
            membership::entries_come_in_the_order_of_the_keys,
            membership::entries_of_expired_members_are_hidden,
            membership::an_expired_entry_is_taken_once,
            membership::take_expired_keeps_its_limit,
            membership::an_expired_member_cannot_write,
            membership::one_member_owns_a_lock,
            membership::a_lock_is_free_when_its_owner_leaves_or_its_time_ends,
            membership::any_bytes_are_valid_in_keys_and_values,
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                let case = async { $crate::contract::$group::$case(&$harness.await).await };
                if let Err(error) = $crate::contract::run(case) {
                    panic!("{error}");
                }
            }
        )*
    };
}

/// A call that a [`Recorder`] has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    Message(String, Bytes),
    Gap(String),
}

/// A listener that records its calls.
#[derive(Default)]
pub struct Recorder {
    received: Mutex<VecDeque<Received>>,
    more: Notify,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits for the next call and removes it from the record.
    ///
    /// # Panics
    /// If no call comes within [`PATIENCE`].
    pub async fn next(&self) -> Received {
        let next = async {
            loop {
                let more = self.more.notified();
                if let Some(received) = self.try_next() {
                    return received;
                }
                more.await;
            }
        };
        let Ok(received) = timeout(PATIENCE, next).await else {
            panic!("no message or gap within {PATIENCE:?}");
        };
        received
    }

    /// The next message of any topic as text.
    ///
    /// # Panics
    /// If no call comes, or a gap.
    pub async fn text(&self) -> String {
        match self.next().await {
            Received::Message(_, message) => String::from_utf8_lossy(&message).into_owned(),
            Received::Gap(topic) => panic!("a gap on {topic} instead of a message"),
        }
    }

    /// The next recorded call, without waiting.
    pub fn try_next(&self) -> Option<Received> {
        self.received.lock().pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.received.lock().is_empty()
    }

    fn push(&self, received: Received) {
        self.received.lock().push_back(received);
        self.more.notify_one();
    }
}

impl BusListener for Recorder {
    fn message(&self, topic: &str, message: Bytes) {
        self.push(Received::Message(topic.to_owned(), message));
    }

    fn gap(&self, topic: &str) {
        self.push(Received::Gap(topic.to_owned()));
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.received.lock().iter()).finish()
    }
}

/// Polls a condition until it is true.
///
/// # Panics
/// If it stays false for [`PATIENCE`].
pub async fn until(condition: &str, mut is_so: impl AsyncFnMut() -> Result<bool, BusError>) -> Outcome {
    let asking = async {
        loop {
            if is_so().await? {
                return Ok(());
            }
            // A lease expires without an event to wait for.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let Ok(outcome) = timeout(PATIENCE, asking).await else {
        panic!("waited {PATIENCE:?} for {condition}");
    };
    outcome
}
