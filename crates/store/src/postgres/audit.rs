//! The audit log in PostgreSQL.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    conn::Conn,
    failure::Failure,
    value::{Columns as _, opt_text, text},
};
use crate::{AuditEntry, AuditPage, AuditRecord, StoreError, audit::TRIM, store::Audit};

/// The lock under which ids are given, so that they ascend in the order of commits: a reader that continues
/// after the last id it saw misses none.
const LOCK: i64 = 0x726f_6f6d_6175_6401;

/// Stores records in their order, in one commit.
pub(super) async fn record_all(conn: &Conn, records: Vec<AuditRecord>) -> Result<Vec<()>, Failure> {
    const SQL: &str = "WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock($9))
        INSERT INTO audit (at, actor, action, room, user_id, status, before, after)
        SELECT t.at, t.actor, t.action, t.room, t.user_id, t.status, t.before, t.after FROM lock,
            unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                $8::text[])
            WITH ORDINALITY t (at, actor, action, room, user_id, status, before, after, place)
        ORDER BY t.place";
    let ints = |value: fn(&AuditRecord) -> i64| records.iter().map(value).collect::<Vec<_>>();
    let texts = |value: fn(&AuditRecord) -> &str| {
        let values = records.iter().map(|record| text(value(record)));
        values.collect::<Vec<_>>()
    };
    let opt_texts = |value: fn(&AuditRecord) -> Option<&str>| {
        let values = records.iter().map(|record| opt_text(value(record)));
        values.collect::<Vec<_>>()
    };
    conn.run(
        SQL,
        &[
            &ints(|record| record.at),
            &texts(|record| &record.actor),
            &texts(|record| &record.action),
            &opt_texts(|record| record.room.as_deref()),
            &opt_texts(|record| record.user_id.as_deref()),
            &ints(|record| record.status.into()),
            &opt_texts(|record| record.before.as_deref()),
            &opt_texts(|record| record.after.as_deref()),
            &LOCK,
        ],
    )
    .await?;
    Ok(vec![(); records.len()])
}

fn entry(row: &Row) -> Result<AuditEntry, Failure> {
    Ok(AuditEntry {
        id: row.int(0)?,
        record: AuditRecord {
            at: row.int(1)?,
            actor: row.text(2)?,
            action: row.text(3)?,
            room: row.opt_text(4)?,
            user_id: row.opt_text(5)?,
            status: u16::try_from(row.int(6)?).unwrap_or_default(),
            before: row.opt_text(7)?,
            after: row.opt_text(8)?,
        },
    })
}

#[async_trait]
impl Audit for PostgresStore {
    async fn record_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.counted(self.batched_calls.audit.ask(record).await)
    }

    async fn audit(&self, page: AuditPage) -> Result<Vec<AuditEntry>, StoreError> {
        let conn = self.conn().await?;
        let (after, before) = page.bounds();
        let actor = page.actor.as_deref().unwrap_or_default();
        let action = page.action.as_deref().unwrap_or_default();
        let limit = i64::from(page.limit);
        let rows = conn
            .rows(
                page.sql(),
                &[&after, &before, &text(actor), &text(action), &limit],
            )
            .await;
        let rows = self.checked(rows)?;
        self.checked(rows.iter().map(entry).collect())
    }

    async fn trim_audit(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
        self.trim_rows(TRIM, kept_ms, now).await
    }
}
