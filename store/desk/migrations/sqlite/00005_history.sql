-- Where the audit log speaks of changes of credentials: numbers of its entries.

CREATE TABLE history (
    credential TEXT NOT NULL,
    entry      INTEGER NOT NULL,
    PRIMARY KEY (credential, entry)
) STRICT, WITHOUT ROWID;
CREATE TABLE history_position (
    one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    log      TEXT NOT NULL,
    position INTEGER NOT NULL
) STRICT;
