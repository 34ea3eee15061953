-- The spool, version 2. Run once, in an empty file. Older files come here by the steps in spool_migrations.py.
BEGIN IMMEDIATE;

-- Numbers of the file as a whole. epoch_floor: rooms that it does not know begin above it. It is the time at which the
-- file was made, in seconds since 2020, so that epochs never go back, though a spool is lost and with it the counters:
-- no room has had an owner per second since 2020. events_bytes: the sum of events.size_bytes.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO facts VALUES
    ('epoch_floor', CAST(strftime('%s', 'now') AS INTEGER) - 1577836800),
    ('events_bytes', 0);

-- The last owner epoch of each room.
CREATE TABLE rooms (
    room_id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;

-- Events that not every sink has taken yet. AUTOINCREMENT: a position is never used again, for sinks remember them.
-- importance: see streammon.deliver.envelope.Importance.
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
    value BLOB NOT NULL,
    importance INTEGER NOT NULL DEFAULT 2,
    size_bytes INTEGER NOT NULL DEFAULT 0
);

-- What gives way next where the file is full, found without reading events; and their sizes, summed without either.
CREATE INDEX events_by_importance ON events (importance, position, size_bytes);

-- How far each sink has come: the position of the last event it took, and how many are still to take.
CREATE TABLE sinks (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    behind INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE incidents (
    incident_id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    state BLOB NOT NULL
);

-- Pictures that wait for the evidence store. The large column last: what is asked of the others does not read it.
CREATE TABLE evidence (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    room_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    taken_s REAL NOT NULL,
    url TEXT,
    passthrough BLOB NOT NULL,
    hits BLOB NOT NULL,
    jpeg BLOB NOT NULL
);
CREATE INDEX evidence_by_size ON evidence (size_bytes);

-- Pictures that the evidence store has, for as long as it keeps them. The order of columns is that of PictureRecord.
CREATE TABLE pictures (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    room_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    url TEXT,
    taken_s REAL NOT NULL,
    passthrough BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX pictures_by_time ON pictures (taken_s, size_bytes);
CREATE INDEX pictures_by_room ON pictures (room_id);
CREATE INDEX pictures_by_tenant ON pictures (tenant);

PRAGMA application_id = 0x73746D6E;
PRAGMA user_version = 2;
COMMIT;
