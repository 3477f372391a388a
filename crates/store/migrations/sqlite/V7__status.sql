-- What a user chose to show as: 0 online, 1 away, 2 busy, 3 invisible.
ALTER TABLE users ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
-- What they say about it.
ALTER TABLE users ADD COLUMN status_text TEXT;
