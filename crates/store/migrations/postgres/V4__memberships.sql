-- A session lasts as long as the memberships in which it subscribed to its rooms. Which one that was is told by their number,
-- and not by times: those are of the clocks of different nodes.
ALTER TABLE members ADD COLUMN membership bigint NOT NULL DEFAULT 1;
-- 0 is none: such a session is not given back.
ALTER TABLE session_rooms ADD COLUMN membership bigint NOT NULL DEFAULT 0;
UPDATE session_rooms sr SET membership = m.membership FROM sessions s, members m
WHERE s.id = sr.session_id AND m.room_id = sr.room_id AND m.user_id = s.user_id AND m.joined_at <= sr.at;
ALTER TABLE session_rooms DROP COLUMN at;
