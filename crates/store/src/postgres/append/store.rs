//! The second trip of a flight: all that its plan writes, and the commit. Entries go in many at once; what changes a message,
//! one by one in their order.

use super::{
    super::{
        conn::{Param, Step},
        outbox::{self, Recorded},
        rooms,
        value::{num, opt_text, text},
    },
    plan::{New, Plan},
};
use crate::{EntryKind, NewEntry, OutboxOptions, RecordKind, RoomId, numbers::Numbered as _, tail::Tail};

const REPLACE: &str = "DELETE FROM entries e USING unnest($1::bigint[], $2::bigint[]) t (room_id, seq)
    WHERE e.room_id = t.room_id AND e.seq = t.seq";
const ENTRIES: &str =
    "INSERT INTO entries (room_id, seq, kind, at, position, target, user_id, client_id, user_name, body)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::text[], $8::text[], $9::text[], $10::text[])";
const MENTIONS: &str = "INSERT INTO mentions (room_id, seq, user_id)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING";
const ROOMS: &str = "UPDATE rooms r SET head = t.head, first = t.first, swept = t.swept,
        last_message = t.last_message, active_at = t.active_at
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
        t (id, head, first, swept, last_message, active_at)
    WHERE r.id = t.id";
const ORDER: &str = "UPDATE log_head SET position = $1 WHERE id = 1";
const NODE: &str = "UPDATE nodes SET position = $2 WHERE id = $1";

/// What removes the entries of a room from one up to another, with all that belongs to them.
pub(in crate::postgres) const SWEEPS: [&str; 5] = [
    "DELETE FROM message_states WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM reactions WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM reaction_counts WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM mentions WHERE room_id = $1 AND seq >= $2 AND seq < $3",
    "DELETE FROM entries WHERE room_id = $1 AND seq >= $2 AND seq < $3",
];

/// `node` is the row to note the position in; `removes` a room that goes with it.
pub(super) fn steps(
    plan: &Plan<'_>,
    node: Option<i64>,
    removes: Option<RoomId>,
    options: &OutboxOptions,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let (rooms, seqs): (Vec<i64>, Vec<i64>) = plan.replaced().map(|(room, seq)| (room, num(seq))).unzip();
    if !rooms.is_empty() {
        steps.push(Step::new(REPLACE, vec![Box::new(rooms), Box::new(seqs)]));
    }
    let stored: Vec<&New<'_>> = plan.new.iter().filter(|new| !new.gone).collect();
    if !stored.is_empty() {
        steps.push(entries(&stored));
        steps.extend(mentions(&stored));
    }
    for new in &plan.new {
        changes(&mut steps, new.entry, new.seq);
    }
    steps.extend(records(plan, options));
    for (room, span) in &plan.sweeps {
        let span = || -> Vec<Param> {
            vec![
                Box::new(*room),
                Box::new(num(span.start)),
                Box::new(num(span.end)),
            ]
        };
        steps.extend(SWEEPS.map(|sql| Step::new(sql, span())));
    }
    let changed = plan.changed();
    if !changed.is_empty() {
        steps.push(ends(&changed));
    }
    if let Some(pos) = plan.moved_to() {
        steps.push(Step::new(ORDER, vec![Box::new(num(pos))]));
        steps.extend(node.map(|node| Step::new(NODE, vec![Box::new(node), Box::new(num(pos))])));
    }
    steps.extend(removes.into_iter().flat_map(rooms::removal));
    steps.push(Step::new("COMMIT", Vec::new()));
    steps
}

/// One column of many rows.
fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Param
where
    Vec<T>: tokio_postgres::types::ToSql + Sync + Send + 'static,
{
    Box::new(rows.iter().map(value).collect::<Vec<T>>())
}

fn entries(new: &[&New<'_>]) -> Step {
    let opt = |value: Option<&str>| opt_text(value).map(std::borrow::Cow::into_owned);
    let params = vec![
        column(new, |new| new.entry.room),
        column(new, |new| num(new.seq)),
        column(new, |new| new.entry.kind.number()),
        column(new, |new| new.entry.at),
        column(new, |new| num(new.pos)),
        column(new, |new| new.entry.target.map(num)),
        column(new, |new| text(&new.entry.user_id).into_owned()),
        column(new, |new| opt(new.entry.client_id.as_deref())),
        column(new, |new| opt(new.entry.user_name.as_deref())),
        column(new, |new| text(&new.entry.body).into_owned()),
    ];
    Step::new(ENTRIES, params)
}

fn mentions(new: &[&New<'_>]) -> Option<Step> {
    let messages = new.iter().filter(|new| new.entry.kind == EntryKind::Message);
    let mentions: Vec<(i64, i64, &String)> = messages
        .flat_map(|new| {
            let others = new
                .entry
                .mentions
                .iter()
                .filter(|user| **user != new.entry.user_id);
            others.map(|user| (new.entry.room, num(new.seq), user))
        })
        .collect();
    let params = vec![
        column(&mentions, |mention| mention.0),
        column(&mentions, |mention| mention.1),
        column(&mentions, |mention| text(mention.2).into_owned()),
    ];
    (!mentions.is_empty()).then(|| Step::new(MENTIONS, params))
}

fn ends(changed: &[&Tail]) -> Step {
    let params = vec![
        column(changed, |tail| tail.row.id),
        column(changed, |tail| num(tail.row.head)),
        column(changed, |tail| num(tail.row.first)),
        column(changed, |tail| num(tail.swept)),
        column(changed, |tail| num(tail.last_message)),
        column(changed, |tail| tail.active_at),
    ];
    Step::new(ROOMS, params)
}

/// What an entry does to the message that it is about.
fn changes(steps: &mut Vec<Step>, entry: &NewEntry, seq: u64) {
    const EDIT: &str = "INSERT INTO message_states (room_id, seq, author, edit_seq)
        SELECT room_id, seq, user_id, $3 FROM entries WHERE room_id = $1 AND seq = $2
        ON CONFLICT (room_id, seq) DO UPDATE SET edit_seq = excluded.edit_seq";
    // Nothing of what the message said stays behind.
    const DELETE: [&str; 6] = [
        "INSERT INTO message_states (room_id, seq, author, deleted)
            SELECT room_id, seq, user_id, 1 FROM entries WHERE room_id = $1 AND seq = $2
            ON CONFLICT (room_id, seq) DO UPDATE SET edit_seq = NULL, deleted = 1",
        "UPDATE entries SET body = '' WHERE room_id = $1 AND seq = $2",
        "UPDATE entries SET body = '' WHERE room_id = $1 AND target = $2 AND kind = 1",
        "DELETE FROM mentions WHERE room_id = $1 AND seq = $2",
        "DELETE FROM reactions WHERE room_id = $1 AND seq = $2",
        "DELETE FROM reaction_counts WHERE room_id = $1 AND seq = $2",
    ];
    const REACT: &str = "INSERT INTO reactions (room_id, seq, emoji, user_id) VALUES ($1, $2, $3, $4)";
    const COUNT: &str = "INSERT INTO reaction_counts AS c (room_id, seq, emoji, users, first_seq)
        VALUES ($1, $2, $3, 1, $4) ON CONFLICT (room_id, seq, emoji) DO UPDATE SET users = c.users + 1";
    const TAKE_BACK: &str =
        "DELETE FROM reactions WHERE room_id = $1 AND seq = $2 AND emoji = $3 AND user_id = $4";
    const COUNT_DOWN: &str =
        "UPDATE reaction_counts SET users = users - 1 WHERE room_id = $1 AND seq = $2 AND emoji = $3";
    const UNCOUNT: &str =
        "DELETE FROM reaction_counts WHERE room_id = $1 AND seq = $2 AND emoji = $3 AND users = 0";
    let Some(target) = entry.target.filter(|_| entry.kind.is_change()) else {
        return;
    };
    let place = || -> Vec<Param> { vec![Box::new(entry.room), Box::new(num(target))] };
    let with = |more: Vec<Param>| -> Vec<Param> { place().into_iter().chain(more).collect() };
    let emoji = || -> Param { Box::new(text(&entry.body).into_owned()) };
    let user = || -> Param { Box::new(text(&entry.user_id).into_owned()) };
    match entry.kind {
        EntryKind::Message | EntryKind::Control => {}
        EntryKind::Edit => steps.push(Step::new(EDIT, with(vec![Box::new(num(seq))]))),
        EntryKind::Delete => steps.extend(DELETE.map(|sql| Step::new(sql, place()))),
        EntryKind::Reaction { removed: false } => {
            steps.push(Step::new(REACT, with(vec![emoji(), user()])));
            steps.push(Step::new(COUNT, with(vec![emoji(), Box::new(num(seq))])));
        }
        EntryKind::Reaction { removed: true } => {
            steps.push(Step::new(TAKE_BACK, with(vec![emoji(), user()])));
            steps.push(Step::new(COUNT_DOWN, with(vec![emoji()])));
            steps.push(Step::new(UNCOUNT, with(vec![emoji()])));
        }
    }
}

/// What the flight's messages leave in the outbox.
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
        let facts = outbox::Facts {
            seq: Some(new.seq),
            user_id: Some(&new.entry.user_id),
            user_name: new.entry.user_name.as_deref(),
            client_id: new.entry.client_id.as_deref(),
            body: Some(&new.entry.body),
            ..outbox::Facts::of_room(room)
        };
        recorded.add(options, RecordKind::MessageCreated, new.entry.at, &facts);
    }
    let mut steps: Vec<_> = recorded.into_step().into_iter().collect();
    if outbox::wants(options, RecordKind::MessageUndelivered) && !messages.is_empty() {
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
