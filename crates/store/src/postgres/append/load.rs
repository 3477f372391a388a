//! The first round trip of a batch: it locks the log, then its rooms in the order of their ids, and loads
//! the rows that the batch touches. Each of its statements sees all commits from before it got the locks.

use std::borrow::Cow;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use tokio_postgres::Row;

use super::super::{
    conn::{Conn, Param, Step, column},
    failure::Failure,
    generation::{LogState, STORED_STATE_LOCKED},
    moderation,
    rooms::{self, ROOM_COLUMNS},
    value::{Columns as _, num, text},
};
use crate::{
    LogPosition, NewEntry, StoreError,
    append::{
        Allowances, Author, DedupKey, DedupRecord, Guards, Loaded, RecordedText, Target, Touched, is_erased,
        members,
    },
};

const ROOMS: &str = "SELECT r.id, r.name, r.epoch, r.head, r.first, r.created_at, r.kind, r.history,
        r.swept, r.last_message, r.active_position, r.messages, r.deletions
    FROM rooms r WHERE r.id = ANY($1) ORDER BY r.id FOR NO KEY UPDATE";
/// The limits keep the planner to one look into the index for each key.
const DEDUP: &str = concat!(
    "SELECT t.at, e.seq, e.at, e.kind, e.target, e.erased, e.body, e.fingerprint
    FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY t (room_id, user_id, client_id, at)
    CROSS JOIN LATERAL (
        (SELECT e.seq, e.at, e.kind, e.target, ",
    is_erased!(),
    " AS erased, e.body, NULL::bigint AS fingerprint
         FROM entries e
         WHERE e.room_id = t.room_id AND e.user_id = t.user_id AND e.client_id = t.client_id LIMIT 1)
        UNION ALL
        (SELECT d.seq, d.at, d.kind, d.target, d.fingerprint IS NULL, NULL, d.fingerprint
         FROM dedup_records d
         WHERE d.room_id = t.room_id AND d.user_id = t.user_id AND d.client_id = t.client_id LIMIT 1)) e"
);
const AUTHORS: &str = "SELECT t.at, e.own_messages
    FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY t (room_id, user_id, at)
    CROSS JOIN LATERAL (SELECT e.own_messages FROM entries e
        WHERE e.room_id = t.room_id AND e.user_id = t.user_id AND e.kind = 0 ORDER BY e.seq DESC LIMIT 1) e";
const NON_MEMBERS: &str =
    "SELECT t.room_id, t.user_id FROM unnest($1::bigint[], $2::text[]) t (room_id, user_id)
    WHERE NOT EXISTS (SELECT 1 FROM members m
        WHERE m.room_id = t.room_id AND m.user_id = t.user_id AND m.active = 1)";
const USAGE: &str = "SELECT user_id, bytes FROM user_usage WHERE user_id = ANY($1) AND day = $2";
const TARGETS: &str = "SELECT e.room_id, e.seq,
        e.kind = 0 AND NOT EXISTS (SELECT 1 FROM message_states s
            WHERE s.room_id = e.room_id AND s.seq = e.seq AND s.deleted = 1),
        coalesce((SELECT s.edits FROM message_states s WHERE s.room_id = e.room_id AND s.seq = e.seq), 0)
    FROM unnest($1::bigint[], $2::bigint[]) t (room_id, seq)
    CROSS JOIN LATERAL (SELECT * FROM entries e WHERE e.room_id = t.room_id AND e.seq = t.seq LIMIT 1) e";
const COUNTS: &str = "SELECT c.room_id, c.seq, c.emoji, c.users
    FROM unnest($1::bigint[], $2::bigint[]) t (room_id, seq)
    JOIN reaction_counts c ON c.room_id = t.room_id AND c.seq = t.seq";
const REACTED: &str = "SELECT r.room_id, r.seq, r.emoji, r.user_id
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) t (room_id, seq, emoji, user_id)
    JOIN reactions r ON r.room_id = t.room_id AND r.seq = t.seq AND r.emoji = t.emoji
        AND r.user_id = t.user_id";

/// Locks the log and the rooms, and loads what the batch touches. Answers `None`, with the transaction
/// open, if the log is not as this node left it.
///
/// # Errors
/// Fails if another database took the place of this one.
pub(super) async fn load<'a>(
    conn: &Conn,
    log_state: &LogState,
    appends: &[&'a [NewEntry]],
    mut allowances: Allowances<'a>,
) -> Result<Option<Loaded<'a>>, Failure> {
    debug_assert!(ROOMS.contains("r.history") && ROOM_COLUMNS.ends_with("r.history"));
    let touched = Touched::by(appends);
    let must_be_members = members(appends);
    let mut steps = vec![
        Step::new("BEGIN", Vec::new()),
        Step::new(STORED_STATE_LOCKED, vec![Box::new(log_state.node())]),
        Step::new(ROOMS, vec![Box::new(touched.rooms.clone())]),
        dedup(&touched.dedup),
        authors(&touched.authors),
        moderation::is_moderated(appends),
        non_members(&must_be_members),
    ];
    let lacking = allowances.missing().to_vec();
    if !lacking.is_empty() {
        let users = column(&lacking, |user| text(user).into_owned());
        steps.push(Step::new(USAGE, vec![users, Box::new(allowances.day)]));
    }
    steps.extend(targets(&touched));
    let mut answers = conn.send(&steps).await?.into_iter().skip(1);
    let mut next = || answers.next().unwrap_or_default();
    let Some(stored) = next().first().map(|row| log_state.read(row)).transpose()? else {
        return Err(StoreError::Internal("log_head has no row".into()).into());
    };
    if !log_state.matches(&stored) {
        return Ok(None);
    }
    let mut loaded = Loaded {
        position: LogPosition(stored.position),
        rooms: HashMap::new(),
        dedup: HashMap::new(),
        authors: HashMap::new(),
        targets: touched
            .targets
            .iter()
            .map(|target| (*target, Target::default()))
            .collect(),
        allowances: Allowances::default(),
        guards: Guards::default(),
    };
    for row in next() {
        let bounds = rooms::bounds(&row)?;
        loaded.rooms.insert(bounds.row.id, bounds);
    }
    for row in next() {
        if let Some(key) = touched.dedup.get(row.ordinal(0)?) {
            loaded.dedup.insert(*key, dedup_record(&row)?);
        }
    }
    for row in next() {
        if let Some(author) = touched.authors.get(row.ordinal(0)?) {
            loaded.authors.insert(*author, row.num(1)?);
        }
    }
    let is_moderated = next().first().map_or(Ok(false), |row| row.flag(0))?;
    let mut non_members = HashSet::new();
    for row in next() {
        non_members.insert((row.int(0)?, row.text(1)?));
    }
    if !lacking.is_empty() {
        for user in lacking {
            allowances.counted(user, 0);
        }
        for row in next() {
            allowances.counted(&row.text(0)?, row.num(1)?);
        }
    }
    loaded.allowances = allowances;
    for row in next() {
        let target = target_of(&mut loaded, &row)?;
        (target.live, target.edits) = (row.flag(2)?, row.num(3)?);
    }
    for row in next() {
        let (emoji, users) = (row.text(2)?, row.num(3)?);
        target_of(&mut loaded, &row)?.counts.insert(emoji, users);
    }
    for row in next() {
        let reaction = (row.text(2)?, row.text(3)?);
        target_of(&mut loaded, &row)?.reacted.insert(reaction);
    }
    if is_moderated {
        loaded.guards = moderation::guards(conn, appends).await?;
    }
    loaded.guards.non_members = non_members;
    Ok(Some(loaded))
}

/// The target that a row of room and number is about.
fn target_of<'l>(loaded: &'l mut Loaded<'_>, row: &Row) -> Result<&'l mut Target, Failure> {
    Ok(loaded.targets.entry((row.int(0)?, row.num(1)?)).or_default())
}

fn dedup(keys: &[DedupKey<'_>]) -> Step {
    let params: Vec<Param> = vec![
        column(keys, |key| key.0),
        column(keys, |key| text(key.1).into_owned()),
        column(keys, |key| text(key.2).into_owned()),
    ];
    Step::new(DEDUP, params)
}

fn authors(authors: &[Author<'_>]) -> Step {
    let params: Vec<Param> = vec![
        column(authors, |author| author.0),
        column(authors, |author| text(author.1).into_owned()),
    ];
    Step::new(AUTHORS, params)
}

/// The step that finds the authors who must be members of their rooms and are not.
fn non_members(authors: &[Author<'_>]) -> Step {
    let params: Vec<Param> = vec![
        column(authors, |author| author.0),
        column(authors, |author| text(author.1).into_owned()),
    ];
    Step::new(NON_MEMBERS, params)
}

fn dedup_record(row: &Row) -> Result<DedupRecord<'static>, Failure> {
    Ok(DedupRecord {
        seq: row.num(1)?,
        at: row.int(2)?,
        kind: row.kind(3)?,
        target: row.opt_num(4)?,
        text: match (row.flag(5)?, row.opt_text(6)?, row.opt_int(7)?) {
            (false, Some(body), _) => RecordedText::Body(Cow::Owned(body)),
            (false, None, Some(fingerprint)) => RecordedText::Fingerprint(fingerprint),
            _ => RecordedText::Erased,
        },
    })
}

/// The steps that load the targets; none for most batches.
fn targets(touched: &Touched<'_>) -> Vec<Step> {
    if touched.targets.is_empty() {
        return Vec::new();
    }
    let messages = || -> Vec<Param> {
        vec![
            column(&touched.targets, |target| target.0),
            column(&touched.targets, |target| num(target.1)),
        ]
    };
    let reactions: Vec<Param> = vec![
        column(&touched.reactions, |reaction| reaction.0),
        column(&touched.reactions, |reaction| num(reaction.1)),
        column(&touched.reactions, |reaction| text(reaction.2).into_owned()),
        column(&touched.reactions, |reaction| text(reaction.3).into_owned()),
    ];
    vec![
        Step::new(TARGETS, messages()),
        Step::new(COUNTS, messages()),
        Step::new(REACTED, reactions),
    ]
}
