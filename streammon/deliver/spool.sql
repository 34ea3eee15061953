-- The spool, version 1. Run once, in an empty file.
BEGIN IMMEDIATE;

-- The last owner epoch of each room, and the last session within it.
CREATE TABLE rooms (
    room_id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    session INTEGER NOT NULL
) WITHOUT ROWID;

-- Events that not every sink has taken yet. AUTOINCREMENT: a position is never used again, for sinks remember them.
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    committed_at REAL NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    time TEXT NOT NULL,
    dataschema TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    content_type TEXT NOT NULL,
    value BLOB NOT NULL
);

-- How far each sink has come: the position of the last event it took.
CREATE TABLE sinks (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE incidents (
    incident_id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    state BLOB NOT NULL
);

-- Pictures that are not in the evidence folder yet.
CREATE TABLE evidence (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    jpeg BLOB NOT NULL,
    room_id TEXT NOT NULL,
    incident_id TEXT NOT NULL
);

PRAGMA application_id = 0x73746D6E;
PRAGMA user_version = 1;
COMMIT;
