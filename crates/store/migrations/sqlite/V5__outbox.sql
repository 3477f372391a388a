-- What is to be told to others: one row for each record and each sink that wants it.
CREATE TABLE outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The same for all sinks.
    id TEXT NOT NULL,
    sink TEXT NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- 0 pending, 1 delivered, 2 dead.
    state INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- When a pending one is due; when another came into its state.
    turn_at INTEGER NOT NULL,
    last_error TEXT,
    -- What it tells. Copied, so that neither an edit nor retention changes a record that waits.
    room_id INTEGER,
    room TEXT,
    epoch TEXT,
    seq INTEGER,
    user_id TEXT,
    user_name TEXT,
    client_id TEXT,
    -- The member whom a message did not reach.
    recipient TEXT,
    body TEXT
) STRICT;

CREATE INDEX outbox_pending ON outbox (sink, turn_at) WHERE state = 0;
CREATE INDEX outbox_settled ON outbox (state, turn_at) WHERE state <> 0;
CREATE INDEX outbox_id ON outbox (id);
CREATE INDEX outbox_recipient ON outbox (room_id, recipient) WHERE state = 0 AND recipient IS NOT NULL;

-- Messages whose recipients are still to be looked at.
CREATE TABLE unconfirmed (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    -- Whether this is the second look, after which it is over.
    last_look INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX unconfirmed_due ON unconfirmed (due_at);

-- Who got a record at the first look.
CREATE TABLE alerted (
    room_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (room_id, seq, user_id),
    FOREIGN KEY (room_id, seq) REFERENCES unconfirmed (room_id, seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Users of whom it was told that they are online, and not since that they went.
CREATE TABLE online (
    user_id TEXT PRIMARY KEY,
    user_name TEXT,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
