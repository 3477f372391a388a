//! The migration of the schema, and the requirements on the server.

use tokio_postgres::Client;

use super::{
    answer_timeout::AnswerTimeout,
    failure::{Failure, migrating},
    pool::Connector,
};
use crate::StoreError;

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// The advisory lock under which nodes migrate the schema, one after the other.
const LOCK: i64 = 0x726f_6f6d_6675_6c01;
/// The first version with `gen_random_uuid`.
const OLDEST: i32 = 130_000;

/// A connection to the database, with the schema migrated.
pub(crate) async fn prepare(connector: &Connector) -> Result<Client, StoreError> {
    let mut client = connector.open_connection().await?;
    let fits = fits(&client, connector.answer_timeout())
        .await
        .map_err(StoreError::from)?;
    if let Some(why) = fits {
        return Err(StoreError::Setup(format!(
            "this PostgreSQL server cannot be used: {why}"
        )));
    }
    migrate(&mut client).await.map_err(|why| migrating(&*why))?;
    Ok(client)
}

/// Fails if the database has no schema: it may be the wrong database.
pub(super) async fn refuse_empty(connector: &Connector) -> Result<(), StoreError> {
    let client = connector.open_connection().await?;
    let asked = client.query_one("SELECT to_regclass('log_head') IS NULL", &[]);
    let is_empty: bool = connector
        .answer_timeout()
        .wait(asked)
        .await?
        .try_get(0)
        .map_err(Failure::from)?;
    if is_empty {
        return Err(StoreError::Setup(
            "there is no store in the database that store.url names".into(),
        ));
    }
    Ok(())
}

/// Fails if a migration from SQLite into this database was not finished.
pub(super) async fn refuse_half_migrated(
    client: &Client,
    answer_timeout: AnswerTimeout,
) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM migration WHERE NOT finished";
    let unfinished = answer_timeout.wait(client.query_opt(sql, &[])).await?;
    match unfinished {
        None => Ok(()),
        Some(_) => Err(StoreError::Setup(
            "a migration into this database has not finished; run `roomful migrate` once more".into(),
        )),
    }
}

/// Why the server cannot be used; `None` if it can.
async fn fits(client: &Client, answer_timeout: AnswerTimeout) -> Result<Option<String>, Failure> {
    const SQL: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
        current_setting('synchronous_commit')";
    let row = answer_timeout.wait(client.query_one(SQL, &[])).await?;
    let (version, encoding, commit): (i32, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(if version < OLDEST {
        Some(format!(
            "version 13 or later is needed, and this is {}",
            version / 10_000
        ))
    } else if encoding != "UTF8" {
        Some(format!(
            "the database's encoding is {encoding}; create it with ENCODING 'UTF8'"
        ))
    } else if commit != "on" {
        Some(format!(
            "its synchronous_commit is {commit} whatever we ask for; commits must be on the disk"
        ))
    } else {
        None
    })
}

async fn migrate(client: &mut Client) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Building an index may take long, and so may waiting for another node that builds it.
    let patient =
        "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";
    client.batch_execute(patient).await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    let migrated = embedded::migrations::runner().run_async(client).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await?;
    let hurried = "RESET statement_timeout; RESET lock_timeout; RESET idle_in_transaction_session_timeout";
    client.batch_execute(hurried).await?;
    migrated?;
    Ok(())
}
