-- Users whom a user has blocked.
CREATE TABLE blocks (
    user_id text COLLATE "C" NOT NULL,
    blocked_id text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (user_id, blocked_id)
);
-- Finds the blocks against the author of a message.
CREATE INDEX blocks_blocked ON blocks (blocked_id);
