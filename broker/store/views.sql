-- views.sql - the views for people, who open the file with the sqlite3 shell; nothing of Longboat
-- reads them. They are no part of the schema: a version with other views or other words makes them
-- anew when it opens the store.

DROP TABLE IF EXISTS words;
DROP VIEW IF EXISTS job_history;
DROP VIEW IF EXISTS step_history;
DROP VIEW IF EXISTS parent_history;
DROP VIEW IF EXISTS events;

-- The words for the numbers in records: delivery, job, package, status, event. schema.c fills it.
CREATE TABLE words (
    list   TEXT,
    number INTEGER,
    word   TEXT NOT NULL,
    PRIMARY KEY (list, number)
) STRICT, WITHOUT ROWID;

-- Runs that have ended. Ids are UUIDs in text, times RFC 3339 in UTC.
CREATE VIEW job_history AS
SELECT
    lsn AS seq,
    lower(substr(hex(run), 1, 8) || '-' || substr(hex(run), 9, 4) || '-' ||
          substr(hex(run), 13, 4) || '-' || substr(hex(run), 17, 4) || '-' ||
          substr(hex(run), 21, 12)) AS run,
    job,
    address,
    server,
    attempt,
    principal AS called_by,
    key,
    CASE WHEN parent IS NOT NULL THEN
        lower(substr(hex(parent), 1, 8) || '-' || substr(hex(parent), 9, 4) || '-' ||
              substr(hex(parent), 13, 4) || '-' || substr(hex(parent), 17, 4) || '-' ||
              substr(hex(parent), 21, 12))
    END AS parent,
    task,
    task_index,
    item,
    try,
    (SELECT word FROM words WHERE list = 'delivery' AND number = delivery) AS delivery,
    (SELECT word FROM words WHERE list = 'job' AND number = job_outcome) AS job_outcome,
    (SELECT word FROM words WHERE list = 'package' AND number = package) AS package,
    (SELECT word FROM words WHERE list = 'status' AND number = status) AS status,
    message,
    CASE WHEN called_at > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', called_at / 1000.0, 'unixepoch')
    END AS called_at,
    CASE WHEN started_at > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch')
    END AS started_at,
    CASE WHEN ended_at > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch')
    END AS ended_at,
    lower(hex(job_hash)) AS job_hash
FROM ended_run;

-- The steps of those runs, each try a row.
CREATE VIEW step_history AS
SELECT
    r.lsn AS seq,
    lower(substr(hex(r.run), 1, 8) || '-' || substr(hex(r.run), 9, 4) || '-' ||
          substr(hex(r.run), 13, 4) || '-' || substr(hex(r.run), 17, 4) || '-' ||
          substr(hex(r.run), 21, 12)) AS run,
    r.job,
    r.server,
    s.value ->> 'name' AS step,
    s.value ->> 'try' AS try,
    s.value ->> 'package' AS package,
    s.value ->> 'version' AS version,
    s.value ->> 'state' AS state,
    s.value ->> 'exit_code' AS exit_code,
    s.value ->> 'signal' AS signal,
    s.value ->> 'action' AS action,
    s.value ->> 'message' AS message,
    CASE WHEN s.value ->> 'started_at' > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', (s.value ->> 'started_at') / 1000.0, 'unixepoch')
    END AS started_at,
    CASE WHEN s.value ->> 'ended_at' > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', (s.value ->> 'ended_at') / 1000.0, 'unixepoch')
    END AS ended_at,
    s.value ->> 'cpu_us' AS cpu_us,
    s.value ->> 'max_rss_kib' AS max_rss_kib
FROM ended_run r, json_each(r.steps) s;

-- Parents that have ended. report: JSON.
CREATE VIEW parent_history AS
SELECT
    lsn AS seq,
    lower(substr(hex(run), 1, 8) || '-' || substr(hex(run), 9, 4) || '-' ||
          substr(hex(run), 13, 4) || '-' || substr(hex(run), 17, 4) || '-' ||
          substr(hex(run), 21, 12)) AS run,
    name,
    principal AS begun_by,
    key,
    (SELECT word FROM words WHERE list = 'status' AND number = status) AS status,
    tasks,
    CASE WHEN begun_at > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', begun_at / 1000.0, 'unixepoch')
    END AS begun_at,
    CASE WHEN ended_at > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch')
    END AS ended_at,
    report
FROM ended_parent;

-- Every record as an event, and the notes beside them.
CREATE VIEW events AS
SELECT
    lsn AS seq,
    CASE WHEN at > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch')
    END AS at,
    (SELECT word FROM words WHERE list = 'event' AND number = kind) AS event,
    CASE WHEN run IS NOT NULL THEN
        lower(substr(hex(run), 1, 8) || '-' || substr(hex(run), 9, 4) || '-' ||
              substr(hex(run), 13, 4) || '-' || substr(hex(run), 17, 4) || '-' ||
              substr(hex(run), 21, 12))
    END AS run,
    note
FROM journal
UNION ALL
SELECT
    NULL,
    CASE WHEN at > 0 THEN
        strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch')
    END,
    verb,
    NULL,
    target || ' by ' || by || ': ' || reason
FROM notes;
