//! Exports and erasures in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    PostgresStore,
    conn::{Conn, Step},
    failure::Failure,
    generation::LOCK,
    rooms,
    value::{Columns as _, text},
};
use crate::{
    AppendResult, Erasure, ErasureStep, ExportPart, ExportRow, ExportValue, NewEntry, Outage, PersonalData,
    RoomId, RoomsAbout, StoreError,
    personal_data::{
        END, ERASURES, NOTE, REVOKE, ROOMS_ABOUT, ROOMS_WINDOW, Span, TAKE_OVER, export_sql, hash, keys,
    },
};

fn erasure(row: &Row) -> Result<Erasure, Failure> {
    Ok(Erasure {
        user_id: row.text(0)?,
        alias: row.text(1)?,
        anonymise: row.int(2)? != 0,
        before: row.int(3)?,
        owner: row.text(4)?,
    })
}

async fn begin(conn: &Conn, erasure: &Erasure) -> Result<Vec<Row>, Failure> {
    let user = text(&erasure.user_id);
    conn.begin().await?;
    // An append that has not seen the erasure commits before it, and the steps to come see its entries.
    conn.one(LOCK, &[]).await?;
    let anonymise = i64::from(erasure.anonymise);
    let (alias, owner) = (text(&erasure.alias), text(&erasure.owner));
    let noted = conn
        .run(NOTE, &[&user, &alias, &anonymise, &erasure.before, &owner])
        .await?;
    if noted == 1 {
        conn.run(REVOKE, &[&hash(&erasure.user_id), &erasure.before])
            .await?;
    }
    let noted = conn
        .rows(&format!("{ERASURES} WHERE user_id = $1"), &[&user])
        .await?;
    conn.commit().await?;
    Ok(noted)
}

/// Keeps the erasure with its owner until the transaction ends. If another run is the owner, it fails and
/// rolls the transaction back.
pub(super) async fn lock_owned(conn: &Conn, erasure: &Erasure) -> Result<(), Failure> {
    const SQL: &str = "SELECT 1 FROM erasures WHERE user_id = $1 AND owner = $2 FOR SHARE";
    let owned = conn
        .row(SQL, &[&text(&erasure.user_id), &text(&erasure.owner)])
        .await?;
    if owned.is_none() {
        conn.roll_back().await?;
        return Err(Outage::Fenced.into());
    }
    Ok(())
}

/// Carries out one commit's worth of a step.
async fn erase(conn: &Conn, erasure: &Erasure, step: ErasureStep, from: i64) -> Result<Option<i64>, Failure> {
    conn.begin().await?;
    lock_owned(conn, erasure).await?;
    if let ErasureStep::Entries(room) | ErasureStep::Room(room) | ErasureStep::Control(room) = step
        && rooms::lock(conn, room).await?.is_none()
    {
        conn.roll_back().await?;
        return Ok(None);
    }
    let start = match keys(step) {
        None => None,
        Some(keys) => {
            let mut params: Vec<&(dyn ToSql + Sync)> = vec![&from];
            params.extend(keys.room.as_ref().map(|room| room as &(dyn ToSql + Sync)));
            let first = conn.one(keys.first, &params).await?.opt_int(0)?;
            if first.is_none() {
                conn.roll_back().await?;
                return Ok(None);
            }
            first
        }
    };
    let span = Span::from(erasure, step, start.unwrap_or_default());
    let mut steps = Vec::new();
    for rows in span.json_rows() {
        for row in conn.rows_of(&rows.select().into()).await? {
            if let Some(json) = rows.changed(&row.text(1)?) {
                steps.push(Step::from(rows.update(row.int(0)?, &json)));
            }
        }
    }
    steps.extend(span.statements().map(Step::from));
    // Together, since appends to the room wait meanwhile.
    steps.push(Step::new("COMMIT", Vec::new()));
    conn.send(&steps).await?;
    Ok(start.map(|_| span.end()))
}

fn export_row(row: &Row) -> Result<ExportRow, Failure> {
    let columns = row.columns().iter().enumerate().skip(1).map(|(at, column)| {
        let value = if *column.type_() == Type::TEXT {
            row.opt_text(at)?.map_or(ExportValue::Null, ExportValue::Text)
        } else {
            row.opt_int(at)?.map_or(ExportValue::Null, ExportValue::Int)
        };
        Ok((column.name().to_owned(), value))
    });
    Ok(ExportRow {
        key: row.int(0)?,
        columns: columns.collect::<Result<_, Failure>>()?,
    })
}

#[async_trait]
impl PersonalData for PostgresStore {
    async fn rooms_about(&self, user: &str, after: RoomId) -> Result<RoomsAbout, StoreError> {
        let (conn, upto) = (self.conn().await?, after.saturating_add(ROOMS_WINDOW));
        let found = conn.rows(ROOMS_ABOUT, &[&after, &upto, &text(user)]).await;
        let found = self.checked(found)?;
        let room = |row: &Row| Ok((row.int(0)?, row.text(1)?));
        let more = conn
            .row("SELECT 1 FROM rooms WHERE id > $1 LIMIT 1", &[&upto])
            .await;
        Ok(RoomsAbout {
            rooms: self.checked(found.iter().map(room).collect())?,
            next: self.checked(more)?.map(|_| upto),
        })
    }

    async fn export(
        &self,
        user: &str,
        part: ExportPart,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ExportRow>, StoreError> {
        let (conn, user, limit, room) = (self.conn().await?, text(user), i64::from(limit), part.room());
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&user, &after];
        params.extend(room.as_ref().map(|room| room as &(dyn ToSql + Sync)));
        params.push(&limit);
        let rows = self.checked(conn.rows(export_sql(part), &params).await)?;
        self.checked(rows.iter().map(export_row).collect())
    }

    async fn begin_erasure(&self, new: Erasure) -> Result<Erasure, StoreError> {
        let noted = self.checked(begin(&self.conn().await?, &new).await)?;
        let noted = noted.first().map(erasure).transpose();
        Ok(self.checked(noted)?.unwrap_or(new))
    }

    async fn take_over_erasure(&self, user: &str, from: &str, to: &str) -> Result<bool, StoreError> {
        let conn = self.conn().await?;
        let taken = conn.run(TAKE_OVER, &[&text(to), &text(user), &text(from)]).await;
        Ok(self.checked(taken)? == 1)
    }

    async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        let rows = self.checked(self.conn().await?.rows(ERASURES, &[]).await)?;
        self.checked(rows.iter().map(erasure).collect())
    }

    async fn erase(
        &self,
        erasure: &Erasure,
        step: ErasureStep,
        from: i64,
    ) -> Result<Option<i64>, StoreError> {
        let conn = self.conn().await?;
        self.checked(self::erase(&conn, erasure, step, from).await)
    }

    async fn append_in_erasure(
        &self,
        erasure: &Erasure,
        control: NewEntry,
    ) -> Result<AppendResult, StoreError> {
        self.counted(self.appender.append_in_erasure(erasure.clone(), control).await)
    }

    async fn end_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        let conn = self.conn().await?;
        let ended = conn
            .run(END, &[&text(&erasure.user_id), &text(&erasure.owner)])
            .await;
        if self.checked(ended)? == 0 {
            return self.counted(Err(Outage::Fenced.into()));
        }
        Ok(())
    }
}
