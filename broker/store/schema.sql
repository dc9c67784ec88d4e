-- schema.sql - the tables of a store of schema 1, as schema.c makes them in an empty file.
--
-- A later schema adds a file, schema_2.sql and so on: what makes schema 2 of 1. What stands here
-- never changes, since a store of schema 1 is raised by the same steps as a new file.

-- epoch: one more at each start. folded: every record up to this lsn has been folded. dropped: the
-- retention has gone through all records up to this lsn.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta VALUES ('epoch', 0), ('folded', 0), ('dropped', 0);

-- Every record, written once and dropped by the retention alone. The lsn is also the event's seq.
CREATE TABLE journal (
    lsn  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    run  BLOB,
    note TEXT,
    body BLOB NOT NULL
) STRICT;

-- Which records up to meta.folded still matter to a restart. entity: the id of the run or parent,
-- or what a decision is about.
CREATE TABLE live (
    lsn    INTEGER PRIMARY KEY,
    entity BLOB NOT NULL
) STRICT;

CREATE INDEX live_entity ON live (entity);

-- One row for each run that has ended. lsn: of its end. lsns: the numbers of all its records, eight
-- bytes each, little endian. steps: a JSON array. Times are milliseconds since 1970, 0: unknown.
CREATE TABLE ended_run (
    lsn         INTEGER PRIMARY KEY,
    run         BLOB NOT NULL,
    principal   TEXT NOT NULL,
    key         TEXT NOT NULL,
    digest      BLOB NOT NULL,
    parent      BLOB,
    task        TEXT NOT NULL,
    task_index  INTEGER NOT NULL,
    try         INTEGER NOT NULL,
    job         TEXT NOT NULL,
    job_hash    BLOB NOT NULL,
    address     TEXT NOT NULL,
    server      TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    delivery    INTEGER NOT NULL,
    job_outcome INTEGER NOT NULL,
    package     INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    message     TEXT NOT NULL,
    called_at   INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    steps       TEXT NOT NULL,
    lsns        BLOB NOT NULL,
    reported    INTEGER NOT NULL
) STRICT;

CREATE INDEX ended_run_run ON ended_run (run);
CREATE INDEX ended_run_key ON ended_run (key);
CREATE INDEX ended_run_parent ON ended_run (parent) WHERE parent IS NOT NULL;

-- One row for each parent that has ended, likewise.
CREATE TABLE ended_parent (
    lsn       INTEGER PRIMARY KEY,
    run       BLOB NOT NULL,
    principal TEXT NOT NULL,
    key       TEXT NOT NULL,
    digest    BLOB NOT NULL,
    parent    BLOB,
    name      TEXT NOT NULL,
    status    INTEGER NOT NULL,
    begun_at  INTEGER NOT NULL,
    ended_at  INTEGER NOT NULL,
    tasks     INTEGER NOT NULL,
    report    TEXT NOT NULL,
    lsns      BLOB NOT NULL
) STRICT;

CREATE INDEX ended_parent_run ON ended_parent (run);
CREATE INDEX ended_parent_key ON ended_parent (key);

-- What happened that is no record of the core: a denial, a backup. For the view `events`.
CREATE TABLE notes (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    by     TEXT NOT NULL,
    verb   TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
