//! The contract on a real PostgreSQL, one database a case; and what only this engine can get wrong: a database that was
//! restored (in `life`), one that stops or is gone (in `outages`).

mod nodes;

use std::sync::{Arc, LazyLock};

use roomful_testkit::PostgresServer;

use crate::{Options, Store, contract::Harness};

/// One for all tests that leave it as it is. What the disk keeps over a power cut is PostgreSQL's own business.
static SERVER: LazyLock<PostgresServer> =
    LazyLock::new(|| PostgresServer::start_with(&["fsync=off", "max_connections=300"]).unwrap());

/// A database of its own.
struct Database(String);

impl Database {
    fn new() -> Self {
        Self(SERVER.new_database().unwrap())
    }
}

impl Harness for Database {
    fn open(&self, options: Options) -> Arc<dyn Store> {
        crate::open(&self.0, options).unwrap()
    }
}

mod contract {
    use super::Database;

    crate::store_contract!(Database::new());
}
