//! Exports and erasures in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::ValueRef};

use super::{SqliteStore, append::announce, batch::Batch, compaction, statement::execute, write::Write};
use crate::{
    AppendResult, Erasure, ErasureStep, ExportPart, ExportRow, ExportValue, NewEntry, Outage, PersonalData,
    RoomId, RoomsAbout, Store as _, StoreError,
    append::Statement,
    personal_data::{
        END, ERASURES, NOTE, REVOKE, ROOMS_ABOUT, ROOMS_WINDOW, Span, TAKE_OVER, export_sql, hash, keys,
    },
};

/// The time before which the tokens of an erased user are invalid.
pub(super) fn erased_before(conn: &Connection, user: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT before FROM erased_users WHERE hash = ?1")?
        .query_row([hash(user)], |row| row.get(0))
        .optional()
}

fn erasure(row: &Row<'_>) -> rusqlite::Result<Erasure> {
    Ok(Erasure {
        user_id: row.get(0)?,
        alias: row.get(1)?,
        anonymise: row.get(2)?,
        before: row.get(3)?,
        owner: row.get(4)?,
    })
}

struct Begin(Erasure);

impl Write for Begin {
    type Answer = Erasure;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Erasure> {
        let Erasure {
            user_id,
            alias,
            anonymise,
            before,
            owner,
        } = &self.0;
        *batch.unmoderated = false;
        let conn = batch.conn;
        let noted = conn
            .prepare_cached(NOTE)?
            .execute(params![user_id, alias, anonymise, before, owner])?;
        if noted == 1 {
            conn.prepare_cached(REVOKE)?
                .execute(params![hash(user_id), before])?;
        }
        conn.prepare_cached(&format!("{ERASURES} WHERE user_id = ?1"))?
            .query_row([user_id], erasure)
    }
}

struct TakeOver {
    user: String,
    from: String,
    to: String,
}

impl Write for TakeOver {
    type Answer = bool;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<bool> {
        let Self { user, from, to } = self;
        let taken = batch.conn.prepare_cached(TAKE_OVER)?.execute([to, user, from])?;
        Ok(taken == 1)
    }
}

/// Whether the run that works on this erasure still owns it.
fn is_owned(conn: &Connection, erasure: &Erasure) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM erasures WHERE user_id = ?1 AND owner = ?2")?
        .exists([&erasure.user_id, &erasure.owner])
}

/// A control entry of an erasure.
struct AppendInErasure {
    erasure: Erasure,
    control: NewEntry,
}

impl Write for AppendInErasure {
    type Answer = Owned<AppendResult>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Owned<AppendResult>> {
        if !is_owned(batch.conn, &self.erasure)? {
            return Ok(Err(Outage::Fenced));
        }
        announce(batch, None, &self.control, |_| Ok(())).map(Ok)
    }
}

/// The answer of a change that needs the ownership of an erasure.
type Owned<T> = Result<T, Outage>;

struct Erase {
    erasure: Erasure,
    step: ErasureStep,
    from: i64,
}

impl Write for Erase {
    type Answer = Owned<Option<i64>>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Owned<Option<i64>>> {
        let conn = batch.conn;
        if !is_owned(conn, &self.erasure)? {
            return Ok(Err(Outage::Fenced));
        }
        let start = match keys(self.step) {
            None => None,
            Some(keys) => {
                let params = [Some(self.from), keys.room].into_iter().flatten();
                let first = conn
                    .prepare_cached(keys.first)?
                    .query_row(params_from_iter(params), |row| row.get::<_, Option<i64>>(0))?;
                if first.is_none() {
                    return Ok(Ok(None));
                }
                first
            }
        };
        batch.erased = true;
        let span = Span::from(&self.erasure, self.step, start.unwrap_or_default());
        for rows in span.json_rows() {
            for (key, json) in json_rows(conn, &rows.select())? {
                if let Some(changed) = rows.changed(&json) {
                    execute(conn, &rows.update(key, &changed))?;
                }
            }
        }
        for statement in span.statements() {
            execute(conn, &statement)?;
        }
        Ok(Ok(start.map(|_| span.end())))
    }
}

/// Keys and JSON.
fn json_rows(conn: &Connection, select: &Statement<'_>) -> rusqlite::Result<Vec<(i64, String)>> {
    conn.prepare_cached(select.sql)?
        .query_map(params_from_iter(&select.params), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}

struct End(Erasure);

impl Write for End {
    type Answer = Owned<()>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Owned<()>> {
        batch.erased = true;
        let Erasure { user_id, owner, .. } = &self.0;
        let ended = batch.conn.prepare_cached(END)?.execute([user_id, owner])?;
        if ended != 1 {
            return Ok(Err(Outage::Fenced));
        }
        compaction::note_due(batch.conn)?;
        Ok(Ok(()))
    }
}

fn value(row: &Row<'_>, at: usize) -> rusqlite::Result<ExportValue> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => ExportValue::Null,
        ValueRef::Integer(number) => ExportValue::Int(number),
        _ => ExportValue::Text(row.get(at)?),
    })
}

fn export_rows(
    conn: &Connection,
    user: &str,
    part: ExportPart,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<ExportRow>> {
    let mut query = conn.prepare_cached(export_sql(part))?;
    let names: Vec<String> = query.column_names().skip(1).map(str::to_owned).collect();
    let row = |row: &Row<'_>| {
        let column = |(name, at): (&String, usize)| Ok((name.clone(), value(row, at)?));
        Ok(ExportRow {
            key: row.get(0)?,
            columns: names
                .iter()
                .zip(1..)
                .map(column)
                .collect::<rusqlite::Result<_>>()?,
        })
    };
    match part.room() {
        Some(room) => query.query_map(params![user, after, room, limit], row)?.collect(),
        None => query.query_map(params![user, after, limit], row)?.collect(),
    }
}

#[async_trait]
impl PersonalData for SqliteStore {
    async fn rooms_about(&self, user: &str, after: RoomId) -> Result<RoomsAbout, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| {
            let upto = after.saturating_add(ROOMS_WINDOW);
            let rooms = conn
                .prepare_cached(ROOMS_ABOUT)?
                .query_map(params![after, upto, user], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let more = conn
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM rooms WHERE id > ?1)")?
                .query_row([upto], |row| row.get(0))?;
            Ok(RoomsAbout {
                rooms,
                next: Some(upto).filter(|_| more),
            })
        })
        .await
    }

    async fn export(
        &self,
        user: &str,
        part: ExportPart,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ExportRow>, StoreError> {
        let user = user.to_owned();
        self.read(move |conn| export_rows(conn, &user, part, after, limit))
            .await
    }

    async fn begin_erasure(&self, erasure: Erasure) -> Result<Erasure, StoreError> {
        self.write(Begin(erasure)).await
    }

    async fn take_over_erasure(&self, user: &str, from: &str, to: &str) -> Result<bool, StoreError> {
        let [user, from, to] = [user, from, to].map(str::to_owned);
        self.write(TakeOver { user, from, to }).await
    }

    async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        self.read(|conn| conn.prepare_cached(ERASURES)?.query_map([], erasure)?.collect())
            .await
    }

    async fn erase(
        &self,
        erasure: &Erasure,
        step: ErasureStep,
        from: i64,
    ) -> Result<Option<i64>, StoreError> {
        let erasure = erasure.clone();
        self.counted(
            self.write(Erase { erasure, step, from })
                .await?
                .map_err(Into::into),
        )
    }

    async fn append_in_erasure(
        &self,
        erasure: &Erasure,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        let erasure = erasure.clone();
        let appended = self.write(AppendInErasure { erasure, control }).await?;
        self.counted(appended.map_err(Into::into))
    }

    async fn end_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        self.counted(self.write(End(erasure.clone())).await?.map_err(Into::into))
    }

    async fn compact(&self) -> Result<bool, StoreError> {
        if self.size().await? > self.compact_up_to {
            return Ok(false);
        }
        self.counted(self.writer.compact().await)?;
        Ok(true)
    }
}
