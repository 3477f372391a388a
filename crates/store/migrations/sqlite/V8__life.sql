-- A token that is new each time a server takes the file up; the file beside the database has it, too. When the two don't
-- agree, one of them was put back. Empty: never taken up.
ALTER TABLE log ADD COLUMN life TEXT NOT NULL DEFAULT '';
