-- index.sql - where each piece of output lies in the segment files of var/logs, as logfile.c makes
-- the tables when it opens them.

-- A file of one server's output; server '': of all servers' (files of before each had its own).
-- bytes: of the file, and pieces: in it, as far as they have been committed here.
-- last: when its last piece came, wall ms by the broker's clock.
CREATE TABLE IF NOT EXISTS segment (
    id     INTEGER PRIMARY KEY,
    bytes  INTEGER NOT NULL,
    server TEXT NOT NULL DEFAULT '',
    pieces INTEGER NOT NULL DEFAULT 0,
    last   INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS segment_server ON segment (server, id);
CREATE INDEX IF NOT EXISTS segment_last ON segment (last);

-- What of each server's output has been dropped since there is this index. until: when the newest
-- of it had come. cause: of the last drop, enum logfile_cause.
CREATE TABLE IF NOT EXISTS dropped (
    server TEXT PRIMARY KEY,
    bytes  INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    cause  INTEGER NOT NULL
) WITHOUT ROWID;

-- One piece of a step's output: LOG_DATA without its bytes. turn: the number of the step's try.
-- off: its place in the stream, cut bytes included. place, length: where its bytes lie in the
-- segment.
CREATE TABLE IF NOT EXISTS piece (
    id      INTEGER PRIMARY KEY,
    run     BLOB NOT NULL,
    server  TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    step    TEXT NOT NULL,
    turn    INTEGER NOT NULL,
    stream  INTEGER NOT NULL,
    off     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    cut     INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    length  INTEGER NOT NULL
);

CREATE UNIQUE INDEX IF NOT EXISTS piece_where ON piece (run, attempt, step, turn, stream, off);
CREATE INDEX IF NOT EXISTS piece_run ON piece (run);
CREATE INDEX IF NOT EXISTS piece_segment ON piece (segment);
CREATE INDEX IF NOT EXISTS piece_cut ON piece (run, attempt, step, turn, stream) WHERE length = 0;
