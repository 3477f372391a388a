-- Profiles of users: the URL of a picture, the app's own fields as a JSON object, and when the app's backend
-- set the profile; 0 if it never did. `name` belongs to the profile too. `last_seen` is 0 for a user who
-- never connected.
ALTER TABLE users ADD COLUMN avatar text COLLATE "C";
ALTER TABLE users ADD COLUMN metadata text COLLATE "C";
ALTER TABLE users ADD COLUMN profile_set_at bigint NOT NULL DEFAULT 0;
