//! The PostgreSQL side.

use tokio_postgres::{Client, Row, error::SqlState, types::ToSql};

use super::tables::{Kind, TABLES, Table, Value, join};
use crate::{
    LogHead, Options, StoreError,
    postgres::{
        failure::Failure,
        pool::Connector,
        schema,
        value::{num, plain, text},
    },
};

/// Advisory lock of the process that migrates.
pub(super) const LOCK: i64 = 0x526f_6f6d_6675_6d31;

pub(super) struct Target {
    client: Client,
}

impl Target {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let connector = Connector::new(url, &Options::default(), tokio::runtime::Handle::current())?;
        let client = schema::prepare(&connector).await?;
        // Counting may take long. The statements of a killed migration end within moments.
        client
            .batch_execute("SET statement_timeout = 0; SET lock_timeout = '10s'")
            .await
            .map_err(Failure::from)?;
        let locked = client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await;
        locked.map_err(|error| match error.code() {
            Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => {
                StoreError::Setup("another migration into the database is running; wait until it ends".into())
            }
            _ => Failure::from(error).into(),
        })?;
        Ok(Self { client })
    }

    /// Reserves the database for this source. Fails if it holds other data.
    pub(super) async fn begin(&self, source: &str) -> Result<(), StoreError> {
        let living =
            "SELECT 1 FROM nodes WHERE NOT ended AND seen_at > clock_timestamp() - interval '15 s' LIMIT 1";
        if self.opt(living).await?.is_some() {
            return Err(StoreError::Setup(
                "a server is running on the database; stop it first".into(),
            ));
        }
        if let Some(row) = self.opt("SELECT source, finished FROM migration").await? {
            let (before, finished): (String, bool) = (
                row.try_get(0).map_err(Failure::from)?,
                row.try_get(1).map_err(Failure::from)?,
            );
            return match (finished, before == source) {
                (false, true) => Ok(()),
                (true, _) => Err(StoreError::Setup(
                    "the database holds a finished migration already".into(),
                )),
                (false, false) => Err(StoreError::Setup(
                    "the database holds a part of another migration, or of this one before a server ran on \
                     the source again; create an empty one and start over"
                        .to_owned(),
                )),
            };
        }
        for table in &TABLES {
            if self
                .opt(&format!("SELECT 1 FROM {} LIMIT 1", table.name))
                .await?
                .is_some()
            {
                return Err(StoreError::Setup(format!(
                    "the database holds {} already; name an empty one",
                    table.name
                )));
            }
        }
        let begun = "INSERT INTO migration (id, source, finished) VALUES (1, $1, false)";
        self.client
            .execute(begun, &[&source])
            .await
            .map_err(Failure::from)?;
        Ok(())
    }

    /// Copies the head of the log and the counters, and marks the migration as finished.
    pub(super) async fn finish(
        &self,
        log: &LogHead,
        counters: &[(&'static Table, i64)],
    ) -> Result<(), StoreError> {
        let finish = async || -> Result<(), tokio_postgres::Error> {
            self.client.batch_execute("BEGIN").await?;
            let order = "UPDATE log_head SET epoch = $1, position = $2 WHERE id = 1";
            self.client
                .execute(order, &[&log.epoch, &num(log.position.0)])
                .await?;
            for (table, last) in counters {
                let sql =
                    "SELECT setval(pg_get_serial_sequence($1, $2), greatest($3::bigint, 1), $3::bigint > 0)";
                let column = table.counter.unwrap_or_default();
                self.client.query(sql, &[&table.name, &column, last]).await?;
            }
            self.client
                .execute("UPDATE migration SET finished = true", &[])
                .await?;
            self.client.batch_execute("COMMIT").await?;
            // Statistics for the planner.
            self.client.batch_execute("ANALYZE").await
        };
        finish().await.map_err(|error| Failure::from(error).0)
    }

    pub(super) async fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let row = self.opt(&format!("SELECT count(*) FROM {}", table.name)).await?;
        let count: Option<i64> = row.map(|row| row.try_get(0)).transpose().map_err(Failure::from)?;
        Ok(count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or_default())
    }

    /// The key of the last copied row.
    pub(super) async fn last(&self, table: &Table) -> Result<Option<Vec<Value>>, StoreError> {
        let keys = table.columns.iter().take(table.key);
        let order = join(keys.map(|column| format!("{} DESC", column.name)));
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {order} LIMIT 1",
            table.key_names(),
            table.name
        );
        let row = self.opt(&sql).await?;
        Ok(row.map(|row| values(table, &row, table.key)).transpose()?)
    }

    /// The next rows after a key, or the first ones.
    pub(super) async fn after(
        &self,
        table: &Table,
        key: Option<&[Value]>,
        limit: usize,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let keys = table.key_names();
        let behind = match key {
            Some(_) => format!(
                "WHERE ({keys}) > ({})",
                join((1..=table.key).map(|n| format!("${n}")))
            ),
            None => String::new(),
        };
        let sql = format!(
            "SELECT {} FROM {} {behind} ORDER BY {keys} LIMIT {limit}",
            table.names(),
            table.name
        );
        let params: Vec<Box<dyn ToSql + Sync>> = key.unwrap_or_default().iter().map(param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| &**param).collect();
        let rows = self.client.query(&sql, &params).await.map_err(Failure::from)?;
        Ok(rows
            .iter()
            .map(|row| values(table, row, table.columns.len()))
            .collect::<Result<_, _>>()?)
    }

    /// Inserts all rows, or none.
    pub(super) async fn insert(&self, table: &Table, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        let types = table
            .columns
            .iter()
            .zip(1..)
            .map(|(column, n)| match column.kind {
                Kind::Int => format!("${n}::bigint[]"),
                Kind::Text => format!("${n}::text[]"),
                Kind::Bytes => format!("${n}::bytea[]"),
            });
        let sql = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({})",
            table.name,
            table.names(),
            join(types)
        );
        let columns: Vec<_> = table
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| array(column.kind, rows, at))
            .collect();
        let params: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| &**column).collect();
        self.client.execute(&sql, &params).await.map_err(Failure::from)?;
        Ok(())
    }

    async fn opt(&self, sql: &str) -> Result<Option<Row>, StoreError> {
        Ok(self.client.query_opt(sql, &[]).await.map_err(Failure::from)?)
    }
}

/// One column of many rows.
fn array(kind: Kind, rows: &[Vec<Value>], at: usize) -> Box<dyn ToSql + Sync> {
    let values = rows.iter().map(|row| row.get(at));
    match kind {
        Kind::Int => Box::new(
            values
                .map(|value| {
                    if let Some(Value::Int(number)) = value {
                        Some(*number)
                    } else {
                        None
                    }
                })
                .collect::<Vec<_>>(),
        ),
        Kind::Text => Box::new(
            values
                .map(|value| {
                    if let Some(Value::Text(said)) = value {
                        Some(text(said).into_owned())
                    } else {
                        None
                    }
                })
                .collect::<Vec<_>>(),
        ),
        Kind::Bytes => Box::new(
            values
                .map(|value| {
                    if let Some(Value::Bytes(bytes)) = value {
                        Some(bytes.clone())
                    } else {
                        None
                    }
                })
                .collect::<Vec<_>>(),
        ),
    }
}

fn param(value: &Value) -> Box<dyn ToSql + Sync> {
    match value {
        Value::Null => Box::new(None::<i64>),
        Value::Int(number) => Box::new(*number),
        Value::Text(said) => Box::new(text(said).into_owned()),
        Value::Bytes(bytes) => Box::new(bytes.clone()),
    }
}

/// The values of the first columns of a row.
fn values(table: &Table, row: &Row, most: usize) -> Result<Vec<Value>, Failure> {
    let value = |(at, kind): (usize, Kind)| {
        Ok(match kind {
            Kind::Int => row.try_get::<_, Option<i64>>(at)?.map_or(Value::Null, Value::Int),
            Kind::Text => row
                .try_get::<_, Option<String>>(at)?
                .map_or(Value::Null, |text| Value::Text(plain(text))),
            Kind::Bytes => row
                .try_get::<_, Option<Vec<u8>>>(at)?
                .map_or(Value::Null, Value::Bytes),
        })
    };
    table
        .columns
        .iter()
        .take(most)
        .map(|column| column.kind)
        .enumerate()
        .map(value)
        .collect()
}
