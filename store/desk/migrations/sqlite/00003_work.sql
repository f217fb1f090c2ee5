-- The work on records, the prints that wait, and the index of the search.
-- Times are milliseconds since 1970-01-01 UTC.

CREATE TABLE work_item (
    id         TEXT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('issue', 'replace', 'revoke', 'suspend', 'resume')),
    office     TEXT NOT NULL,
    programme  TEXT NOT NULL,
    record     TEXT NOT NULL,
    credential TEXT NOT NULL,
    made       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('checking', 'waiting', 'agreed', 'signed', 'failed', 'done', 'closed')),
    queue      TEXT NOT NULL,
    problem    TEXT NOT NULL,
    shown      BLOB NOT NULL CHECK (length(shown) = 32),
    requester  TEXT NOT NULL,
    approver   TEXT NOT NULL,
    opened     INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    worker     TEXT NOT NULL,
    until      INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    seen       INTEGER NOT NULL,
    lost       INTEGER NOT NULL,
    rev        INTEGER NOT NULL,
    CHECK (approver = '' OR approver <> requester)
) STRICT;
-- A record has one open item of a programme at most.
CREATE UNIQUE INDEX work_item_open ON work_item (programme, record) WHERE state NOT IN ('done', 'closed');
CREATE INDEX work_item_record ON work_item (programme, record);
CREATE INDEX work_item_queue ON work_item (office, queue, changed, id);
CREATE INDEX work_item_due ON work_item (due) WHERE state = 'agreed';
CREATE INDEX work_item_print ON work_item (expires) WHERE state = 'signed';
CREATE INDEX work_item_over ON work_item (changed) WHERE state IN ('done', 'closed');

CREATE TABLE work_event (
    n       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    item    TEXT NOT NULL REFERENCES work_item (id) ON DELETE CASCADE,
    at      INTEGER NOT NULL,
    deed    TEXT NOT NULL,
    actor   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    comment TEXT NOT NULL
) STRICT;
CREATE INDEX work_event_item ON work_event (item, n);

-- Sealed with a key that is not in this database.
CREATE TABLE work_print (
    item   TEXT NOT NULL PRIMARY KEY REFERENCES work_item (id) ON DELETE CASCADE,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE work_index (
    programme  TEXT NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL,
    turn       INTEGER NOT NULL,
    made       TEXT NOT NULL,
    mark       BLOB,
    records    INTEGER NOT NULL,
    skipped    INTEGER NOT NULL,
    built      INTEGER NOT NULL,
    worker     TEXT NOT NULL,
    until      INTEGER NOT NULL,
    building   INTEGER NOT NULL
) STRICT;

CREATE TABLE work_office (
    no INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE work_space (
    space     INTEGER NOT NULL PRIMARY KEY,
    programme TEXT NOT NULL
) STRICT;

-- Hashes holds the offices and keys of a record, by which its rows of work_key are found.
CREATE TABLE work_record (
    n      INTEGER NOT NULL PRIMARY KEY,
    space  INTEGER NOT NULL,
    record TEXT NOT NULL,
    hashes BLOB NOT NULL,
    UNIQUE (space, record)
) STRICT;

-- Space is the generation of one programme; keys are keyed hashes.
CREATE TABLE work_key (
    space  INTEGER NOT NULL,
    hash   INTEGER NOT NULL,
    office INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (space, hash, office, n)
) STRICT, WITHOUT ROWID;
