//! The state of a store's schema, compared with what this build supports.
//!
//! Only a server and `roomful migrate` create or upgrade a schema. All other commands open existing stores.

use crate::StoreError;

/// The schema of a store, compared with the one this build supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaState {
    /// There is no store yet.
    Missing,
    /// The schema is older; the next start of a server upgrades it.
    Older {
        /// Version in the database.
        found: i64,
        /// Version this build supports.
        supported: i64,
    },
    /// The schema is the one this build supports.
    Current {
        /// Its version.
        version: i64,
    },
    /// The schema was written by a newer version of Roomful, which this build must not touch.
    Newer {
        /// Version in the database.
        found: i64,
        /// Version this build supports.
        supported: i64,
    },
}

/// The newest schema versions that this build supports, by engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaVersions {
    /// Of a SQLite store.
    pub sqlite: i64,
    /// Of a PostgreSQL store.
    pub postgres: i64,
}

impl SchemaState {
    /// Compares the version found in a database, if any, with the supported one.
    pub(crate) fn compare(found: Option<i64>, supported: i64) -> Self {
        match found {
            None => Self::Missing,
            Some(found) if found < supported => Self::Older { found, supported },
            Some(found) if found > supported => Self::Newer { found, supported },
            Some(version) => Self::Current { version },
        }
    }

    /// Fails if a server must not upgrade this schema.
    pub(crate) fn check_upgradable(self) -> Result<(), StoreError> {
        match self {
            Self::Newer { found, supported } => Err(newer(found, supported)),
            Self::Missing | Self::Older { .. } | Self::Current { .. } => Ok(()),
        }
    }

    /// Fails unless the schema can be used as it is.
    pub(crate) fn check_current(self) -> Result<(), StoreError> {
        match self {
            Self::Current { .. } => Ok(()),
            Self::Newer { found, supported } => Err(newer(found, supported)),
            Self::Older { found, supported } => Err(StoreError::Setup(format!(
                "the database has schema {found}, and this version needs {supported}: start the server of \
                 this version to upgrade it, after a backup"
            ))),
            Self::Missing => Err(StoreError::Setup(
                "there is no store at store.url yet: start the server to create it".to_owned(),
            )),
        }
    }
}

fn newer(found: i64, supported: i64) -> StoreError {
    StoreError::Setup(format!(
        "the database has schema {found}, this version supports up to {supported}: start the newer version \
         or restore the backup"
    ))
}

/// These migrations and one more, as a later version of Roomful has them.
#[cfg(test)]
pub(crate) fn of_a_later_version(migrations: &refinery::Runner) -> refinery::Runner {
    let name = format!("V{}__topics", newest(migrations) + 1);
    let topics = "ALTER TABLE rooms ADD COLUMN topic text NOT NULL DEFAULT 'none yet'";
    let mut all = migrations.get_migrations().clone();
    all.push(refinery::Migration::unapplied(&name, topics).unwrap());
    refinery::Runner::new(&all)
}

/// The newest version among migrations.
pub(crate) fn newest(migrations: &refinery::Runner) -> i64 {
    let versions = migrations
        .get_migrations()
        .iter()
        .map(|migration| migration.version().into());
    versions.max().unwrap_or_default()
}
