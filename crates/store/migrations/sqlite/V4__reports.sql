-- Messages that users have reported, until moderators resolve them and retention removes them.
CREATE TABLE reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    room_id INTEGER NOT NULL,
    room TEXT NOT NULL,
    seq INTEGER NOT NULL,
    author TEXT NOT NULL,
    reporter TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- What the reporter says about it.
    comment TEXT,
    -- JSON of the message at the time of the report, which later edits do not change.
    message TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- 0 open, 1 dismissed, 2 message deleted, 3 author muted, 4 author banned.
    state INTEGER NOT NULL DEFAULT 0,
    resolved_at INTEGER,
    -- The API key as `key:NAME`.
    resolved_by TEXT
) STRICT;

CREATE UNIQUE INDEX reports_message ON reports (room_id, seq, reporter);
CREATE INDEX reports_state ON reports (state, id);
CREATE INDEX reports_reporter ON reports (reporter, at);
CREATE INDEX reports_author ON reports (author);
CREATE INDEX reports_at ON reports (at);
