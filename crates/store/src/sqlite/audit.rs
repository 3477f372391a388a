//! The audit log in SQLite.

use async_trait::async_trait;
use rusqlite::{Row, params};

use super::{SqliteStore, batch::Batch, write::Write};
use crate::{AuditEntry, AuditPage, AuditRecord, StoreError, audit::TRIM, store::Audit};

struct Record(AuditRecord);

impl Write for Record {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const SQL: &str = "INSERT INTO audit (at, actor, action, room, user_id, status, before, after)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let record = &self.0;
        batch.conn.prepare_cached(SQL)?.execute(params![
            record.at,
            record.actor,
            record.action,
            record.room,
            record.user_id,
            record.status,
            record.before,
            record.after
        ])?;
        Ok(())
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.get(0)?,
        record: AuditRecord {
            at: row.get(1)?,
            actor: row.get(2)?,
            action: row.get(3)?,
            room: row.get(4)?,
            user_id: row.get(5)?,
            status: row.get(6)?,
            before: row.get(7)?,
            after: row.get(8)?,
        },
    })
}

#[async_trait]
impl Audit for SqliteStore {
    async fn record_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.write(Record(record)).await
    }

    async fn audit(&self, page: AuditPage) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(move |conn| {
            let (after, before) = page.bounds();
            let actor = page.actor.as_deref().unwrap_or_default();
            let action = page.action.as_deref().unwrap_or_default();
            conn.prepare_cached(page.sql())?
                .query_map(params![after, before, actor, action, page.limit], entry)?
                .collect()
        })
        .await
    }

    async fn trim_audit(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
        self.trim_rows(TRIM, kept_ms, now).await
    }
}
