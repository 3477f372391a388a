//! The durable log: rooms, entries, members and marks on SQLite.
