//! The schema of the database, and requirements on the PostgreSQL server.

use refinery::Runner;
use tokio_postgres::Client;

use super::{
    answer_timeout::AnswerTimeout,
    failure::{Failure, migrating},
    pool::Connector,
};
use crate::{SchemaState, StoreError, schema::newest};

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// Advisory lock under which nodes that start together upgrade the schema one after the other.
const LOCK: i64 = 0x726f_6f6d_6675_6c01;
/// Oldest server version: `gen_random_uuid` came with 13.
const OLDEST: i32 = 130_000;

/// The migrations that lead to the schema of this build.
pub(super) fn migrations() -> Runner {
    embedded::migrations::runner()
}

/// The newest schema version that this build supports.
pub(crate) fn supported_version() -> i64 {
    newest(&migrations())
}

/// Connects for a server or a migration: creates or upgrades the schema. Fails if the schema is newer.
pub(crate) async fn prepare(connector: &Connector) -> Result<Client, StoreError> {
    prepare_with(connector, &migrations()).await
}

pub(super) async fn prepare_with(connector: &Connector, migrations: &Runner) -> Result<Client, StoreError> {
    let mut client = connect(connector).await?;
    state_of(&client, migrations, connector.answer_timeout())
        .await?
        .check_upgradable()?;
    migrate(&mut client, migrations)
        .await
        .map_err(|why| migrating(&*why))?;
    Ok(client)
}

/// Connects to an existing store. Never creates or changes a table.
pub(super) async fn existing(connector: &Connector) -> Result<Client, StoreError> {
    existing_with(connector, &migrations()).await
}

pub(super) async fn existing_with(connector: &Connector, migrations: &Runner) -> Result<Client, StoreError> {
    let client = connect(connector).await?;
    state_of(&client, migrations, connector.answer_timeout())
        .await?
        .check_current()?;
    Ok(client)
}

/// The state of the database's schema.
pub(super) async fn state(connector: &Connector) -> Result<SchemaState, StoreError> {
    let client = connect(connector).await?;
    state_of(&client, &migrations(), connector.answer_timeout()).await
}

async fn connect(connector: &Connector) -> Result<Client, StoreError> {
    let client = connector.open_connection().await?;
    let unfit = unfit(&client, connector.answer_timeout())
        .await
        .map_err(StoreError::from)?;
    match unfit {
        Some(why) => Err(StoreError::Setup(format!("cannot use this PostgreSQL: {why}"))),
        None => Ok(client),
    }
}

async fn state_of(
    client: &Client,
    migrations: &Runner,
    answer_timeout: AnswerTimeout,
) -> Result<SchemaState, StoreError> {
    const TABLE: &str = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";
    const VERSION: &str = "SELECT max(version)::bigint FROM refinery_schema_history";
    let row = answer_timeout.wait(client.query_one(TABLE, &[])).await?;
    let exists: bool = row.try_get(0).map_err(Failure::from)?;
    let found: Option<i64> = if exists {
        let row = answer_timeout.wait(client.query_one(VERSION, &[])).await?;
        row.try_get(0).map_err(Failure::from)?
    } else {
        None
    };
    Ok(SchemaState::compare(found, newest(migrations)))
}

/// Fails while `roomful migrate` has copied only a part into the database.
pub(super) async fn refuse_half_migrated(
    client: &Client,
    answer_timeout: AnswerTimeout,
) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM migration WHERE NOT finished";
    let unfinished = answer_timeout.wait(client.query_opt(sql, &[])).await?;
    match unfinished {
        None => Ok(()),
        Some(_) => Err(StoreError::Setup(
            "a migration into this database has not finished; run `roomful migrate` again".into(),
        )),
    }
}

/// Why the server cannot be used, if it cannot.
async fn unfit(client: &Client, answer_timeout: AnswerTimeout) -> Result<Option<String>, Failure> {
    const SQL: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
        current_setting('synchronous_commit')";
    let row = answer_timeout.wait(client.query_one(SQL, &[])).await?;
    let (version, encoding, commit): (i32, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(if version < OLDEST {
        Some(format!(
            "it has version {}, and 13 or later is needed",
            version / 10_000
        ))
    } else if encoding != "UTF8" {
        Some(format!(
            "the database's encoding is {encoding}; create it with ENCODING 'UTF8'"
        ))
    } else if commit != "on" {
        Some(format!(
            "it forces synchronous_commit = {commit}; commits must be on disk before they are answered"
        ))
    } else {
        None
    })
}

async fn migrate(
    client: &mut Client,
    migrations: &Runner,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Building an index may take long, and so may waiting for another node that builds one.
    let unlimited =
        "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";
    client.batch_execute(unlimited).await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    let migrated = migrations.run_async(client).await;
    client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await?;
    let limited = "RESET statement_timeout; RESET lock_timeout; RESET idle_in_transaction_session_timeout";
    client.batch_execute(limited).await?;
    migrated?;
    Ok(())
}
