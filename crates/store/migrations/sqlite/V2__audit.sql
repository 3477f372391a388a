-- The audit log: changes that API keys and moderators made. Rows are only added, and removed by age.
-- AUTOINCREMENT: ids ascend in the order of commits.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- The moderator, or the API key as `key:NAME`.
    actor TEXT NOT NULL,
    -- The call, such as `PUT /rooms/{room}` or `chat:moderate`.
    action TEXT NOT NULL,
    -- The room and the user that it concerns.
    room TEXT,
    user_id TEXT,
    -- Status of the answer, as in HTTP.
    status INTEGER NOT NULL,
    -- JSON of what the call changed.
    before TEXT,
    after TEXT
) STRICT;
