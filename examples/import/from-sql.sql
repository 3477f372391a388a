-- Writes the lines that `roomful import` reads, from the tables of a Socket.IO app:
--
--   psql -AtqX -f from-sql.sql "$DATABASE_URL" > chat.ndjson
--
-- Adjust the names of tables and columns to yours:
--   rooms (name, is_private, created_at)
--   memberships (room, user_id, joined_at, last_read_message_id)
--   messages (id, room, user_id, user_name, body, reply_to_id, created_at)

SELECT json_build_object(
  'type', 'room', 'room', name, 'kind', CASE WHEN is_private THEN 'private' ELSE 'public' END,
  'createdAt', (extract(epoch FROM created_at) * 1000)::bigint)
FROM rooms ORDER BY name;

SELECT json_build_object(
  'type', 'member', 'room', room, 'userId', user_id::text,
  'joinedAt', (extract(epoch FROM joined_at) * 1000)::bigint,
  'lastRead', last_read_message_id::text)
FROM memberships ORDER BY room, user_id;

SELECT json_strip_nulls(json_build_object(
  'type', 'message', 'room', room, 'id', id::text, 'userId', user_id::text, 'name', user_name, 'text', body,
  'replyTo', reply_to_id::text, 'at', (extract(epoch FROM created_at) * 1000)::bigint))
FROM messages ORDER BY room, created_at, id;
