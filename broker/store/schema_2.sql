-- schema_2.sql - what makes schema 2 of schema 1: the indexes of find.c, which looks runs up by
-- what people type (find.h says what each of them costs), and which item of a for_each a run was.

-- The ends of ids, in segments of 65,536 records: see find.c.
CREATE INDEX ended_run_tail ON ended_run (lsn >> 16, substr(run, 14, 3));
CREATE INDEX ended_parent_tail ON ended_parent (lsn >> 16, substr(run, 14, 3));

-- What a principal has started itself. Ids sort by the time of the start.
CREATE INDEX ended_run_started ON ended_run (principal, run) WHERE parent IS NULL;
CREATE INDEX ended_parent_started ON ended_parent (principal, run) WHERE parent IS NULL;

-- Runs that have not succeeded; 7 is the status `succeeded`.
CREATE INDEX ended_run_failed ON ended_run (lsn) WHERE status <> 7;

-- For people: a child is called task[item].
ALTER TABLE ended_run ADD COLUMN item TEXT NOT NULL DEFAULT '';
