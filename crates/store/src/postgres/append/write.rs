//! The second round trip of a batch: everything that its plan writes, and the commit. One statement inserts
//! all entries; mutations follow one by one, in their order.

use super::super::{
    conn::{Param, Step, column},
    moderation,
    outbox::{self, Recorded},
    rooms,
    value::{num, opt_text, text},
};
use crate::{
    EntryKind, OutboxOptions, RecordKind,
    append::{Plan, PlannedEntry, RoomBounds, mutation, sweep},
    numbers::Numbered as _,
    outbox::RecordContent,
};

const ENTRIES: &str =
    "INSERT INTO entries (room_id, seq, kind, at, position, target, user_id, client_id, user_name, body,
        messages, own_messages)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[])";
const MENTIONS: &str = "INSERT INTO mentions (room_id, seq, user_id)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING";
const MENTION_COUNTS: &str = "INSERT INTO mention_counts AS c (room_id, user_id, size, last_seq, messages)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    ON CONFLICT (room_id, user_id, size, last_seq) DO UPDATE SET messages = c.messages + excluded.messages";
const ROOMS: &str = "UPDATE rooms r SET head = t.head, first = t.first, swept = t.swept,
        last_message = t.last_message, active_position = t.active_position, messages = t.messages,
        deletions = t.deletions
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::bigint[], $8::bigint[])
        t (id, head, first, swept, last_message, active_position, messages, deletions)
    WHERE r.id = t.id";
const ORDER: &str = "UPDATE log_head SET position = $1 WHERE id = 1";
const NODE: &str = "UPDATE nodes SET position = $2 WHERE id = $1";

/// The steps that write a plan and commit. `node` is the row that notes the position, `along` are steps of
/// the same transaction.
pub(super) fn steps(
    plan: &mut Plan<'_>,
    node: Option<i64>,
    along: Vec<Step>,
    options: &OutboxOptions,
) -> Vec<Step> {
    let mut steps = Vec::new();
    if !plan.new.is_empty() {
        steps.push(entries(&plan.new));
        steps.extend(mentions(plan));
    }
    for new in &plan.new {
        steps.extend(mutation(new.entry, new.seq).into_iter().map(Step::from));
    }
    steps.extend(moderation::note_sends(&plan.guards.take_sent()));
    steps.extend(records(plan, options));
    steps.extend(usage(plan));
    // After the records, since a message may be sent and deleted in one batch.
    steps.extend(plan.new.iter().filter_map(|new| outbox::follow(new.entry)));
    let sweeps = plan.take_sweeps();
    steps.extend(sweeps.iter().flat_map(sweep).map(Step::from));
    let changed = plan.changed();
    if !changed.is_empty() {
        steps.push(bounds(&changed));
    }
    if !plan.new.is_empty() {
        let position = num(plan.position.0);
        steps.push(Step::new(ORDER, vec![Box::new(position)]));
        steps.extend(node.map(|node| Step::new(NODE, vec![Box::new(node), Box::new(position)])));
    }
    steps.extend(along);
    steps.push(Step::new("COMMIT", Vec::new()));
    steps
}

fn entries(new: &[PlannedEntry<'_>]) -> Step {
    let opt = |value: Option<&str>| opt_text(value).map(std::borrow::Cow::into_owned);
    let params = vec![
        column(new, |new| new.entry.room),
        column(new, |new| num(new.seq)),
        column(new, |new| new.entry.kind.number()),
        column(new, |new| new.entry.at),
        column(new, |new| num(new.position.0)),
        column(new, |new| new.entry.target.map(num)),
        column(new, |new| text(&new.entry.user_id).into_owned()),
        column(new, |new| opt(new.entry.client_id.as_deref())),
        column(new, |new| opt(new.entry.user_name.as_deref())),
        column(new, |new| text(&new.entry.body).into_owned()),
        column(new, |new| num(new.messages)),
        column(new, |new| new.own_messages.map(num)),
    ];
    Step::new(ENTRIES, params)
}

/// Counts what the batch has reserved of the authors' daily quotas.
fn usage(plan: &Plan<'_>) -> Option<Step> {
    let counts: Vec<_> = plan.allowances.to_count().collect();
    let params = vec![
        column(&counts, |count| text(count.0).into_owned()),
        Box::new(plan.allowances.day) as Param,
        Box::new(0_i64),
        column(&counts, |count| num(count.1)),
    ];
    (!counts.is_empty()).then(|| Step::new(rooms::COUNT_USAGE, params))
}

/// Two steps, or none without mentions.
fn mentions(plan: &Plan<'_>) -> Vec<Step> {
    let mentions: Vec<_> = plan.mentions().collect();
    if mentions.is_empty() {
        return Vec::new();
    }
    let counts: Vec<_> = plan.mentions_by_block().into_iter().collect();
    let counts = vec![
        column(&counts, |(block, _)| block.0),
        column(&counts, |(block, _)| text(block.1).into_owned()),
        column(&counts, |(block, _)| num(block.2)),
        column(&counts, |(block, _)| num(block.3)),
        column(&counts, |(_, mentions)| num(*mentions)),
    ];
    let params = vec![
        column(&mentions, |mention| mention.0),
        column(&mentions, |mention| num(mention.1)),
        column(&mentions, |mention| text(mention.2).into_owned()),
    ];
    vec![Step::new(MENTIONS, params), Step::new(MENTION_COUNTS, counts)]
}

fn bounds(changed: &[&RoomBounds]) -> Step {
    let params = vec![
        column(changed, |room| room.row.id),
        column(changed, |room| num(room.row.head)),
        column(changed, |room| num(room.row.first)),
        column(changed, |room| num(room.swept)),
        column(changed, |room| num(room.last_message)),
        column(changed, |room| num(room.active_position.0)),
        column(changed, |room| num(room.messages)),
        column(changed, |room| num(room.deletions)),
    ];
    Step::new(ROOMS, params)
}

/// The outbox records of the batch's messages.
fn records(plan: &Plan<'_>, options: &OutboxOptions) -> Vec<Step> {
    const WATCH: &str = "INSERT INTO delivery_checks (room_id, seq, due_at, is_last)
        SELECT t.room_id, t.seq, t.due_at, $4 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
            t (room_id, seq, due_at)
        ON CONFLICT (room_id, seq) DO UPDATE SET due_at = excluded.due_at, is_last = excluded.is_last";
    if options.sinks.is_empty() {
        return Vec::new();
    }
    let messages: Vec<_> = plan
        .new
        .iter()
        .filter(|new| new.entry.kind == EntryKind::Message)
        .collect();
    let mut recorded = Recorded::default();
    for new in &messages {
        let Some(room) = plan.room(new.entry.room) else {
            continue;
        };
        let content = RecordContent {
            seq: Some(new.seq),
            user_id: Some(&new.entry.user_id),
            user_name: new.entry.user_name.as_deref(),
            client_id: new.entry.client_id.as_deref(),
            body: Some(&new.entry.body),
            ..RecordContent::of_room(room)
        };
        recorded.add(options, RecordKind::MessageCreated, new.entry.at, &content);
    }
    let mut steps: Vec<_> = recorded.into_step().into_iter().collect();
    if options.wants(RecordKind::MessageUndelivered) && !messages.is_empty() {
        let only_one = options.last_check_ms <= options.first_check_ms;
        let first = options.first_check_ms.min(options.last_check_ms);
        let params = vec![
            column(&messages, |new| new.entry.room),
            column(&messages, |new| num(new.seq)),
            column(&messages, |new| new.entry.at.saturating_add(first)),
            Box::new(i64::from(only_one)) as Param,
        ];
        steps.push(Step::new(WATCH, params));
    }
    steps
}
