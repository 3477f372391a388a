-- Users whom a user has blocked.
CREATE TABLE blocks (
    user_id TEXT NOT NULL,
    blocked_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (user_id, blocked_id)
) STRICT, WITHOUT ROWID;
-- Finds the blocks against the author of a message.
CREATE INDEX blocks_blocked ON blocks (blocked_id);
