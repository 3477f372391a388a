-- A room is a log. AUTOINCREMENT, so that the id of a deleted room is never given to another.
CREATE TABLE rooms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    head INTEGER NOT NULL DEFAULT 0,
    -- The oldest entry that is kept. Older rows may linger until they are swept; readers don't see them.
    first INTEGER NOT NULL DEFAULT 1,
    -- No row below this one is left.
    swept INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL
) STRICT;

-- The body comes last, so that counting need not step over it.
CREATE TABLE entries (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    client_id TEXT,
    user_name TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;

-- One (room, user, client id), one entry.
CREATE UNIQUE INDEX entries_client ON entries (room_id, user_id, client_id) WHERE client_id IS NOT NULL;

-- Whoever leaves keeps a row, so that their mark does not go back when they return.
CREATE TABLE members (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    active INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    read_seq INTEGER NOT NULL DEFAULT 0,
    read_at INTEGER,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_user ON members (user_id, joined_at) WHERE active = 1;

CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    name TEXT,
    last_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a health check writes.
CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), beats INTEGER NOT NULL) STRICT;
INSERT INTO probe (id, beats) VALUES (1, 0);
