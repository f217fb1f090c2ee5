-- Batches of the console, and figures. document is the job as JSON; the columns beside
-- it are those that it is looked for by.

CREATE TABLE batch_job (
    id       TEXT NOT NULL PRIMARY KEY,
    office   TEXT NOT NULL,
    state    TEXT NOT NULL,
    made     INTEGER NOT NULL,
    erased   INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX batch_job_made ON batch_job (made);
CREATE INDEX batch_job_state ON batch_job (state);
CREATE TRIGGER batch_job_stays BEFORE UPDATE ON batch_job
    WHEN OLD.id <> NEW.id OR OLD.office <> NEW.office OR OLD.made <> NEW.made OR NEW.revision <> OLD.revision + 1
        OR (OLD.state IN ('finished', 'cancelled', 'unusable') AND OLD.state <> NEW.state)
    BEGIN
        SELECT RAISE(ABORT, 'sanad: a job stays what it is');
    END;

-- Who does which work of a job, until when.
CREATE TABLE batch_lease (
    job    TEXT NOT NULL REFERENCES batch_job (id) ON DELETE CASCADE,
    work   TEXT NOT NULL,
    worker TEXT NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (job, work)
) STRICT, WITHOUT ROWID;

-- Figures of a day by office and programme, summed up from the audit log. position says
-- how many of its entries are in them; log names the log.
CREATE TABLE tally (
    day       TEXT NOT NULL,
    office    TEXT NOT NULL,
    programme TEXT NOT NULL,
    what      TEXT NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (day, office, programme, what)
) STRICT, WITHOUT ROWID;
CREATE TABLE tally_position (
    one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    log      TEXT NOT NULL,
    position INTEGER NOT NULL
) STRICT;
-- Credentials that are begun and not signed yet: what they are of, until it is known.
CREATE TABLE tally_open (
    credential TEXT NOT NULL PRIMARY KEY,
    office     TEXT NOT NULL,
    programme  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    begun      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
