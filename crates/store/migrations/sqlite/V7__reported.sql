-- Finds the records of the reports of a deleted room's messages.
CREATE INDEX outbox_reported ON outbox (room_id) WHERE kind = 6;
