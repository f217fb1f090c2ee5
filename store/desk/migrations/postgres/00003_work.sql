-- The work on records, the prints that wait, and the index of the search.
-- Times are milliseconds since 1970-01-01 UTC.

CREATE TABLE work_item (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('issue', 'replace', 'revoke', 'suspend', 'resume')),
    office     text COLLATE "C" NOT NULL,
    programme  text COLLATE "C" NOT NULL,
    record     text COLLATE "C" NOT NULL,
    credential text COLLATE "C" NOT NULL,
    made       text COLLATE "C" NOT NULL,
    reason     text COLLATE "C" NOT NULL,
    state      text COLLATE "C" NOT NULL CHECK (state IN ('checking', 'waiting', 'agreed', 'signed', 'failed', 'done', 'closed')),
    queue      text COLLATE "C" NOT NULL,
    problem    text COLLATE "C" NOT NULL,
    shown      bytea NOT NULL CHECK (length(shown) = 32),
    requester  text COLLATE "C" NOT NULL,
    approver   text COLLATE "C" NOT NULL,
    opened     bigint NOT NULL,
    changed    bigint NOT NULL,
    due        bigint NOT NULL,
    expires    bigint NOT NULL,
    worker     text COLLATE "C" NOT NULL,
    until      bigint NOT NULL,
    attempt    bigint NOT NULL,
    seen       bigint NOT NULL,
    lost       bigint NOT NULL,
    rev        bigint NOT NULL,
    CHECK (approver = '' OR approver <> requester)
);
-- A record has one open item of a programme at most.
CREATE UNIQUE INDEX work_item_open ON work_item (programme, record) WHERE state NOT IN ('done', 'closed');
CREATE INDEX work_item_record ON work_item (programme, record);
CREATE INDEX work_item_queue ON work_item (office, queue, changed, id);
CREATE INDEX work_item_due ON work_item (due) WHERE state = 'agreed';
CREATE INDEX work_item_print ON work_item (expires) WHERE state = 'signed';
CREATE INDEX work_item_over ON work_item (changed) WHERE state IN ('done', 'closed');

CREATE TABLE work_event (
    n       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item    text COLLATE "C" NOT NULL REFERENCES work_item (id) ON DELETE CASCADE,
    at      bigint NOT NULL,
    deed    text COLLATE "C" NOT NULL,
    actor   text COLLATE "C" NOT NULL,
    reason  text COLLATE "C" NOT NULL,
    comment text COLLATE "C" NOT NULL
);
CREATE INDEX work_event_item ON work_event (item, n);

-- Sealed with a key that is not in this database.
CREATE TABLE work_print (
    item   text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES work_item (id) ON DELETE CASCADE,
    sealed bytea NOT NULL
);

CREATE TABLE work_index (
    programme  text COLLATE "C" NOT NULL PRIMARY KEY,
    generation bigint NOT NULL,
    turn       bigint NOT NULL,
    made       text COLLATE "C" NOT NULL,
    mark       bytea,
    records    bigint NOT NULL,
    skipped    bigint NOT NULL,
    built      bigint NOT NULL,
    worker     text COLLATE "C" NOT NULL,
    until      bigint NOT NULL,
    building   bigint NOT NULL
);

CREATE TABLE work_office (
    no bigint NOT NULL PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE work_space (
    space     bigint NOT NULL PRIMARY KEY,
    programme text COLLATE "C" NOT NULL
);

-- Hashes holds the offices and keys of a record, by which its rows of work_key are found.
CREATE TABLE work_record (
    n      bigint NOT NULL PRIMARY KEY,
    space  bigint NOT NULL,
    record text COLLATE "C" NOT NULL,
    hashes bytea NOT NULL,
    UNIQUE (space, record)
);

-- Space is the generation of one programme; keys are keyed hashes.
CREATE TABLE work_key (
    space  bigint NOT NULL,
    hash   bigint NOT NULL,
    office bigint NOT NULL,
    n      bigint NOT NULL,
    PRIMARY KEY (space, hash, office, n)
);
