-- Edits, deletes and reactions are entries of the log, too: they name the message they are about.
ALTER TABLE entries ADD COLUMN target INTEGER;

-- To find what a deleted message said before.
CREATE INDEX entries_edits ON entries (room_id, target) WHERE kind = 1;

-- What became of a message. Only messages that were edited or deleted have a row.
CREATE TABLE message_states (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    author TEXT NOT NULL,
    -- The entry of the last edit: newer than the message, so it is kept for as long.
    edited INTEGER,
    deleted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE reactions (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (room_id, seq, emoji, user_id)
) STRICT, WITHOUT ROWID;

-- How many reacted alike, so that a page need not count them.
CREATE TABLE reaction_counts (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    users INTEGER NOT NULL,
    -- The entry of the first one, which gives them their order.
    since INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq, emoji)
) STRICT, WITHOUT ROWID;

-- Who is mentioned in which message that is not deleted; never its author.
CREATE TABLE mentions (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (room_id, seq, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX mentions_user ON mentions (room_id, user_id, seq);

ALTER TABLE members ADD COLUMN delivered_seq INTEGER NOT NULL DEFAULT 0;
UPDATE members SET delivered_seq = read_seq;

-- The newest message, and what an inbox is sorted by: its time, or the room's own while it has none.
ALTER TABLE rooms ADD COLUMN last_message INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN active_at INTEGER NOT NULL DEFAULT 0;
-- So far every entry was a message.
UPDATE rooms SET last_message = head, active_at = coalesce(
    (SELECT at FROM entries WHERE room_id = rooms.id AND seq = rooms.head), created_at);
