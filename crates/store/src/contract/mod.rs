//! The suite every store has to pass: `store_contract!(harness)` makes one test of each case.
//!
//! A case sees a store only through [`Store`], so what holds here holds for every engine. What is particular to one
//! (a full disk, a broken write) is tested beside it.

#![expect(missing_docs, reason = "the name of a case says what it checks")]

pub mod changes;
pub mod concurrency;
pub mod identity;
pub mod inbox;
pub mod log;
pub mod members;
pub mod model;
pub mod nodes;
pub mod notifications;
pub mod outbox;
mod reference;
pub mod retention;
pub mod rooms;
pub mod sessions;
pub mod shared_rooms;

use std::sync::Arc;

use crate::{
    Appended, EntryKind, History, NewEntry, Options, Page, Range, Rejected, RoomId, RoomRow, Store,
    StoreError,
};

/// What a case ends with.
pub type Outcome = Result<(), StoreError>;

/// Data of its own for one case.
pub trait Harness: Send + Sync {
    /// Opens the store on this harness's data, again with the same data if it was open before.
    fn open(&self, options: Options) -> Arc<dyn Store>;

    /// Opens the store once more while it is open, as another node does; `None` if the engine has no nodes.
    fn open_another(&self, _options: Options) -> Option<Arc<dyn Store>> {
        None
    }
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
            changes::an_edit_changes_what_a_message_says,
            changes::a_deleted_message_is_forgotten,
            changes::a_reaction_is_there_once,
            changes::a_message_has_so_many_reactions,
            changes::a_change_needs_a_message,
            changes::a_retried_change_gets_the_first_answer,
            changes::pages_of_messages_step_over_changes,
            changes::what_goes_takes_its_changes_along,
            identity::a_database_is_told_from_others_by_one_word,
            identity::all_who_have_it_open_agree_on_it,
            inbox::the_latest_room_comes_first,
            inbox::pages_of_rooms_join_up,
            inbox::a_room_shows_what_its_member_has_not_read,
            members::a_room_is_created_once,
            members::joining_twice_is_joining_once,
            members::a_mark_grows_up_to_the_head,
            members::a_mark_outlives_leaving,
            members::a_delivered_mark_grows_and_is_never_behind,
            members::unread_counts_what_others_said,
            members::rooms_of_a_user_come_latest_first,
            shared_rooms::users_share_a_room_while_both_are_members,
            members::a_user_keeps_name_and_latest_time,
            members::a_chosen_status_outlives_the_process,
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
            concurrency::many_senders_leave_no_hole,
            concurrency::one_client_id_sent_at_once_is_one_entry,
            concurrency::a_write_outlives_whoever_asked,
            concurrency::each_of_those_who_come_back_at_once_gets_their_own,
            concurrency::all_is_there_after_reopening,
            concurrency::a_closed_store_says_so,
            sessions::positions_are_dense_over_all_rooms,
            sessions::a_room_goes_together_with_the_word_that_it_has_gone,
            sessions::a_session_goes_to_its_user_in_time,
            sessions::a_session_that_ended_is_over,
            sessions::a_users_lost_sessions_can_be_forgotten,
            sessions::a_session_outlives_the_process,
            sessions::a_user_keeps_the_latest_lost_sessions,
            sessions::who_left_a_room_has_no_complete_session,
            sessions::a_room_that_is_gone_leaves_no_complete_session,
            sessions::what_was_missed_comes_in_one_order,
            sessions::what_is_no_longer_kept_is_not_passed_over,
            sessions::a_closed_store_gives_no_session_back,
            nodes::appends_of_two_nodes_leave_no_hole,
            nodes::a_node_is_told_of_what_another_appended,
            nodes::a_session_is_taken_over_from_a_living_node,
            nodes::what_a_dead_node_had_comes_free,
            nodes::a_dead_nodes_sessions_end_in_time,
            nodes::a_sink_is_served_by_one_node_at_a_time,
            nodes::a_chat_goes_on_through_a_second_node,
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
        target: None,
        user_id: user.into(),
        user_name: Some(format!("Name of {user}")),
        client_id: client_id.map(Into::into),
        body: body.into(),
        mentions: Vec::new(),
        at: 1_000,
    }
}

/// A change by a user of what stands at `target`.
fn change(room: RoomId, user: &str, kind: EntryKind, target: u64, body: &str) -> NewEntry {
    NewEntry {
        kind,
        target: Some(target),
        ..message(room, user, None, body)
    }
}

/// Appends one entry.
async fn put(store: &dyn Store, entry: NewEntry) -> Result<Result<Appended, Rejected>, StoreError> {
    let answer = store.append(vec![entry]).await?.pop();
    answer.ok_or_else(|| StoreError::Internal("no answer".into()))
}

/// Appends one entry that is new.
async fn done(store: &dyn Store, entry: NewEntry) -> Result<u64, StoreError> {
    match put(store, entry).await? {
        Ok(Appended::New { seq, .. }) => Ok(seq),
        other => Err(StoreError::Internal(format!("not appended: {other:?}"))),
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
