//! Reports of messages in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    conn::Conn,
    failure::Failure,
    outbox::{self, Recorded},
    rooms,
    value::{Columns as _, num, opt_text, text},
};
use crate::{
    NewReport, OutboxOptions, RecordKind, Report, ReportPage, ReportQuota, Reported, Resolution, StoreError,
    numbers::Numbered,
    outbox::RecordContent,
    reports::{
        BY_ID, COUNT, INSERT, KNOWN, PAGE, PAGE_OF_AUTHOR, PAGE_OF_REPORTER, PAGE_OF_STATE, RESOLVE,
        ReportsOf, TRIM,
    },
    store::Reports,
};

/// Stores a report and its record for the outbox. Also returns whether it wrote to the outbox.
async fn add(
    conn: &Conn,
    report: &NewReport,
    quota: ReportQuota,
    options: &OutboxOptions,
) -> Result<(Reported, bool), Failure> {
    let (seq, reporter) = (num(report.seq), text(&report.reporter));
    if let Some(row) = conn.row(KNOWN, &[&report.room_id, &seq, &reporter]).await? {
        return Ok((Reported::Known(row.int(0)?), false));
    }
    let most = i64::from(quota.most);
    let made = conn.row(COUNT, &[&reporter, &quota.since, &most]).await?;
    if made.map_or(Ok(0), |row| row.int(0))? >= most {
        return Ok((Reported::OverQuota, false));
    }
    conn.begin().await?;
    // The report does not outlive its room.
    let Some(room) = rooms::keep(conn, report.room_id).await? else {
        conn.roll_back().await?;
        return Ok((Reported::NoSuchRoom, false));
    };
    let (name, author) = (text(&room.name), text(&report.author));
    let (reason, message) = (text(&report.reason), text(&report.message));
    let comment = opt_text(report.comment.as_deref());
    let inserted = conn
        .row(
            INSERT,
            &[
                &room.id, &name, &seq, &author, &reporter, &reason, &comment, &message, &report.at,
            ],
        )
        .await?;
    let Some(id) = inserted.map(|row| row.int(0)).transpose()? else {
        // Another call stored it meanwhile.
        conn.roll_back().await?;
        let known = conn.row(KNOWN, &[&report.room_id, &seq, &reporter]).await?;
        let known = known.map(|row| row.int(0)).transpose()?;
        return Ok((known.map_or(Reported::NoSuchRoom, Reported::Known), false));
    };
    let id_text = id.to_string();
    let content = RecordContent {
        user_id: Some(&report.reporter),
        client_id: Some(&id_text),
        body: Some(&report.record),
        ..RecordContent::of_room(&room)
    };
    let mut recorded = Recorded::default();
    recorded.add(options, RecordKind::MessageReported, report.at, &content);
    let recorded = outbox::write(conn, recorded).await?;
    conn.commit().await?;
    Ok((Reported::New(id), recorded))
}

fn report(row: &Row) -> Result<Report, Failure> {
    Ok(Report {
        id: row.int(0)?,
        room_id: row.int(1)?,
        room: row.text(2)?,
        seq: row.num(3)?,
        author: row.text(4)?,
        reporter: row.text(5)?,
        reason: row.text(6)?,
        comment: row.opt_text(7)?,
        message: row.text(8)?,
        at: row.int(9)?,
        state: row.kind(10)?,
        resolved_at: row.opt_int(11)?,
        resolved_by: row.opt_text(12)?,
    })
}

async fn page(conn: &Conn, page: ReportPage) -> Result<Vec<Report>, Failure> {
    let (after, limit) = (page.after, i64::from(page.limit));
    let number = page.state.map_or(-1, Numbered::number);
    let rows = match (&page.of, page.state) {
        (ReportsOf::All, None) => conn.rows(PAGE, &[&after, &limit]).await?,
        (ReportsOf::All, Some(_)) => conn.rows(PAGE_OF_STATE, &[&after, &number, &limit]).await?,
        (ReportsOf::Author(user), _) => {
            conn.rows(PAGE_OF_AUTHOR, &[&text(user), &after, &number, &limit])
                .await?
        }
        (ReportsOf::Reporter(user), _) => {
            conn.rows(PAGE_OF_REPORTER, &[&text(user), &after, &number, &limit])
                .await?
        }
    };
    rows.iter().map(report).collect()
}

async fn by_id(conn: &Conn, id: i64) -> Result<Option<Report>, Failure> {
    let row = conn.row(BY_ID, &[&id]).await?;
    row.as_ref().map(report).transpose()
}

#[async_trait]
impl Reports for PostgresStore {
    async fn report(&self, report: NewReport, quota: ReportQuota) -> Result<Reported, StoreError> {
        let conn = self.conn().await?;
        let added = add(&conn, &report, quota, &self.shared.options.outbox).await;
        let (reported, recorded) = self.checked(added)?;
        if recorded {
            self.recorded.send_replace(());
        }
        Ok(reported)
    }

    async fn reports(&self, page: ReportPage) -> Result<Vec<Report>, StoreError> {
        self.checked(self::page(&self.conn().await?, page).await)
    }

    async fn report_by_id(&self, id: i64) -> Result<Option<Report>, StoreError> {
        self.checked(by_id(&self.conn().await?, id).await)
    }

    async fn resolve_report(&self, resolution: Resolution) -> Result<bool, StoreError> {
        let Resolution { id, state, by, at } = &resolution;
        let conn = self.conn().await?;
        let changed = conn.run(RESOLVE, &[&state.number(), at, &text(by), id]).await;
        Ok(self.checked(changed)? > 0)
    }

    async fn trim_reports(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
        self.trim_rows(TRIM, kept_ms, now).await
    }
}
