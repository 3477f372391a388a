-- Rooms that are closed to others, or keep less than the rest.
ALTER TABLE rooms ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
-- Entries kept; without one, as many as everywhere.
ALTER TABLE rooms ADD COLUMN history INTEGER;

ALTER TABLE members ADD COLUMN role INTEGER NOT NULL DEFAULT 0;

-- Tokens of a user that were issued before a time are void.
CREATE TABLE revocations (
    user_id TEXT PRIMARY KEY,
    before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX revocations_before ON revocations (before);
