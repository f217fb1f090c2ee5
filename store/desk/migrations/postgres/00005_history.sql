-- Where the audit log speaks of changes of credentials: numbers of its entries.

CREATE TABLE history (
    credential text COLLATE "C" NOT NULL,
    entry      bigint NOT NULL,
    PRIMARY KEY (credential, entry)
);
CREATE TABLE history_position (
    one      bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    log      text COLLATE "C" NOT NULL,
    position bigint NOT NULL
);
