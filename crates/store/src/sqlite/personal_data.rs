//! Exports and erasures in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::ValueRef};

use super::{SqliteStore, batch::Batch, statement::execute, write::Write};
use crate::{
    Erasure, ErasureStep, ExportPart, ExportRow, ExportValue, PersonalData, RoomId, RoomsAbout, Store as _,
    StoreError,
    personal_data::{ROOMS_ABOUT, ROOMS_WINDOW, export_sql, hash, keys, statements},
};

const PENDING: &str = "SELECT user_id, alias, anonymise, before FROM erasures";

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
    })
}

struct Begin(Erasure);

impl Write for Begin {
    type Answer = Erasure;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Erasure> {
        const NOTE: &str = "INSERT INTO erasures (user_id, alias, anonymise, before) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (user_id) DO UPDATE SET anonymise = min(anonymise, excluded.anonymise),
                before = max(before, excluded.before)";
        const REVOKE: &str = "INSERT INTO erased_users (hash, before) VALUES (?1, ?2)
            ON CONFLICT (hash) DO UPDATE SET before = max(before, excluded.before)";
        let Erasure {
            user_id,
            alias,
            anonymise,
            before,
        } = &self.0;
        *batch.unmoderated = false;
        let conn = batch.conn;
        conn.prepare_cached(NOTE)?
            .execute(params![user_id, alias, anonymise, before])?;
        conn.prepare_cached(REVOKE)?
            .execute(params![hash(user_id), before])?;
        conn.prepare_cached(&format!("{PENDING} WHERE user_id = ?1"))?
            .query_row([user_id], erasure)
    }
}

struct Erase {
    erasure: Erasure,
    step: ErasureStep,
    from: i64,
}

impl Write for Erase {
    type Answer = Option<i64>;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Option<i64>> {
        let conn = batch.conn;
        let start = match keys(self.step) {
            None => None,
            Some(keys) => {
                let params = [Some(self.from), keys.room].into_iter().flatten();
                let first = conn
                    .prepare_cached(keys.first)?
                    .query_row(params_from_iter(params), |row| row.get::<_, Option<i64>>(0))?;
                if first.is_none() {
                    return Ok(None);
                }
                first
            }
        };
        batch.erased = true;
        let end = statements(&self.erasure, self.step, start.unwrap_or_default(), |statement| {
            execute(conn, &statement).map(drop)
        })?;
        Ok(start.map(|_| end))
    }
}

struct End(String);

impl Write for End {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        batch.erased = true;
        batch
            .conn
            .prepare_cached("DELETE FROM erasures WHERE user_id = ?1")?
            .execute([&self.0])?;
        Ok(())
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

    async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        self.read(|conn| conn.prepare_cached(PENDING)?.query_map([], erasure)?.collect())
            .await
    }

    async fn erase(
        &self,
        erasure: &Erasure,
        step: ErasureStep,
        from: i64,
    ) -> Result<Option<i64>, StoreError> {
        let erasure = erasure.clone();
        self.write(Erase { erasure, step, from }).await
    }

    async fn end_erasure(&self, user: &str) -> Result<(), StoreError> {
        self.write(End(user.to_owned())).await
    }

    async fn compact(&self) -> Result<bool, StoreError> {
        if self.size().await? > self.compact_up_to {
            return Ok(false);
        }
        self.counted(self.writer.compact().await)?;
        Ok(true)
    }
}
