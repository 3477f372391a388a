//! The suite every bus has to pass: `bus_contract!(harness)` makes one test of each case.
//!
//! A case sees a bus only through [`Bus`], from several ends. What is particular to one (a server that dies) is tested
//! beside it.

#![expect(missing_docs, reason = "the name of a case says what it checks")]

pub mod roster;
pub mod topics;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};

use crate::{Bus, BusError, Listener};

/// What a case ends with.
pub type Outcome = Result<(), BusError>;

/// How long a case waits for what must happen. Only a case that fails waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A bus of its own for one case.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new end of it, which can be used at once.
    async fn connect(&self) -> Result<Arc<dyn Bus>, BusError>;
}

/// Runs a case to its end.
///
/// # Panics
/// If it hangs.
pub fn run(case: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime
        .map_err(|error| BusError::Setup(error.to_string()))?
        .block_on(async {
            let Ok(outcome) = timeout(PATIENCE * 3, case).await else {
                panic!("the case hangs");
            };
            outcome
        })
}

/// Makes a `#[test]` of each case. The expression is evaluated once a test, within a runtime, and is a future of a
/// [`Harness`](crate::contract::Harness).
#[macro_export]
macro_rules! bus_contract {
    ($harness:expr) => {
        $crate::bus_contract! { @cases $harness;
            topics::others_hear_what_an_end_publishes_and_itself_does_not,
            topics::who_is_not_subscribed_hears_nothing,
            topics::several_listeners_of_one_end_hear_a_topic,
            topics::an_ended_subscription_hears_no_more,
            topics::messages_of_one_end_come_in_order,
            topics::a_listener_may_publish_and_subscribe,
            topics::thousands_of_topics_come_and_go,
            topics::a_topic_that_is_left_and_taken_up_at_once_is_heard,
            topics::any_topic_and_any_message_arrive_as_they_were,
            topics::a_closed_end_is_silent_and_deaf,
            roster::a_lease_begins_is_renewed_and_lapses,
            roster::a_lapsed_id_never_comes_back,
            roster::a_lease_ends_when_its_member_resigns,
            roster::members_are_seen_with_their_latest_info,
            roster::writes_answer_with_what_others_have,
            roster::entries_are_answered_in_the_order_of_their_keys,
            roster::entries_of_the_dead_do_not_count,
            roster::the_dead_are_swept_once,
            roster::a_sweep_takes_so_many_at_most,
            roster::a_lapsed_member_writes_nothing,
            roster::one_member_has_a_hold,
            roster::a_hold_is_free_when_its_holder_or_its_time_ends,
            roster::any_key_and_any_value_come_back_as_they_were,
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

/// What a [`Recorder`] has heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Message(String, Bytes),
    Gap(String),
}

/// A listener that keeps what it hears.
#[derive(Default)]
pub struct Recorder {
    heard: Mutex<VecDeque<Heard>>,
    more: Notify,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The next it hears, or heard and was not asked for.
    ///
    /// # Panics
    /// If nothing comes.
    pub async fn next(&self) -> Heard {
        let next = async {
            loop {
                let more = self.more.notified();
                if let Some(heard) = self.try_next() {
                    return heard;
                }
                more.await;
            }
        };
        let Ok(heard) = timeout(PATIENCE, next).await else {
            panic!("nothing was heard within {PATIENCE:?}");
        };
        heard
    }

    /// The next message, whatever its topic, as text.
    ///
    /// # Panics
    /// If nothing comes, or a gap.
    pub async fn text(&self) -> String {
        match self.next().await {
            Heard::Message(_, message) => String::from_utf8_lossy(&message).into_owned(),
            Heard::Gap(topic) => panic!("a gap on {topic} instead of a message"),
        }
    }

    /// What [`Recorder::next`] would give at once.
    pub fn try_next(&self) -> Option<Heard> {
        self.heard.lock().pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.heard.lock().is_empty()
    }

    fn push(&self, heard: Heard) {
        self.heard.lock().push_back(heard);
        self.more.notify_one();
    }
}

impl Listener for Recorder {
    fn message(&self, topic: &str, message: Bytes) {
        self.push(Heard::Message(topic.to_owned(), message));
    }

    fn gap(&self, topic: &str) {
        self.push(Heard::Gap(topic.to_owned()));
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.heard.lock().iter()).finish()
    }
}

/// Asks until the answer is yes.
///
/// # Panics
/// If it is not within [`PATIENCE`].
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool, BusError>) -> Outcome {
    let asking = async {
        loop {
            if is_so().await? {
                return Ok(());
            }
            // A lease that ends gives no event to wait for.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let Ok(outcome) = timeout(PATIENCE, asking).await else {
        panic!("waited {PATIENCE:?} for {what}");
    };
    outcome
}
