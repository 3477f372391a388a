-- Erasures of users that have begun and not ended, so that a crash does not stop them halfway.
CREATE TABLE erasures (
    user_id TEXT PRIMARY KEY,
    -- The id that stands for the user from now on.
    alias TEXT NOT NULL,
    -- Whether the texts of the user's messages stay.
    anonymise INTEGER NOT NULL,
    -- Tokens of the user issued before this time are invalid.
    before INTEGER NOT NULL,
    -- The run that carries it out. All others change nothing.
    owner TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Revocations of erased users, by a hash of the user's id.
CREATE TABLE erased_users (
    hash TEXT PRIMARY KEY,
    before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
