-- schema_4.sql - what makes schema 4 of schema 3: the audit trail (trust/audit.h).
--
-- No statement changes an entry or a checkpoint. The retention drops entries up to the number
-- `audit_dropped`, which the writer sets in the same transaction.

-- audit_dropped: entries up to this number may be gone.
INSERT INTO meta VALUES ('audit_dropped', 0);

-- body: d_audit as encoded. hash: of the chain, up to and including this entry.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    body   BLOB NOT NULL,
    hash   BLOB NOT NULL
) STRICT;

-- number: of the entry that the checkpoint is about. body: d_signed. certificate: of the broker
-- that signed it. None is ever dropped: they prove that one trail goes on from the other.
CREATE TABLE audit_checkpoint (
    seq         INTEGER PRIMARY KEY,
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    body        BLOB NOT NULL,
    certificate BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'entries of the audit trail are never changed');
END;

CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
WHEN old.number > (SELECT value FROM meta WHERE name = 'audit_dropped')
BEGIN
    SELECT raise(ABORT, 'entries of the audit trail are dropped by the retention alone');
END;

CREATE TRIGGER audit_checkpoint_is_never_changed BEFORE UPDATE ON audit_checkpoint
BEGIN
    SELECT raise(ABORT, 'checkpoints of the audit trail are never changed');
END;

CREATE TRIGGER audit_checkpoint_is_never_deleted BEFORE DELETE ON audit_checkpoint
BEGIN
    SELECT raise(ABORT, 'checkpoints of the audit trail are never deleted');
END;
