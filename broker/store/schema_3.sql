-- schema_3.sql - what makes schema 3 of schema 2: whose the bytes are that may be dropped, and the
-- keys of runs whose history is gone (drop.c). Raising a store reads all of it once: one to three
-- seconds for 100,000 runs. meta.dropped is no longer used.

-- Bytes of what may be dropped. kind: 1 rows of history with their records, 2 evidence, 3 events of
-- no live run, 4 notes. owner: a principal; of evidence the server; '': written before schema 3.
CREATE TABLE held (
    kind  INTEGER NOT NULL,
    owner TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (kind, owner)
) STRICT, WITHOUT ROWID;

-- Records that no restart and no row of history needs, by whom they came: kinds 2 and 3. Evidence
-- of a run with a row of history is listed there as well.
CREATE TABLE loose (
    lsn   INTEGER PRIMARY KEY,
    kind  INTEGER NOT NULL,
    owner TEXT NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

CREATE INDEX loose_owner ON loose (kind, owner);

-- The key of a run or parent whose row of history has been dropped, for as long as it answers.
CREATE TABLE ended_key (
    lsn       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    run       BLOB NOT NULL,
    principal TEXT NOT NULL,
    key       TEXT NOT NULL,
    digest    BLOB NOT NULL,
    attempt   INTEGER NOT NULL,
    reported  INTEGER NOT NULL,
    parent    INTEGER NOT NULL
) STRICT;

CREATE INDEX ended_key_key ON ended_key (key);

CREATE INDEX ended_run_owner ON ended_run (principal);
CREATE INDEX ended_parent_owner ON ended_parent (principal);
CREATE INDEX notes_owner ON notes (by);

-- What an older store holds, counted as held.c counts. 208: evidence.
CREATE TABLE counted (
    lsn   INTEGER PRIMARY KEY,
    body  INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO counted
SELECT lsn, length(body),
       CASE WHEN length(body) + 40 <= 4061 THEN 4096 / (4061 / (length(body) + 40))
            ELSE (length(body) + 40 - 489 + 4091) / 4092 * 4096 + 489 END
FROM journal;

INSERT INTO loose
SELECT lsn, iif(kind = 208, 2, 3), '', bytes
FROM journal JOIN counted USING (lsn)
WHERE lsn <= (SELECT value FROM meta WHERE name = 'folded')
AND lsn NOT IN (SELECT lsn FROM live)
AND (kind = 208 OR (NOT EXISTS (SELECT 1 FROM ended_run e WHERE e.run = journal.run)
                    AND NOT EXISTS (SELECT 1 FROM ended_parent e WHERE e.run = journal.run)));

INSERT INTO held SELECT kind, owner, sum(bytes) FROM loose GROUP BY kind, owner;

INSERT INTO held
SELECT 1, principal, sum(bytes)
FROM (SELECT e.principal, c.bytes + iif(c.lsn = e.lsn, 350 + c.body, 0) AS bytes
      FROM journal j JOIN counted c ON c.lsn = j.lsn JOIN ended_run e ON e.run = j.run
      WHERE j.kind <> 208
      UNION ALL
      SELECT e.principal, c.bytes + iif(c.lsn = e.lsn, 350 + c.body, 0)
      FROM journal j JOIN counted c ON c.lsn = j.lsn JOIN ended_parent e ON e.run = j.run)
GROUP BY principal;

INSERT INTO held
SELECT 4, by, sum(100 + 2 * length(CAST(by AS BLOB)) + length(CAST(verb AS BLOB))
                  + length(CAST(target AS BLOB)) + length(CAST(reason AS BLOB)))
FROM notes
GROUP BY by;

DROP TABLE counted;
