//! The suite every store has to pass: `store_contract!(harness)` makes one test of each case.
//!
//! A case sees a store only through [`Store`], so what holds here holds for every engine. What is particular to one
//! (a full disk, a broken write) is tested beside it.

#![expect(missing_docs, reason = "the name of a case says what it checks")]

pub mod crowd;
pub mod log;
pub mod model;
pub mod notifications;
pub mod outbox;
pub mod people;
pub mod retention;
pub mod rooms;

use std::sync::Arc;

use crate::{
    Appended, EntryKind, History, NewEntry, Options, Page, Range, RoomId, RoomRow, Store, StoreError,
};

/// What a case ends with.
pub type Outcome = Result<(), StoreError>;

/// Data of its own for one case.
pub trait Harness: Send + Sync {
    /// Opens the store on this harness's data, again with the same data if it was open before.
    fn open(&self, options: Options) -> Arc<dyn Store>;
}

/// Runs a case to its end.
pub fn run(case: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build();
    runtime
        .map_err(|error| StoreError::Setup(error.to_string()))?
        .block_on(case)
}

/// Makes a `#[test]` of each case. The expression is evaluated once a test, and makes a
/// [`Harness`](crate::contract::Harness) with data of its own.
#[macro_export]
macro_rules! store_contract {
    ($harness:expr) => {
        $crate::store_contract! { @cases $harness;
            log::numbers_are_dense_in_each_room,
            log::a_retry_gets_the_first_answer,
            log::a_client_id_stands_for_one_body,
            log::an_append_to_no_room_harms_no_other,
            log::pages_go_both_ways,
            log::a_page_ends_early_when_bodies_are_large,
            log::no_number_a_client_sends_is_too_large,
            log::any_text_comes_back_as_it_was,
            people::a_room_is_created_once,
            people::joining_twice_is_joining_once,
            people::a_mark_grows_up_to_the_head,
            people::a_mark_outlives_leaving,
            people::unread_counts_what_others_said,
            people::rooms_of_a_user_come_latest_first,
            people::a_user_keeps_name_and_latest_time,
            rooms::a_put_creates_and_then_changes_what_it_names,
            rooms::a_room_may_keep_less_than_the_others,
            rooms::a_private_room_takes_those_who_are_put_there,
            rooms::a_role_lasts_as_long_as_the_membership,
            rooms::rooms_and_members_are_listed_in_order,
            rooms::a_deleted_room_is_gone_for_good,
            rooms::a_revocation_only_grows_and_outlives_the_process,
            retention::an_append_lets_the_oldest_go,
            retention::a_trim_removes_by_count_and_age,
            retention::a_client_id_is_free_when_its_entry_is_gone,
            retention::a_trimmed_room_goes_on_counting,
            notifications::a_post_is_numbered_with_each_user,
            notifications::a_retry_is_told_from_another_post,
            notifications::pages_go_back_from_any_notification,
            notifications::reading_counts_down_once,
            notifications::a_device_gets_what_lies_beyond_its_mark,
            notifications::a_page_of_undelivered_ends_early,
            notifications::devices_beyond_the_limit_are_forgotten,
            notifications::the_oldest_of_a_user_go,
            notifications::what_is_too_old_goes_for_all,
            notifications::all_of_it_outlives_the_process,
            outbox::each_sink_gets_what_it_wants,
            outbox::without_sinks_nothing_is_written,
            outbox::a_settled_record_is_not_due,
            outbox::a_retry_of_a_message_makes_no_second_record,
            outbox::who_has_not_acknowledged_is_looked_at_twice,
            outbox::a_mark_takes_back_what_waits,
            outbox::dead_records_are_replayed,
            outbox::who_was_told_to_be_online_is_remembered,
            outbox::what_is_too_old_or_too_much_goes,
            crowd::many_senders_leave_no_hole,
            crowd::one_client_id_sent_at_once_is_one_entry,
            crowd::a_write_outlives_whoever_asked,
            crowd::all_is_there_after_reopening,
            crowd::a_closed_store_says_so,
            model::it_does_what_a_plain_list_would,
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident,)*) => { $(
        #[test]
        fn $case() {
            let harness = $harness;
            $crate::contract::run($crate::contract::$group::$case(&harness)).unwrap();
        }
    )* };
}

/// The room of this name, created if need be.
async fn room(store: &dyn Store, name: &str) -> Result<RoomRow, StoreError> {
    let room = store.open_room(name, true, 1).await?;
    room.ok_or_else(|| StoreError::Internal(format!("room {name} was not created")))
}

fn message(room: RoomId, user: &str, client_id: Option<&str>, body: &str) -> NewEntry {
    NewEntry {
        room,
        kind: EntryKind::Message,
        user_id: user.into(),
        user_name: Some(format!("Name of {user}")),
        client_id: client_id.map(Into::into),
        body: body.into(),
        at: 1_000,
    }
}

/// Appends messages without client ids, and says where the last one is.
async fn say(store: &dyn Store, room: RoomId, user: &str, bodies: &[&str]) -> Result<u64, StoreError> {
    let entries = bodies
        .iter()
        .map(|body| message(room, user, None, body))
        .collect();
    let last = store.append(entries).await?.pop();
    match last {
        Some(Ok(Appended::New { seq, .. })) => Ok(seq),
        other => Err(StoreError::Internal(format!("not appended: {other:?}"))),
    }
}

async fn read(store: &dyn Store, room: RoomId, range: Range, limit: u32) -> Result<History, StoreError> {
    let page = store.history(room, Page { range, limit }).await?;
    page.ok_or_else(|| StoreError::Internal(format!("no room {room}")))
}

fn seqs(page: &History) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.seq).collect()
}

fn bodies(page: &History) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.body.as_str()).collect()
}
