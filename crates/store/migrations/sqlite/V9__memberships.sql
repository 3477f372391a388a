-- A session lasts as long as the memberships in which it subscribed to its rooms. Which one that was is told by their number,
-- and not by times: the clock may be set back.
ALTER TABLE members ADD COLUMN membership INTEGER NOT NULL DEFAULT 1;
-- 0 is none: such a session is not given back.
ALTER TABLE session_rooms ADD COLUMN membership INTEGER NOT NULL DEFAULT 0;
UPDATE session_rooms SET membership = 1 WHERE EXISTS (
    SELECT 1 FROM sessions s JOIN members m ON m.user_id = s.user_id
    WHERE s.id = session_rooms.session_id AND m.room_id = session_rooms.room_id AND m.joined_at <= session_rooms.at);
ALTER TABLE session_rooms DROP COLUMN at;
