-- A notification, once for all whom it goes to. AUTOINCREMENT, so that keys ascend in the order of posting for good.
-- The users come last, so that a page need not step over them.
CREATE TABLE notifications (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    -- All whom it was posted for, sorted, one a line: a retry has to name the same.
    users TEXT NOT NULL
) STRICT;

-- A user's own numbers: dense from 1, ascending with the key.
CREATE TABLE user_notifications (
    user_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    notification INTEGER NOT NULL REFERENCES notifications (key),
    read_at INTEGER,
    PRIMARY KEY (user_id, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX user_notifications_of ON user_notifications (notification, user_id);
CREATE INDEX user_notifications_unread ON user_notifications (user_id) WHERE read_at IS NULL;

-- The number of the newest notification that a user ever got; their numbers go on from it when all are gone.
CREATE TABLE notified_users (
    user_id TEXT PRIMARY KEY,
    head INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a user's device was given: all up to and including this number.
CREATE TABLE notified_devices (
    user_id TEXT NOT NULL,
    device TEXT NOT NULL,
    delivered INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (user_id, device)
) STRICT, WITHOUT ROWID;
