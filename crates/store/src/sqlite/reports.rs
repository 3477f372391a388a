//! Reports of messages in SQLite.

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Row, ToSql, params};

use super::{
    SqliteStore,
    batch::Batch,
    column::Seq,
    outbox,
    write::{Weight, Write},
};
use crate::{
    NewReport, RecordKind, Report, ReportPage, ReportQuota, Reported, Resolution, StoreError,
    numbers::Numbered,
    outbox::RecordContent,
    reports::{
        BY_ID, COUNT, INSERT, KNOWN, PAGE, PAGE_OF_AUTHOR, PAGE_OF_REPORTER, PAGE_OF_STATE, RESOLVE,
        ReportsOf, TRIM,
    },
    store::Reports,
};

struct Add {
    report: NewReport,
    quota: ReportQuota,
}

impl Write for Add {
    type Answer = Reported;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<Reported> {
        let Self { report, quota } = self;
        let conn = batch.conn;
        let Some(room) = batch.room(report.room_id)?.map(|room| room.row.clone()) else {
            return Ok(Reported::NoSuchRoom);
        };
        let known: Option<i64> = conn
            .prepare_cached(KNOWN)?
            .query_row(params![room.id, Seq(report.seq), report.reporter], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(id) = known {
            return Ok(Reported::Known(id));
        }
        let made: u32 = conn
            .prepare_cached(COUNT)?
            .query_row(params![report.reporter, quota.since, quota.most], |row| {
                row.get(0)
            })?;
        if made >= quota.most {
            return Ok(Reported::OverQuota);
        }
        let values = params![
            room.id,
            room.name,
            Seq(report.seq),
            report.author,
            report.reporter,
            report.reason,
            report.comment,
            report.message,
            report.at
        ];
        let id: i64 = conn.prepare_cached(INSERT)?.query_row(values, |row| row.get(0))?;
        let name = id.to_string();
        let content = RecordContent {
            user_id: Some(&report.reporter),
            client_id: Some(&name),
            body: Some(&report.record),
            ..RecordContent::of_room(&room)
        };
        batch.recorded |= outbox::write(
            conn,
            batch.outbox,
            RecordKind::MessageReported,
            report.at,
            &content,
        )?;
        Ok(Reported::New(id))
    }

    fn weight(&self) -> Weight {
        Weight {
            writes: 2,
            bytes: size_of::<Self>() + self.report.message.len() + self.report.record.len(),
        }
    }
}

impl Write for Resolution {
    type Answer = bool;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<bool> {
        let changed = batch
            .conn
            .prepare_cached(RESOLVE)?
            .execute(params![self.state, self.at, self.by, self.id])?;
        Ok(changed > 0)
    }
}

fn report(row: &Row<'_>) -> rusqlite::Result<Report> {
    Ok(Report {
        id: row.get(0)?,
        room_id: row.get(1)?,
        room: row.get(2)?,
        seq: row.get::<_, Seq>(3)?.0,
        author: row.get(4)?,
        reporter: row.get(5)?,
        reason: row.get(6)?,
        comment: row.get(7)?,
        message: row.get(8)?,
        at: row.get(9)?,
        state: row.get(10)?,
        resolved_at: row.get(11)?,
        resolved_by: row.get(12)?,
    })
}

#[async_trait]
impl Reports for SqliteStore {
    async fn report(&self, report: NewReport, quota: ReportQuota) -> Result<Reported, StoreError> {
        self.write(Add { report, quota }).await
    }

    async fn reports(&self, page: ReportPage) -> Result<Vec<Report>, StoreError> {
        let ReportPage {
            of,
            state,
            after,
            limit,
        } = page;
        self.read(move |conn| {
            let number = state.map_or(-1, Numbered::number);
            let rows = |sql: &str, values: &[&dyn ToSql]| -> rusqlite::Result<Vec<Report>> {
                conn.prepare_cached(sql)?.query_map(values, report)?.collect()
            };
            match (&of, state) {
                (ReportsOf::All, None) => rows(PAGE, params![after, limit]),
                (ReportsOf::All, Some(state)) => rows(PAGE_OF_STATE, params![after, state, limit]),
                (ReportsOf::Author(user), _) => rows(PAGE_OF_AUTHOR, params![user, after, number, limit]),
                (ReportsOf::Reporter(user), _) => rows(PAGE_OF_REPORTER, params![user, after, number, limit]),
            }
        })
        .await
    }

    async fn report_by_id(&self, id: i64) -> Result<Option<Report>, StoreError> {
        self.read(move |conn| conn.prepare_cached(BY_ID)?.query_row([id], report).optional())
            .await
    }

    async fn resolve_report(&self, resolution: Resolution) -> Result<bool, StoreError> {
        self.write(resolution).await
    }

    async fn trim_reports(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
        self.trim_rows(TRIM, kept_ms, now).await
    }
}
