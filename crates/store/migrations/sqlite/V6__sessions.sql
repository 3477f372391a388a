-- One order over the entries of all rooms: dense, in the order of commits. Entries from before it are all at 0.
ALTER TABLE entries ADD COLUMN pos INTEGER NOT NULL DEFAULT 0;

CREATE TABLE log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Positions can only be compared within one epoch.
    epoch TEXT NOT NULL,
    -- The newest entry's.
    pos INTEGER NOT NULL,
    -- When the process that has this file open was last known to be alive.
    alive_at INTEGER NOT NULL
) STRICT;
INSERT INTO log (id, epoch, pos, alive_at) VALUES (1, lower(hex(randomblob(4))), 0, 0);

-- Connections that may be taken up again. The client's private id is kept only as a hash.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    -- Which socket of the process has it; what an earlier one still asks for has no effect.
    holder INTEGER NOT NULL,
    sid TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Without one it is connected, as far as is known.
    lost_at INTEGER
) STRICT;

CREATE INDEX sessions_lost ON sessions (lost_at) WHERE lost_at IS NOT NULL;
CREATE INDEX sessions_user ON sessions (user_id, lost_at) WHERE lost_at IS NOT NULL;

-- The rooms a session is subscribed to, each from after an entry on. A room that is deleted leaves its row here, so that
-- the session is known to be incomplete.
CREATE TABLE session_rooms (
    session_id INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    room_id INTEGER NOT NULL,
    after INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (session_id, room_id)
) STRICT, WITHOUT ROWID;
