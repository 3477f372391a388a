//! The test suite of every store: `store_contract!(harness)` creates one test for each case.
//!
//! A case uses a store only through [`Store`], so it applies to every engine. Each engine tests its own
//! faults, such as a full disk, beside its code.

#![expect(missing_docs, reason = "the names of the cases describe them")]

pub mod audit;
pub mod blocks;
pub mod changes;
pub mod concurrency;
pub mod entering;
pub mod identity;
pub mod inbox;
pub mod log;
pub(crate) mod long_room;
pub mod members;
pub mod model;
pub mod moderation;
pub mod nodes;
pub mod notifications;
pub mod outbox;
pub mod personal_data;
pub mod quotas;
mod reference;
pub mod reports;
pub mod retention;
pub mod rooms;
pub mod sessions;
pub mod shared_rooms;
pub mod unread;

use std::sync::Arc;

use crate::{
    Appended, EntryKind, History, NewEntry, Options, Page, Range, Rejected, RoomId, RoomRow, Store,
    StoreError,
};

/// Outcome of a case.
pub type Outcome = Result<(), StoreError>;

/// The data of one case.
pub trait Harness: Send + Sync {
    /// Opens the store on this harness's data, the same data each time.
    fn open(&self, options: Options) -> Arc<dyn Store>;

    /// Opens the store again while it is open, as another node; `None` if the engine serves one process.
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

/// Creates a `#[test]` for each case. The expression is evaluated once a test and creates a
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
            changes::an_edit_changes_the_text_of_a_message,
            changes::a_deleted_message_is_erased,
            changes::an_edit_with_a_replacement_erases_earlier_texts,
            changes::a_reaction_is_stored_once,
            changes::different_reactions_on_a_message_are_limited,
            changes::a_change_needs_a_message,
            changes::a_retried_change_gets_the_first_answer,
            changes::pages_of_messages_step_over_changes,
            changes::expired_entries_take_their_changes_along,
            identity::a_database_has_an_identity,
            identity::all_nodes_agree_on_the_identity,
            entering::entering_a_room_joins_subscribes_and_reads,
            entering::a_first_membership_may_start_read,
            entering::several_rooms_are_caught_up_together,
            entering::a_session_is_subscribed_to_all_rooms_or_none,
            inbox::the_latest_room_comes_first,
            inbox::pages_of_rooms_join_up,
            inbox::an_inbox_row_shows_unread_messages,
            members::a_room_is_created_once,
            members::joining_twice_is_joining_once,
            members::a_mark_grows_up_to_the_head,
            members::a_mark_survives_leaving,
            members::a_delivered_mark_grows_and_is_never_behind,
            members::unread_counts_messages_of_others,
            members::rooms_of_a_user_come_latest_first,
            shared_rooms::users_share_a_room_while_both_are_members,
            members::a_user_keeps_name_and_latest_time,
            members::a_profile_set_by_the_backend_wins_over_older_tokens,
            members::a_chosen_status_survives_a_restart,
            rooms::a_put_creates_and_then_changes_a_room,
            rooms::a_room_may_keep_less_than_the_others,
            rooms::a_private_room_accepts_added_members_only,
            rooms::a_role_lasts_as_long_as_the_membership,
            rooms::rooms_and_members_are_listed_in_order,
            rooms::a_deleted_room_does_not_come_back,
            rooms::a_revocation_only_grows_and_survives_a_restart,
            retention::an_append_removes_the_oldest_entries,
            retention::a_trim_removes_by_count_and_age,
            retention::a_retry_after_trimming_gets_the_first_answer,
            retention::a_retried_change_is_recognised_after_trimming,
            retention::dedup_records_of_a_room_are_bounded,
            retention::a_trimmed_room_continues_its_numbers,
            quotas::the_bytes_of_a_user_and_day_are_limited,
            quotas::rooms_that_a_user_creates_in_a_day_are_limited,
            quotas::a_room_that_was_never_used_goes,
            quotas::edits_of_a_message_are_limited,
            notifications::a_post_is_numbered_with_each_user,
            notifications::a_retry_differs_from_another_post,
            notifications::pages_go_back_from_any_notification,
            notifications::reading_counts_down_once,
            notifications::a_device_receives_notifications_after_its_mark,
            notifications::a_page_of_undelivered_ends_early,
            notifications::devices_beyond_the_limit_are_forgotten,
            notifications::the_oldest_notifications_of_a_user_are_removed,
            notifications::old_notifications_are_removed_for_all,
            notifications::notifications_survive_a_restart,
            outbox::each_sink_receives_its_kinds,
            outbox::without_sinks_nothing_is_written,
            outbox::a_settled_record_is_not_due,
            outbox::a_record_from_a_clock_that_was_ahead_is_due,
            outbox::a_retry_of_a_message_makes_no_second_record,
            outbox::acknowledgements_are_checked_twice,
            outbox::a_mark_withdraws_pending_records,
            outbox::dead_records_are_replayed,
            outbox::a_replay_lets_other_writes_pass,
            outbox::recorded_online_users_are_remembered,
            outbox::old_and_surplus_records_are_removed,
            outbox::one_record_names_all_who_have_not_acknowledged,
            outbox::a_deleted_message_leaves_the_outbox,
            outbox::records_follow_edits,
            outbox::the_records_of_a_message_are_found,
            outbox::a_full_outbox_cuts_the_largest_shares,
            concurrency::many_senders_leave_no_hole,
            concurrency::one_client_id_sent_at_once_is_one_entry,
            concurrency::a_write_survives_its_caller,
            concurrency::concurrent_reconnects_receive_their_own_state,
            concurrency::everything_survives_a_restart,
            concurrency::a_closed_store_reports_it,
            sessions::positions_are_dense_over_all_rooms,
            sessions::a_room_is_deleted_together_with_its_control_entry,
            sessions::a_session_resumes_for_its_user_in_time,
            sessions::an_ended_session_does_not_resume,
            sessions::lost_sessions_of_a_user_can_be_deleted,
            sessions::a_session_survives_a_restart,
            sessions::a_user_keeps_the_latest_lost_sessions,
            sessions::leaving_a_room_ends_sessions_in_it,
            sessions::deleting_a_room_ends_sessions_in_it,
            sessions::missed_entries_come_in_position_order,
            sessions::missed_entries_that_are_gone_are_reported,
            sessions::a_closed_store_resumes_no_session,
            nodes::appends_of_two_nodes_leave_no_hole,
            nodes::a_node_reads_the_appends_of_another,
            nodes::a_session_is_taken_over_from_a_living_node,
            nodes::a_dead_node_releases_its_leases_and_sessions,
            nodes::sessions_of_a_dead_node_expire,
            nodes::a_sink_is_served_by_one_node_at_a_time,
            nodes::a_second_node_continues_a_chat,
            unread::counts_of_a_long_room_equal_a_naive_count,
            moderation::a_ban_ends_the_membership_and_refuses_joins_and_entries,
            moderation::a_ban_from_all_rooms_ends_all_memberships,
            moderation::all_sanctions_of_a_user_are_listed,
            moderation::a_sanction_ends_by_itself,
            moderation::a_room_may_be_frozen_or_in_slow_mode,
            moderation::a_user_learns_what_restrains_them,
            moderation::mutes_of_a_room_are_found_by_users,
            moderation::sanctions_are_listed_by_user_and_survive_a_restart,
            moderation::nothing_of_a_banned_user_follows_the_ban,
            moderation::entries_of_former_members_are_refused,
            audit::audit_records_are_paged_both_ways_and_filtered,
            audit::old_audit_records_are_removed,
            blocks::a_block_keeps_both_from_writing_in_a_room_of_two,
            blocks::a_mention_by_a_blocked_user_does_not_count,
            blocks::a_notification_from_a_blocked_user_is_not_given_to_the_blocker,
            blocks::a_message_is_not_reported_as_undelivered_to_the_blocker,
            blocks::blocks_are_listed_and_survive_a_restart,
            reports::a_message_is_reported_once_by_each_user,
            reports::reports_are_listed_by_author_and_by_reporter,
            reports::reports_of_a_user_are_limited,
            reports::reports_are_listed_by_state_and_resolved_once,
            reports::reports_go_with_their_room_and_with_time,
            personal_data::an_export_has_all_rows_about_a_user,
            personal_data::an_erased_user_is_in_no_row,
            personal_data::a_user_whose_id_is_the_name_of_a_field_is_erased_as_others_are,
            personal_data::the_reported_messages_of_an_erased_user_leave_the_outbox,
            personal_data::an_erasure_that_has_begun_survives_a_restart,
            personal_data::a_run_that_has_lost_its_claim_changes_nothing,
            personal_data::a_user_can_do_nothing_while_they_are_erased,
            model::it_behaves_like_a_plain_list,
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

/// The room of this name, created if missing.
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
        replacement: None,
        charged: false,
        exempt: false,
        as_member: false,
    }
}

/// A change of the entry at `target` by a user.
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

/// Appends one entry, which must be new.
async fn done(store: &dyn Store, entry: NewEntry) -> Result<u64, StoreError> {
    match put(store, entry).await? {
        Ok(Appended::New { seq, .. }) => Ok(seq),
        other => Err(StoreError::Internal(format!("not appended: {other:?}"))),
    }
}

/// Appends messages without client ids. Returns the number of the last one.
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
