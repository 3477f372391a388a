//! Revoked tokens.

use rusqlite::{Connection, OptionalExtension, params};

use super::{batch::Batch, personal_data::erased_before, write::Write};

/// The time before which the user's tokens are invalid.
pub(super) fn get(conn: &Connection, user: &str) -> rusqlite::Result<Option<i64>> {
    let revoked: Option<i64> = conn
        .prepare_cached("SELECT before FROM revocations WHERE user_id = ?1")?
        .query_row([user], |row| row.get(0))
        .optional()?;
    Ok(revoked.max(erased_before(conn, user)?))
}

/// Invalidates the user's tokens issued before a time.
pub(super) struct Revoke {
    pub(super) user: String,
    pub(super) before: i64,
}

impl Write for Revoke {
    type Answer = ();

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        const SQL: &str = "INSERT INTO revocations (user_id, before) VALUES (?1, ?2)
            ON CONFLICT (user_id) DO UPDATE SET before = max(excluded.before, before)";
        batch
            .conn
            .prepare_cached(SQL)?
            .execute(params![self.user, self.before])?;
        Ok(())
    }
}

/// Deletes revocations older than a time.
pub(super) struct Forget {
    pub(super) cutoff: i64,
}

impl Write for Forget {
    type Answer = u64;

    fn apply(&self, batch: &mut Batch<'_>) -> rusqlite::Result<u64> {
        let mut removed = 0;
        for sql in [
            "DELETE FROM revocations WHERE before < ?1",
            "DELETE FROM erased_users WHERE before < ?1",
        ] {
            removed += batch.conn.prepare_cached(sql)?.execute([self.cutoff])?;
        }
        Ok(removed as u64)
    }
}
