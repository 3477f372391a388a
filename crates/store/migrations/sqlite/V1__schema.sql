-- The schema of a Roomful store in SQLite. Times are milliseconds since 1970.

-- The log -----------------------------------------------------------------------------------------

-- One row: the newest position of the log over all rooms.
CREATE TABLE log_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Positions can only be compared within one epoch.
    epoch TEXT NOT NULL,
    -- Position of the newest entry.
    position INTEGER NOT NULL,
    -- Last heartbeat of the process that has this file open.
    alive_at INTEGER NOT NULL,
    -- Token that each start of a server renews, here and in the watermark file. A mismatch reveals a
    -- restored file. Empty before the first start.
    generation TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO log_head (id, epoch, position, alive_at) VALUES (1, lower(hex(randomblob(4))), 0, 0);

-- A room is a log of entries. AUTOINCREMENT: the id of a deleted room is never reused.
CREATE TABLE rooms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    epoch TEXT NOT NULL,
    -- Sequence number of the newest entry.
    head INTEGER NOT NULL DEFAULT 0,
    -- Oldest entry that readers see. Older rows stay until a sweep deletes them.
    first INTEGER NOT NULL DEFAULT 1,
    -- No row below this sequence number is left.
    swept INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    -- The newest message, and the position that orders inboxes: that of the newest message, or of the
    -- newest entry of the log at the creation of the room.
    last_message INTEGER NOT NULL DEFAULT 0,
    active_position INTEGER NOT NULL DEFAULT 0,
    -- Messages ever appended, and how many of them were deleted by users. Neither shrinks with retention.
    messages INTEGER NOT NULL DEFAULT 0,
    deletions INTEGER NOT NULL DEFAULT 0,
    -- 0 public, 1 private.
    kind INTEGER NOT NULL DEFAULT 0,
    -- Entries kept, where the room has a limit of its own.
    history INTEGER
) STRICT;

-- Rooms that a user's join created. A sweep deletes those without members that never had an entry. `since` is
-- the time of the creation or of the last sweep that found members.
CREATE TABLE unused_rooms (
    room_id INTEGER PRIMARY KEY REFERENCES rooms (id) ON DELETE CASCADE,
    since INTEGER NOT NULL
) STRICT;
CREATE INDEX unused_rooms_since ON unused_rooms (since);

-- The body comes last, so that counting queries do not step over it. Without a foreign key, which each
-- append would have to look up: the code deletes the entries of a deleted room.
CREATE TABLE entries (
    room_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- 0 message, 1 edit, 2 delete, 3 reaction added, 4 reaction removed, 5 control.
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    -- Position in the log over all rooms: dense, in the order of commits.
    position INTEGER NOT NULL,
    -- Sequence number of the message that an edit, delete or reaction changes.
    target INTEGER,
    -- Running numbers, so that a count of messages is a difference: the messages of the room up to and
    -- including this entry; for a message also those of its author in the room.
    messages INTEGER NOT NULL,
    own_messages INTEGER,
    client_id TEXT,
    user_name TEXT,
    body TEXT NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;
-- Deduplication: one entry for each (room, user, client id) while it is kept.
CREATE UNIQUE INDEX entries_client ON entries (room_id, user_id, client_id) WHERE client_id IS NOT NULL;
-- Counts the messages of an author in a span.
CREATE INDEX entries_own ON entries (room_id, user_id, seq, own_messages) WHERE kind = 0;
-- Finds the edits of a message.
CREATE INDEX entries_edits ON entries (room_id, target) WHERE kind = 1;

-- Dedup records of entries that retention removed, so that a retry is still recognised. An entry that is in
-- the table above has none.
CREATE TABLE dedup_records (
    room_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    target INTEGER,
    -- 16 bits of a digest of the client id and the text; null if the text was erased before.
    fingerprint INTEGER,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX dedup_records_client ON dedup_records (room_id, user_id, client_id);

-- Changes of messages, and counts for unread messages -----------------------------------------------

-- Edits and deletions. A message without either has no row.
CREATE TABLE message_states (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    author TEXT NOT NULL,
    -- Sequence number of the last edit. It is newer than the message, so retention keeps it at least as long.
    edit_seq INTEGER,
    -- Whether that edit erased the earlier texts: the body of the message holds its text too.
    rewritten INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    -- How often the message was edited.
    edits INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE reactions (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (room_id, seq, emoji, user_id)
) STRICT, WITHOUT ROWID;

-- Users per reaction, so that a page of history counts nothing.
CREATE TABLE reaction_counts (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    users INTEGER NOT NULL,
    -- Sequence number of the first reaction of this kind, which orders the reactions of a message.
    first_seq INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq, emoji)
) STRICT, WITHOUT ROWID;

-- Users mentioned in messages that are not deleted, without the authors.
CREATE TABLE mentions (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (room_id, seq, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX mentions_user ON mentions (room_id, user_id, seq);

-- Deleted messages for each block of 128 and of 16,384 sequence numbers, named by its last one: of each
-- author, and of all under the empty user id. Counts of unread messages subtract them.
CREATE TABLE deletion_counts (
    room_id INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id, size, last_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX deletion_counts_swept ON deletion_counts (room_id, last_seq);

-- Rows of `mentions` for each user and such block.
CREATE TABLE mention_counts (
    room_id INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id, size, last_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX mention_counts_swept ON mention_counts (room_id, last_seq);

-- Users and their memberships ---------------------------------------------------------------------

CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    -- The profile: the display name, the URL of a picture, and the app's own fields as a JSON object.
    name TEXT,
    avatar TEXT,
    metadata TEXT,
    -- When the app's backend set the profile; 0 if it never did.
    profile_set_at INTEGER NOT NULL DEFAULT 0,
    -- 0 for a user who never connected.
    last_seen INTEGER NOT NULL,
    -- Status the user chose: 0 online, 1 away, 2 busy, 3 invisible; and its text.
    status INTEGER NOT NULL DEFAULT 0,
    status_text TEXT
) STRICT, WITHOUT ROWID;

-- What a user has used of their daily quotas on the day of the row, in days since 1970. Bytes of entries are
-- counted when a process reserves them.
CREATE TABLE user_usage (
    user_id TEXT PRIMARY KEY,
    day INTEGER NOT NULL,
    rooms INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- A user who leaves keeps the row, so that the marks do not go back on return.
CREATE TABLE members (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    active INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    read_seq INTEGER NOT NULL DEFAULT 0,
    read_at INTEGER,
    delivered_seq INTEGER NOT NULL DEFAULT 0,
    -- 0 member, 1 moderator, 2 owner.
    role INTEGER NOT NULL DEFAULT 0,
    -- Number of the user's membership in this room, from 1. A return begins the next one.
    membership INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_user ON members (user_id, joined_at) WHERE active = 1;
-- Without those who have left, who may be many more.
CREATE INDEX members_active ON members (room_id, user_id) WHERE active = 1;
CREATE INDEX members_moderators ON members (room_id, user_id) WHERE active = 1 AND role > 0;

-- Connections that can be resumed -----------------------------------------------------------------

-- Connections that a client can resume. The key is a hash of the client's private session id.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    -- The socket of the process that owns the session. Calls of former owners have no effect.
    owner INTEGER NOT NULL,
    sid TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- When the connection was lost; null while it is connected.
    lost_at INTEGER
) STRICT;
CREATE INDEX sessions_lost ON sessions (lost_at) WHERE lost_at IS NOT NULL;
CREATE INDEX sessions_user ON sessions (user_id, lost_at) WHERE lost_at IS NOT NULL;

-- Rooms a session is subscribed to, each with the newest entry at that time. The row of a deleted room
-- stays, which marks the session as incomplete.
CREATE TABLE session_rooms (
    session_id INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    room_id INTEGER NOT NULL,
    after INTEGER NOT NULL,
    -- The membership (see members) under which the session subscribed. A number, since the clock may be set
    -- back.
    membership INTEGER NOT NULL,
    PRIMARY KEY (session_id, room_id)
) STRICT, WITHOUT ROWID;

-- Notifications -----------------------------------------------------------------------------------

-- A notification, stored once for all its recipients. AUTOINCREMENT: keys ascend in the order of posting.
-- The recipients come last, so that a page does not step over them.
CREATE TABLE notifications (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    -- All recipients, sorted, one a line: a retry must name the same.
    users TEXT NOT NULL
) STRICT;

-- A recipient's copy, numbered densely from 1 for each user.
CREATE TABLE user_notifications (
    user_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    notification INTEGER NOT NULL REFERENCES notifications (key),
    read_at INTEGER,
    PRIMARY KEY (user_id, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX user_notifications_of ON user_notifications (notification, user_id);
CREATE INDEX user_notifications_unread ON user_notifications (user_id) WHERE read_at IS NULL;

-- The last number given to a user, kept when the notifications are gone.
CREATE TABLE notified_users (
    user_id TEXT PRIMARY KEY,
    head INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A device has received all notifications up to and including this number.
CREATE TABLE notified_devices (
    user_id TEXT NOT NULL,
    device TEXT NOT NULL,
    delivered INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (user_id, device)
) STRICT, WITHOUT ROWID;

-- Moderation --------------------------------------------------------------------------------------

-- Bans and mutes. They end at `until` by themselves; a trim deletes the ended ones.
CREATE TABLE sanctions (
    -- 0 for all rooms.
    room_id INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    -- 0 ban, 1 mute.
    kind INTEGER NOT NULL,
    -- The largest number for one without an end.
    until INTEGER NOT NULL,
    reason TEXT,
    -- The moderator, or the API key as `key:NAME`.
    actor TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX sanctions_user ON sanctions (user_id);
CREATE INDEX sanctions_until ON sanctions (until);

-- Rooms that are frozen or in slow mode.
CREATE TABLE room_rules (
    room_id INTEGER PRIMARY KEY,
    frozen INTEGER NOT NULL,
    -- Milliseconds between two messages of one user; 0 without slow mode.
    slow_mode INTEGER NOT NULL
) STRICT;

-- The time of each user's last message in rooms that are in slow mode.
CREATE TABLE last_sends (
    room_id INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

-- Users whom a user has blocked.
CREATE TABLE blocks (
    user_id TEXT NOT NULL,
    blocked_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (user_id, blocked_id)
) STRICT, WITHOUT ROWID;
-- Finds the blocks against the author of a message.
CREATE INDEX blocks_blocked ON blocks (blocked_id);

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

-- Tokens, erasures and the audit log --------------------------------------------------------------

-- Tokens of a user issued before this time are invalid.
CREATE TABLE revocations (
    user_id TEXT PRIMARY KEY,
    before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revocations_before ON revocations (before);

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

-- The outbox: records for webhooks and streams ----------------------------------------------------

-- Records for webhooks and streams: one row for each record and sink.
CREATE TABLE outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The same for all sinks.
    id TEXT NOT NULL,
    sink TEXT NOT NULL,
    -- 0 message.created, 1 message.undelivered, 2 user.online, 3 user.offline, 4 room.created, 5
    -- room.emptied, 6 message.reported.
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- 0 pending, 1 delivered, 2 dead.
    state INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- When a pending record is due, or when another one reached its state.
    due_at INTEGER NOT NULL,
    last_error TEXT,
    room_id INTEGER,
    room TEXT,
    epoch TEXT,
    seq INTEGER,
    user_id TEXT,
    user_name TEXT,
    client_id TEXT,
    body TEXT,
    -- About the bytes that the record takes, for limits and fair shares.
    bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_pending ON outbox (sink, due_at) WHERE state = 0;
CREATE INDEX outbox_settled ON outbox (state, due_at) WHERE state <> 0;
CREATE INDEX outbox_id ON outbox (id);
-- Finds the records of a message that is edited, deleted or acknowledged.
CREATE INDEX outbox_message ON outbox (room_id, seq) WHERE seq IS NOT NULL;
-- Counts records and bytes, and finds the oldest record, without reading the records.
CREATE INDEX outbox_size ON outbox (sink, state, bytes, at);
-- Finds the records of the reports of a deleted room's messages.
CREATE INDEX outbox_reported ON outbox (room_id) WHERE kind = 6;

-- The members who have not acknowledged the message of a record, so that its body is stored once for all of
-- them.
CREATE TABLE outbox_recipients (
    record INTEGER NOT NULL REFERENCES outbox (n) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    room_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (record, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_recipients_user ON outbox_recipients (room_id, user_id, seq);

-- Messages whose acknowledgements are to be checked.
CREATE TABLE delivery_checks (
    room_id INTEGER NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    -- Whether this is the second and last check.
    is_last INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_checks_due ON delivery_checks (due_at);

-- Members whom the first check reported as undelivered.
CREATE TABLE reported_recipients (
    room_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (room_id, seq, user_id),
    FOREIGN KEY (room_id, seq) REFERENCES delivery_checks (room_id, seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Users for whom the outbox has a user.online record and no user.offline record since.
CREATE TABLE online_users (
    user_id TEXT PRIMARY KEY,
    user_name TEXT,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Upkeep ------------------------------------------------------------------------------------------

-- One row that health checks update.
CREATE TABLE health_probe (id INTEGER PRIMARY KEY CHECK (id = 1), writes INTEGER NOT NULL) STRICT;
INSERT INTO health_probe (id, writes) VALUES (1, 0);
